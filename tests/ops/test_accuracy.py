"""float32 results are as near to the exact value as PyTorch's, interpreted and compiled."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
import pytest
import torch as oracle

import torchish as torch
from torchish._ops.pointwise import accurate

EDGES = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-30, -1e-30, 3e38, -3e38, -1.0, -0.999]
RANGES = {"tanh": (-12, 12), "erf": (-5, 5), "log1p": (-0.99, 40)}


def _worst(got: Any, want: Any) -> float:
    """The largest error in units of the last place."""
    unit = np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)
    return float(np.max(np.abs(got.astype(np.float64) - want) / unit))


@pytest.mark.parametrize("name", RANGES)
def test_formulas_of_the_cpu(name: str) -> None:
    low, high = RANGES[name]
    x = np.concatenate([np.linspace(low, high, 200_001), np.geomspace(1e-6, 0.9, 50_001)])
    x = np.concatenate([x, -x[x < 0.9]]).astype(np.float32)
    want = getattr(oracle, name)(oracle.from_numpy(x).double()).numpy()
    function = jax.jit(getattr(accurate, name))
    assert _worst(np.asarray(function(x)), want) < 2.0
    edges = np.array(EDGES, np.float32)
    got, theirs = np.asarray(function(edges)), getattr(oracle, name)(oracle.from_numpy(edges))
    np.testing.assert_allclose(got, theirs.numpy(), rtol=2e-7)
    assert (np.signbit(got) == np.signbit(theirs.numpy()))[~np.isnan(got)].all()


@pytest.mark.parametrize("name", RANGES)
def test_derivatives(name: str) -> None:
    x = np.linspace(-0.9, 3, 40).astype(np.float32)
    ours, theirs = (m.from_numpy(x.copy()).requires_grad_() for m in (torch, oracle))
    for library, t in ((torch, ours), (oracle, theirs)):
        (first,) = library.autograd.grad(getattr(library, name)(t).sum(), t, create_graph=True)
        first.pow(2).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-4, atol=1e-6)


LONG = {
    "cumsum": lambda t: t.cumsum(0),
    "cumprod": lambda t: (t * 1e-4 + 1).cumprod(0),
    "var": lambda t: t.var(),
    "std": lambda t: t.view(100, -1).std(1),
    "lgamma": lambda t: (t.abs() + 0.5).lgamma(),
    "mean": lambda t: t.view(20, 50, 100).mean((0, 2)),
    "exp": lambda t: (t - 5).exp(),
}


@pytest.mark.parametrize("name", LONG)
def test_interpreted_operators(name: str) -> None:
    x = np.random.default_rng(0).standard_normal(100_000).astype(np.float32) + 5
    run = LONG[name]
    exact = run(oracle.from_numpy(x).double()).numpy()
    errors = []
    for library in (torch, oracle):
        got = run(library.from_numpy(x.copy())).numpy().astype(np.float64)
        errors.append(np.sqrt(np.mean((got - exact) ** 2)) / np.sqrt(np.mean(exact**2)))
    assert errors[0] <= 1.5 * max(errors[1], 3e-8)
