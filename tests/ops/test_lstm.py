"""The recurrence of an LSTM: numpy, XLA's scan and oneDNN agree, derivatives of each order too."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle

from torchish._interpret.plan import Plan
from torchish._ops.conv import onednn
from torchish._ops.layers import lstm

# steps, batch, size: one row, odd numbers, and enough for two threads
SHAPES = [(1, 1, 1), (5, 3, 7), (3, 2, 16), (19, 21, 96)]
# How all steps can be run.
present = pytest.mark.skipif(not onednn.is_available(), reason="torchish-cpu is not installed")
WAYS = ["scan", "numpy", pytest.param("onednn", marks=present)]


def _operands(shape: tuple[int, int, int], dtype: Any = np.float32) -> list[Any]:
    steps, batch, size = shape
    rng = np.random.default_rng(0)
    shapes = ((steps, batch, 4 * size), (batch, size), (batch, size), (4 * size, size))
    scales = (2.0, 1.0, 2.0, size**-0.5)
    return [(k * rng.standard_normal(s)).astype(dtype) for s, k in zip(shapes, scales, strict=True)]


def _oracle(reverse: bool, inputs: Any, h: Any, c: Any, w: Any) -> tuple[Any, Any, Any]:
    """The same in PyTorch, in double: an LSTM whose input weights are the identity."""
    size = h.shape[1]
    inputs = inputs.flip(0) if reverse else inputs
    eye = oracle.eye(4 * size, dtype=oracle.float64)
    made, last, cell = oracle.lstm(
        inputs, (h[None], c[None]), [eye, w], False, 1, 0.0, False, False, False
    )
    return (made.flip(0) if reverse else made), last[0], cell[0]


def _run(way: str, function: Any, *operands: Any) -> Any:
    if way == "numpy":
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*operands)
        flat = [np.asarray(x) for x in jax.tree.leaves(operands)]
        return jax.tree.unflatten(jax.tree.structure(shape), Plan(closed).run(flat))
    jitted = jax.jit(function)
    before, onednn.enabled = onednn.enabled, way == "onednn"
    try:
        lowered = jitted.lower(*operands)
        assert (onednn.LSTM in lowered.as_text()) is (way == "onednn")
        return lowered.compile()(*operands)
    finally:
        onednn.enabled = before


def _close(got: Any, want: Any) -> None:
    scale = max(1.0, float(np.abs(want).max()))
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=3e-6 * scale)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients_are_pytorchs(
    shape: tuple[int, int, int], reverse: bool, way: str
) -> None:
    operands = _operands(shape)

    def all_of(*xs: Any) -> Any:
        made, pull = jax.vjp(functools.partial(lstm.recur, reverse), *xs)
        return made, pull(jax.tree.map(jnp.cos, made))

    made, grads = _run(way, all_of, *operands)
    doubles = [oracle.from_numpy(x).double().requires_grad_() for x in operands]
    wanted = _oracle(reverse, *doubles)
    pulled = oracle.autograd.grad(wanted, doubles, [w.cos() for w in wanted])
    for got, want in zip((*made, *grads), (*wanted, *pulled), strict=True):
        _close(got, want.detach().numpy())


@pytest.mark.parametrize("reverse", [False, True])
def test_second_derivatives_are_pytorchs(reverse: bool) -> None:
    operands = _operands((4, 2, 3), np.float64)

    def slope(*xs: Any) -> Any:
        grads = jax.grad(lambda *ys: sum(jnp.sin(y).sum() for y in lstm.recur(reverse, *ys)), 3)
        return (grads(*xs) ** 2).sum()

    with jax.enable_x64(True):
        got = jax.jit(jax.grad(slope, (0, 1, 2, 3)))(*operands)
    doubles = [oracle.from_numpy(x).requires_grad_() for x in operands]
    total = sum(y.sin().sum() for y in _oracle(reverse, *doubles))
    (first,) = oracle.autograd.grad(total, doubles[3], create_graph=True)
    for mine, theirs in zip(got, oracle.autograd.grad(first.pow(2).sum(), doubles), strict=True):
        np.testing.assert_allclose(np.asarray(mine), theirs.numpy(), rtol=1e-9, atol=1e-12)


def test_samples_are_mapped() -> None:
    operands = _operands((3, 2, 5))
    many = [np.stack([x, 0.5 * x]) for x in operands]
    mapped = jax.vmap(functools.partial(lstm.recur, False))(*many)
    for k in range(2):
        alone = lstm.recur(False, *(x[k] for x in many))
        for got, want in zip(mapped, alone, strict=True):
            _close(got[k], np.asarray(want))


@pytest.mark.parametrize("way", WAYS)
def test_nan_and_large_values_travel_as_in_pytorch(way: str) -> None:
    inputs, h, c, w = _operands((3, 2, 4))
    inputs[0, 1], c[1], c[0, 2] = 300.0, -1e30, np.nan
    made = _run(way, functools.partial(lstm.recur, False), inputs, h, c, w)
    wanted = _oracle(False, *(oracle.from_numpy(x).double() for x in (inputs, h, c, w)))
    for got, want in zip(made, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(got), want.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("given", [(4,), (4, 5, 6), (5, 6)], ids=str)
def test_the_gradient_is_transposed_in_what_it_is_linear_in(given: tuple[int, ...]) -> None:
    inputs, h, c, w = _operands((4, 2, 3), np.float64)
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        outs, cells, gates = lstm._forward.bind(inputs, h, c, w, reverse=True)
        known = [gates, cells, c, w, outs, h, c]
        for k in (4, 5, 6):
            known[k] = np.zeros(known[k].shape)

        def linear(*parts: Any) -> Any:
            operands = list(known)
            for k, x in zip(given, parts, strict=True):
                operands[k] = x
            return lstm._backward.bind(*operands, reverse=True)

        parts = [rng.standard_normal(known[k].shape) for k in given]
        made = linear(*parts)
        cts = [rng.standard_normal(x.shape) for x in made]
        pulled = jax.linear_transpose(linear, *parts)(cts)
    one = sum(float((np.asarray(a) * b).sum()) for a, b in zip(made, cts, strict=True))
    two = sum(float((np.asarray(a) * b).sum()) for a, b in zip(pulled, parts, strict=True))
    assert one == pytest.approx(two, rel=1e-10)
