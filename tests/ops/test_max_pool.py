"""Maxima of sliding windows: places, ties, NaN, margins, in every tier and derivative."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle

import torchish as torch
from torchish._basics.settings import settings
from torchish._core import trace
from torchish._ops.conv import onednn
from torchish._ops.image import winners
from torchish._ops.shared.windows import windows

TIERS = ("interpreted", "compiled", "compiled without torchish-cpu")


@pytest.fixture(params=TIERS)
def tier(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(settings, "eager", request.param == "interpreted")
    monkeypatch.setattr(settings, "compiled", request.param != "interpreted")
    if request.param == TIERS[2]:
        monkeypatch.setattr(onednn, "enabled", False)
    trace.forget_programs()
    yield request.param
    trace.forget_programs()


SHAPES = [(3, 4, 17), (2, 3, 13, 17), (3, 9, 8), (2, 2, 7, 8, 9)]
# kernel, stride, padding, dilation, ceil_mode
OPTIONS = [
    (2, 2, 0, 1, False), (3, 2, 1, 1, False), (3, 1, 1, 2, True), (2, 3, 0, 1, True),
    (3, 2, 1, 1, True),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_places_and_gradients(shape: Any, dtype: str, tier: str) -> None:
    nd = 2 if len(shape) == 3 and shape[1] == 9 else len(shape) - 2
    x = np.random.default_rng(0).integers(-3, 3, shape).astype(dtype)  # with ties
    x.flat[5], x.flat[11] = np.nan, -np.inf
    x[-1] = -np.inf
    for k, s, p, d, ceil in OPTIONS:
        results = []
        for t in (torch, oracle):
            a = t.from_numpy(x.copy()).requires_grad_()
            pool = getattr(t.nn.functional, f"max_pool{nd}d")
            y, places = pool(a, k, s, p, d, ceil_mode=ceil, return_indices=True)
            z = pool(a, k, s, p, d, ceil_mode=ceil)
            (z * t.arange(z.numel(), dtype=z.dtype).view(z.shape)).sum().backward()
            results.append([v.detach().numpy() for v in (y, places, z, a.grad)])
        for got, want in zip(*results, strict=True):
            np.testing.assert_array_equal(got, want, err_msg=str((k, s, p, d, ceil)))


def _further(t: Any, x: Any) -> list[Any]:
    def pool(v: Any, *options: int) -> Any:
        return t.nn.functional.max_pool2d(v, *options)

    a = t.from_numpy(x.copy()).requires_grad_()
    (g,) = t.autograd.grad((pool(a**3, 2) ** 2).sum(), a, create_graph=True)
    (h,) = t.autograd.grad((g**2).sum(), a)
    b = a.detach()
    tangent = t.func.jvp(lambda v: pool(v**2, 3, 2, 1), (b,), (b,))[1]
    mapped = t.func.vmap(lambda w: pool(w, 2), in_dims=1)(b)
    each = t.func.vmap(t.func.grad(lambda w: pool(w, 2).sum()))(b)
    return [v.detach().numpy() for v in (g, h, tangent, mapped, each)]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # PyTorch's own, of its import
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_further_derivatives_and_vmap(dtype: str, tier: str) -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(dtype)
    results = [_further(t, x) for t in (torch, oracle)]
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4 if dtype == "float32" else 1e-9)


@pytest.mark.skipif(not onednn.is_available(), reason="torchish-cpu is not installed")
def test_a_program_calls_torchish_cpu_for_the_maximum_and_its_gradient() -> None:
    win = windows("max_pool2d", 2, (20, 30), 2, None, 0, 1, False)
    x = np.random.default_rng(2).standard_normal((40, 50, 20, 30)).astype(np.float32)

    def value_and_gradient(x: Any) -> Any:
        best, back = jax.vjp(lambda v: winners.argmax_windows(v, win)[0], x)
        return best, back(best)[0]

    lowered = jax.jit(value_and_gradient).lower(x)
    text = lowered.as_text()
    assert (text.count(onednn.MAX_POOL + "("), text.count(onednn.MAX_POOL_GRADIENT)) == (1, 1)
    best, gradient = lowered.compile()(x)
    want = x.reshape(40, 50, 10, 2, 15, 2).max((3, 5))
    np.testing.assert_array_equal(best, want)
    repeated = want.repeat(2, 2).repeat(2, 3)
    np.testing.assert_array_equal(gradient, np.where(x == repeated, repeated, 0))


@pytest.mark.skipif(not onednn.is_available(), reason="torchish-cpu is not installed")
def test_places_outside_the_array_are_an_error() -> None:
    result = jax.ShapeDtypeStruct((2, 9), jnp.float32)
    call = jax.ffi.ffi_call(onednn.MAX_POOL_GRADIENT, result)
    for place in (-1, 9):
        with pytest.raises(jax.errors.JaxRuntimeError, match="max pooling: a place outside"):
            made = jax.jit(lambda g, i: call(g, i, inputs=np.int64(9)))
            index = np.full((2, 4), place, np.int32)
            jax.block_until_ready(made(np.ones((2, 4), np.float32), index))
