"""What torchish-cpu computes of a compiled program beside convolutions: products and updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from torchish._ops.rewrites import awake, loops, products

pytestmark = pytest.mark.skipif(
    not onednn.is_available(), reason="torchish-cpu is not installed"
)  # fmt: skip


def _run(
    function: Callable[..., Any], arrays: Sequence[Any], rewrite: Callable[[Any], None]
) -> tuple[Any, str]:
    """What a function gives once it is rewritten and compiled, and its StableHLO."""
    lowered = jax.jit(function).lower(*arrays)
    rewrite(lowered)
    return lowered.compile()(*arrays), lowered.as_text()


def _arrays(*shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Any]:
    rng = np.random.default_rng(len(shapes))
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


PRODUCTS = {
    "plain": (lambda a, b: a @ b, (40, 30), (30, 50)),
    "right turned": (lambda a, b: a @ b.T, (40, 30), (50, 30)),
    "left turned": (lambda a, b: a.T @ b, (30, 40), (30, 50)),
    "both turned": (lambda a, b: a.T @ b.T, (30, 40), (50, 30)),
    "result turned": (lambda a, b: (a @ b).T, (40, 30), (30, 50)),
    "all turned": (lambda a, b: (a.T @ b.T).T, (30, 40), (50, 30)),
    "square": (lambda a, b: a @ b.T, (64, 64), (64, 64)),
    "stack": (lambda a, b: a @ b, (3, 2, 20, 30), (3, 2, 30, 25)),
    "stack turned": (lambda a, b: a @ jnp.swapaxes(b, -1, -2), (6, 20, 30), (6, 25, 30)),
    "both of a stack turned": (
        lambda a, b: jnp.swapaxes(a, -1, -2) @ jnp.swapaxes(b, -1, -2), (6, 30, 20), (6, 25, 30),
    ),
    "matrix and vector": (lambda a, b: a @ b, (300, 200), (200,)),
    "vector and matrix": (lambda a, b: a @ b, (200,), (200, 300)),
    "two summed dimensions": (
        lambda a, b: jnp.einsum("abc,bcd->ad", a, b), (20, 6, 7), (6, 7, 30),
    ),
    "two summed dimensions, the other way round": (
        lambda a, b: lax.dot_general(a, b, (((1, 0), (1, 0)), ((), ()))), (6, 7, 20), (6, 7, 30),
    ),
    "behind a barrier": (
        lambda a, b: a @ lax.optimization_barrier(b.T), (300, 30), (50, 30),
    ),
    "before a barrier": (
        lambda a, b: lax.optimization_barrier(a @ b).T, (300, 30), (30, 50),
    ),
    "several threads, by rows": (lambda a, b: a @ b, (519, 130), (130, 90)),
    "several threads, by columns": (lambda a, b: a @ b.T, (33, 130), (2077, 130)),
    "a stack on several threads": (lambda a, b: a @ b, (37, 65, 40), (37, 40, 70)),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_one_call(name: str) -> None:
    function, *shapes = PRODUCTS[name]
    arrays = _arrays(*shapes)
    got, text = _run(function, arrays, products.use_onednn)
    assert text.count(onednn.MATMUL) == 1
    assert "dot_general" not in text
    want = np.asarray(function(*(jnp.asarray(a, np.float64) for a in arrays)))
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-7 * shapes[0][-1] * np.abs(want).max())


def test_a_transpose_that_others_read_stays() -> None:
    def function(a: Any, b: Any) -> Any:
        c = a @ b
        return c.T, c + 1

    arrays = _arrays((40, 30), (30, 50))
    (turned, more), text = _run(function, arrays, products.use_onednn)
    assert text.count(onednn.MATMUL) == 1
    np.testing.assert_allclose(turned, (arrays[0] @ arrays[1]).T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(more, arrays[0] @ arrays[1] + 1, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "shapes", "dtype"),
    [
        (lambda a, b: a @ b, ((4, 4), (4, 4)), np.float32),
        (lambda a, b: a @ b, ((40, 30), (30, 50)), np.float64),
        (lambda a, b: a @ b, ((40, 30), (30, 50)), jnp.bfloat16),
        (lambda a, b: a @ b, ((40, 30), (30, 50)), np.int32),
        (lambda a, b: jnp.einsum("ibk,jbk->bij", a, b), ((20, 3, 30), (25, 3, 30)), np.float32),
    ],
    ids=["small", "double", "bfloat16", "integers", "a stack that lies otherwise"],
)
def test_other_products_stay_xlas(function: Any, shapes: Any, dtype: Any) -> None:
    arrays = [jnp.asarray(a, dtype) for a in _arrays(*shapes)]
    got, text = _run(function, arrays, products.use_onednn)
    assert onednn.MATMUL not in text
    np.testing.assert_allclose(got, function(*arrays))


def test_products_within_loops_are_calls_too() -> None:
    def function(a: Any, b: Any) -> Any:
        return lax.fori_loop(0, 3, lambda _, x: jnp.tanh(x @ b), a)

    arrays = _arrays((20, 30), (30, 30))
    got, text = _run(function, arrays, products.use_onednn)
    assert text.count(onednn.MATMUL) == 1
    want = arrays[0]
    for _ in range(3):
        want = np.tanh(want @ arrays[1])
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


# ------------------------------------------------------------------------------------- updates

SIZE = (137, 151)  # no multiple of the pieces that the arrays are cut into


def _count(text: str) -> int:
    return text.count(onednn.LOOPS)


def test_every_instruction_is_xlas() -> None:
    def function(a: Any, b: Any, s: Any) -> Any:
        total = (a + b) * s - b / s
        return (
            total, s - a, s / b, a - s, jnp.maximum(a, b), jnp.minimum(b, s), jnp.maximum(s, a),
            jnp.sqrt(jnp.abs(a)), -b, jnp.sqrt(a), a * a,
        )  # fmt: skip

    a, b = _arrays(SIZE, SIZE)
    a[0, :4] = np.nan, np.inf, -np.inf, -0.0
    b[0, 2:6] = np.nan, 0.0, -np.inf, np.inf
    arrays = (a, b, np.float32(0.3))
    got, text = _run(function, arrays, loops.fuse_updates)
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
        assert _count(_run(function, _arrays(SIZE, SIZE), loops.fuse_updates)[1]) == 0


def test_a_value_that_leaves_and_comes_back_divides_a_group() -> None:
    def function(a: Any, b: Any) -> Any:
        first, second = a + b, a - b
        scale = lax.stop_gradient(jnp.cumsum(a * b, 0))
        return first, second, first * scale, second * scale

    arrays = _arrays(SIZE, SIZE)
    got, text = _run(function, arrays, loops.fuse_updates)
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
    (start,) = _arrays((128, 96))
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
    ("arrays", "code", "outs"),
    [
        (2, [99, 0, 1], [2]),
        (2, [0, 0, 2], [2]),
        (2, [0, 0, -1], [2]),
        (2, [0, 0], [2]),
        (2, [0, 0, 1], [3]),
        (2, [0, 0, 1], [0]),
        (2, [0, 0, 1], [2, 2]),
        (3, [0, 0, 1], [2]),
        (1, [0, 0, 1], [2]),
    ],
    ids=[
        "operator", "operand", "negative operand", "length", "result", "argument for a result",
        "results", "arguments", "a number of many elements",
    ],
)  # fmt: skip
def test_a_malformed_list_of_instructions_is_an_error(
    arrays: int, code: list[int], outs: list[int]
) -> None:
    call = jax.ffi.ffi_call(onednn.LOOPS, [jax.ShapeDtypeStruct(SIZE, jnp.float32)])
    options = {"arrays": np.int64(arrays), "code": np.array(code, np.int64), "awake": np.int64(0)}
    with pytest.raises(jax.errors.JaxRuntimeError, match="loops"):
        made = jax.jit(lambda a, b: call(a, b, **options, outs=np.array(outs, np.int64)))
        jax.block_until_ready(made(*_arrays(SIZE, SIZE)))


def test_operands_of_a_product_that_do_not_fit_are_an_error() -> None:
    call = jax.ffi.ffi_call(onednn.MATMUL, jax.ShapeDtypeStruct((4, 5), jnp.float32))
    options = dict.fromkeys(("turned_a", "turned_b", "awake"), np.int64(0))
    with pytest.raises(jax.errors.JaxRuntimeError, match="matrix product"):
        made = jax.jit(lambda a, b: call(a, b, **options))
        jax.block_until_ready(made(*_arrays((4, 6), (7, 5))))


# -------------------------------------------------------------------------- helpers kept awake


def _steps(a: Any, b: Any, c: Any) -> Any:
    for _ in range(6):
        a = jnp.tanh(a @ b)
    return a @ b, (a @ c).T


def _rewritten(awake_too: bool) -> Callable[[Any], None]:
    def rewrite(lowered: Any) -> None:
        products.use_onednn(lowered)
        if awake_too:
            awake.keep_awake(lowered)

    return rewrite


def test_calls_of_a_small_program_keep_helpers_awake_and_give_the_same_bits() -> None:
    arrays = _arrays((64, 256), (256, 256), (256, 3000))
    arrays[1] /= 16
    plain, before = _run(_steps, arrays, _rewritten(False))
    kept, text = _run(_steps, arrays, _rewritten(True))
    assert (before.count("awake = 1"), text.count("awake = 1")) == (0, 8)
    for one, two in zip(plain, kept, strict=True):
        np.testing.assert_array_equal(one, two)


def test_programs_with_large_loops_leave_the_cores_to_xla() -> None:
    arrays = _arrays((400, 256), (256, 256), (256, 300))
    assert "awake = 1" not in _run(_steps, arrays, _rewritten(True))[1]
