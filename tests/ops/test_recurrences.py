"""Recurrences of LSTM and GRU: numpy, XLA and oneDNN agree, in derivatives of each order too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle

from tests.ops.ways import run
from torchish._ops.conv import onednn
from torchish._ops.layers import gru, lstm

# steps, batch, size: one row, odd numbers, and enough for two threads
SHAPES = [(1, 1, 1), (5, 3, 7), (3, 2, 16), (19, 21, 96)]
# How all steps can be run.
present = pytest.mark.skipif(not onednn.is_available(), reason="torchish-cpu is not installed")
WAYS = ["scan", "numpy", pytest.param("onednn", marks=present)]


@dataclass(frozen=True)
class Recurrence:
    """One kind: its module, its target, how large its operands are and how PyTorch runs it."""

    module: Any
    target: str
    shapes: Callable[[int, int, int], tuple[tuple[int, ...], ...]]
    scales: Callable[[int], tuple[float, ...]]
    weight: int  # which operand is the weight
    oracle: Callable[..., tuple[Any, ...]]

    def operands(self, shape: tuple[int, int, int], dtype: Any = np.float32) -> list[Any]:
        """Random operands for (steps, batch, size)."""
        rng = np.random.default_rng(0)
        sizes, scales = self.shapes(*shape), self.scales(shape[2])
        drawn = [k * rng.standard_normal(s) for s, k in zip(sizes, scales, strict=True)]
        return [x.astype(dtype) for x in drawn]

    def recur(self, reverse: bool) -> Any:
        """The recurrence as a function of its operands."""
        return functools.partial(self.module.recur, reverse)


def _lstm_oracle(reverse: bool, inputs: Any, h: Any, c: Any, w: Any) -> tuple[Any, ...]:
    """The same in PyTorch, in double: an LSTM whose input weights are the identity."""
    size = h.shape[1]
    inputs = inputs.flip(0) if reverse else inputs
    eye = oracle.eye(4 * size, dtype=oracle.float64)
    made, last, cell = oracle.lstm(
        inputs, (h[None], c[None]), [eye, w], False, 1, 0.0, False, False, False
    )
    return (made.flip(0) if reverse else made), last[0], cell[0]


def _gru_oracle(reverse: bool, inputs: Any, h: Any, w: Any, b: Any) -> tuple[Any, ...]:
    size = h.shape[1]
    inputs = inputs.flip(0) if reverse else inputs
    eye = oracle.eye(3 * size, dtype=oracle.float64)
    weights = [eye, w, oracle.zeros_like(b), b]
    made, last = oracle.gru(inputs, h[None], weights, True, 1, 0.0, False, False, False)
    return (made.flip(0) if reverse else made), last[0]


KINDS = {
    "lstm": Recurrence(
        lstm, onednn.LSTM, lambda t, n, h: ((t, n, 4 * h), (n, h), (n, h), (4 * h, h)),
        lambda h: (2.0, 1.0, 2.0, h**-0.5), 3, _lstm_oracle,
    ),
    "gru": Recurrence(
        gru, onednn.GRU, lambda t, n, h: ((t, n, 3 * h), (n, h), (3 * h, h), (3 * h,)),
        lambda h: (2.0, 2.0, h**-0.5, 1.0), 2, _gru_oracle,
    ),
}  # fmt: skip


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Recurrence:
    """Each recurrence in turn."""
    return KINDS[request.param]


def _close(got: Any, want: Any) -> None:
    scale = max(1.0, float(np.abs(want).max()))
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=3e-6 * scale)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients_are_pytorchs(
    kind: Recurrence, shape: tuple[int, int, int], reverse: bool, way: str
) -> None:
    operands = kind.operands(shape)

    def all_of(*xs: Any) -> Any:
        made, pull = jax.vjp(kind.recur(reverse), *xs)
        return made, pull(jax.tree.map(jnp.cos, made))

    made, grads = run(way, kind.target, all_of, *operands)
    doubles = [oracle.from_numpy(x).double().requires_grad_() for x in operands]
    wanted = kind.oracle(reverse, *doubles)
    pulled = oracle.autograd.grad(wanted, doubles, [w.cos() for w in wanted])
    for got, want in zip((*made, *grads), (*wanted, *pulled), strict=True):
        _close(got, want.detach().numpy())


@pytest.mark.parametrize("reverse", [False, True])
def test_second_derivatives_are_pytorchs(kind: Recurrence, reverse: bool) -> None:
    operands = kind.operands((4, 2, 3), np.float64)

    def slope(*xs: Any) -> Any:
        grads = jax.grad(
            lambda *ys: sum(jnp.sin(y).sum() for y in kind.recur(reverse)(*ys)), kind.weight
        )
        return (grads(*xs) ** 2).sum()

    with jax.enable_x64(True):
        got = jax.jit(jax.grad(slope, (0, 1, 2, 3)))(*operands)
    doubles = [oracle.from_numpy(x).requires_grad_() for x in operands]
    total = sum(y.sin().sum() for y in kind.oracle(reverse, *doubles))
    (first,) = oracle.autograd.grad(total, doubles[kind.weight], create_graph=True)
    for mine, theirs in zip(got, oracle.autograd.grad(first.pow(2).sum(), doubles), strict=True):
        np.testing.assert_allclose(np.asarray(mine), theirs.numpy(), rtol=1e-9, atol=1e-12)


def test_samples_are_mapped(kind: Recurrence) -> None:
    operands = kind.operands((3, 2, 5))
    many = [np.stack([x, 0.5 * x]) for x in operands]
    mapped = jax.vmap(kind.recur(False))(*many)
    for k in range(2):
        alone = kind.recur(False)(*(x[k] for x in many))
        for got, want in zip(mapped, alone, strict=True):
            _close(got[k], np.asarray(want))


@pytest.mark.parametrize("way", WAYS)
def test_nan_and_large_values_travel_as_in_pytorch(kind: Recurrence, way: str) -> None:
    operands = kind.operands((3, 2, 4))
    inputs, states = operands[0], operands[kind.weight - 1]
    inputs[0, 1], states[1], states[0, 2] = 300.0, -1e30, np.nan
    made = run(way, kind.target, kind.recur(False), *operands)
    wanted = kind.oracle(False, *(oracle.from_numpy(x).double() for x in operands))
    for got, want in zip(made, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(got), want.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "given"), [("lstm", (4,)), ("lstm", (4, 5, 6)), ("lstm", (5, 6)), ("gru", (4,)),
                        ("gru", (4, 5))], ids=str,
)  # fmt: skip
def test_the_gradient_is_transposed_in_what_it_is_linear_in(
    name: str, given: tuple[int, ...]
) -> None:
    kind = KINDS[name]
    operands = kind.operands((4, 2, 3), np.float64)
    w, states = operands[kind.weight], operands[1 : kind.weight]
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        made = kind.module._forward.bind(*operands, reverse=True)
        outs, gates, kept = made[0], made[-1], made[-2]
        known: list[Any] = [gates, kept, states[-1], w, outs, *states]
        for k in range(4, len(known)):
            known[k] = np.zeros(known[k].shape)

        def linear(*parts: Any) -> Any:
            operands = list(known)
            for k, x in zip(given, parts, strict=True):
                operands[k] = x
            return kind.module._backward.bind(*operands, reverse=True)

        parts = [rng.standard_normal(known[k].shape) for k in given]
        results = linear(*parts)
        cts = [rng.standard_normal(x.shape) for x in results]
        pulled = jax.linear_transpose(linear, *parts)(cts)
    one = sum(float((np.asarray(a) * b).sum()) for a, b in zip(results, cts, strict=True))
    two = sum(float((np.asarray(a) * b).sum()) for a, b in zip(pulled, parts, strict=True))
    assert one == pytest.approx(two, rel=1e-10)
