"""Updates of optimizers as calls of torchish-cpu: all results of a rule in one pass."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle
from jax import lax

import torchish as torch
from torchish._basics.settings import settings
from torchish._core import program, trace
from torchish._ops.conv import onednn
from torchish._ops.rewrites import updates

from .rewriting import normal, run

pytestmark = pytest.mark.skipif(
    not onednn.is_available(), reason="torchish-cpu is not installed"
)  # fmt: skip

TOOL = Path(__file__).parents[2] / "tools" / "update_rules.py"
SIZE = (137, 151)  # no multiple of the pieces that the arrays are cut into


ADD, SUBTRACT, MULTIPLY = range(3)  # numbers of instructions


def _call(
    operands: Sequence[Any],
    copies: int,
    arrays: int,
    code: list[int],
    outs: list[int],
    results: int,
) -> list[Any]:
    """The call itself, with whatever it is told."""
    shape = jax.ShapeDtypeStruct(np.shape(operands[0]), jnp.float32)
    call = jax.ffi.ffi_call(onednn.UPDATES, [shape] * results)
    numbers = {"copies": np.int64(copies), "arrays": np.int64(arrays), "awake": np.int64(0)}
    lists = {"code": np.array(code, np.int64), "outs": np.array(outs, np.int64)}
    made = jax.jit(lambda *a: call(*a, **numbers, **lists))(*operands)
    return list(map(np.asarray, made))


def _count(text: str) -> int:
    return text.count(onednn.UPDATES)


def test_every_instruction_is_xlas() -> None:
    def function(a: Any, b: Any, s: Any) -> Any:
        total = (a + b) * s - b / s
        return (
            total, s - a, s / b, a - s, jnp.maximum(a, b), jnp.minimum(b, s), jnp.maximum(s, a),
            jnp.sqrt(jnp.abs(a)), -b, jnp.sqrt(a), a * a,
        )  # fmt: skip

    a, b = normal(SIZE, SIZE)
    a[0, :4] = np.nan, np.inf, -np.inf, -0.0
    b[0, 2:6] = np.nan, 0.0, -np.inf, np.inf
    arrays = (a, b, np.float32(0.3))
    got, text = run(function, arrays, updates.fuse_updates)
    assert _count(text) == 1
    for one, want in zip(got, jax.jit(function)(*arrays), strict=True):
        np.testing.assert_allclose(one, want, rtol=2e-6, atol=1e-6)


def test_what_other_operators_read_is_left_to_xla() -> None:
    def leaves(a: Any, b: Any) -> Any:
        c = a + b
        return c * 2, c * b, c.sum()

    def alone(a: Any, b: Any) -> Any:
        return (a + b) * a

    def small(a: Any, b: Any) -> Any:
        return a[:8, :8] + b[:8, :8], a[:8, :8] * b[:8, :8]

    for function in (leaves, alone, small):
        assert _count(run(function, normal(SIZE, SIZE), updates.fuse_updates)[1]) == 0


def test_a_value_that_leaves_and_comes_back_divides_a_group() -> None:
    def function(a: Any, b: Any) -> Any:
        first, second = a + b, a - b
        scale = lax.stop_gradient(jnp.cumsum(a * b, 0))
        return first, second, first * scale, second * scale

    arrays = normal(SIZE, SIZE)
    got, text = run(function, arrays, updates.fuse_updates)
    assert _count(text) <= 2
    for one, want in zip(got, jax.jit(function)(*arrays), strict=True):
        np.testing.assert_allclose(one, want, rtol=1e-5, atol=1e-5)


OPTIMIZERS = {
    "Adam": {}, "AdamW": {}, "SGD": {"momentum": 0.9, "weight_decay": 0.1}, "Adadelta": {},
    "RMSprop": {"momentum": 0.9}, "Adagrad": {}, "NAdam": {}, "Adamax": {},
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizers_step_is_one_call_and_pytorchs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    def note(lowered: Any) -> None:
        found.append(_count(lowered.as_text()))

    monkeypatch.setattr(program, "rewrites", [*program.rewrites, note])
    monkeypatch.setattr(settings, "compiled", True)
    trace.forget_programs()
    (start,) = normal((128, 96))
    results = []
    for t in (torch, oracle):
        weight = t.nn.Parameter(t.from_numpy(start.copy()))
        optimizer = getattr(t.optim, name)([weight], lr=0.01, **OPTIMIZERS[name])
        for k in range(3):
            optimizer.zero_grad()
            ((weight - k) ** 3).sum().backward()
            optimizer.step()
        results.append(weight.detach().numpy())
    assert 1 in found
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("arrays", "code", "outs", "copies"),
    [
        (2, [99, 0, 1], [2], 1),
        (2, [0, 0, 2], [2], 1),
        (2, [0, 0, -1], [2], 1),
        (2, [0, 0], [2], 1),
        (2, [0, 0, 1], [3], 1),
        (2, [0, 0, 1], [0], 1),
        (2, [0, 0, 1], [2, 2], 1),
        (3, [0, 0, 1], [2], 1),
        (1, [0, 0, 1], [2], 1),
        (2, [0, 0, 1], [2], 0),
        (2, [0, 0, 1], [2], -1),
        (2, [0, 0, 1], [2], 1 << 62),
        (1, [0, 0, 0], [1], 2),
    ],
    ids=[
        "operator", "operand", "negative operand", "length", "result", "argument for a result",
        "results", "arguments", "a number of many elements", "no copies", "negative copies",
        "more copies",
        "results of copies",
    ],
)  # fmt: skip
def test_a_malformed_list_of_instructions_is_an_error(
    arrays: int, code: list[int], outs: list[int], copies: int
) -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match="updates"):
        _call(normal(SIZE, SIZE), copies, arrays, code, outs, results=1)


# -------------------------------------------------------------------------- parameters of one shape


def _momentum(buffer: Any, gradient: Any, weight: Any) -> tuple[Any, Any]:
    moved = buffer * 0.9 + gradient
    return moved, weight - moved * 0.125


@pytest.mark.parametrize("shape", [SIZE, (1 << 13,), (64, 129)])
@pytest.mark.parametrize("copies", [2, 3, 5])
def test_parameters_of_one_shape_share_a_call(copies: int, shape: tuple[int, ...]) -> None:
    """Wherever the parts of the threads begin and end: what each would have got alone."""

    def together(*arrays: Any) -> list[Any]:
        threes = zip(*[iter(arrays)] * 3, strict=True)
        return [made for three in threes for made in _momentum(*three)]

    arrays = normal(*[shape] * 3 * copies)
    got, text = run(together, arrays, updates.fuse_updates)
    assert _count(text) == 1 and f"copies = {copies}" in text
    for k in range(copies):
        alone, _ = run(_momentum, arrays[3 * k : 3 * k + 3], updates.fuse_updates)
        for one, two in zip(got[2 * k : 2 * k + 2], alone, strict=True):
            np.testing.assert_array_equal(one, two)


def test_other_numbers_or_another_list_are_another_call() -> None:
    def function(a: Any, b: Any, c: Any, d: Any, s: Any, t: Any) -> Any:
        return a * s + b, a - b, c * t + d, c - d, (a.T + b.T) * s, a.T - b.T

    arrays = [*normal(*[(144, 144)] * 4), np.float32(2), np.float32(3)]
    got, text = run(function, arrays, updates.fuse_updates)
    assert _count(text) >= 2 and "copies = 2" not in text
    for one, want in zip(got, jax.jit(function)(*arrays), strict=True):
        np.testing.assert_allclose(one, want, rtol=1e-6, atol=1e-6)


# ----------------------------------------------------------------------------- rules compiled in


@functools.cache
def _tool() -> Any:
    spec: Any = importlib.util.spec_from_file_location("update_rules", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _is_compiled_in(arrays: int, numbers: int, code: list[int], outs: list[int]) -> bool:
    lists = [x for part in (code, outs) for x in ((ctypes.c_int64 * len(part))(*part), len(part))]
    ask = onednn.library().torchish_has_rule
    ask.argtypes = [*[ctypes.c_int64] * 2, *[ctypes.c_void_p, ctypes.c_int64] * 2]
    return bool(ask(arrays, numbers, *lists))


def test_another_rule_is_not_compiled_in() -> None:
    assert not _is_compiled_in(2, 0, [ADD, 0, 1, SUBTRACT, 0, 1], [2, 3])


@pytest.mark.parametrize("name", _tool().RULES)
def test_a_rule_compiled_in_gives_the_bits_of_its_instructions(name: str) -> None:
    arrays, numbers, code, outs = _tool().rule_of(_tool().RULES[name])
    assert _is_compiled_in(arrays, numbers, code, outs)
    longer = [*code, ADD, 0, 0]  # one more, of no result: this list is interpreted
    assert not _is_compiled_in(arrays, numbers, longer, outs)
    rng = np.random.default_rng(0)
    operands = [np.abs(a) for a in normal(*[(3, 1001)] * 2 * arrays)]  # moments have roots
    operands[0][0, :3] = np.nan, np.inf, 1e-42
    operands += list(rng.uniform(0.1, 1, numbers).astype(np.float32))
    given = operands, 2, arrays
    mine, interpreted = (_call(*given, c, outs, results=2 * len(outs)) for c in (code, longer))
    for one, two in zip(mine, interpreted, strict=True):
        np.testing.assert_array_equal(one.view(np.uint32), two.view(np.uint32))
