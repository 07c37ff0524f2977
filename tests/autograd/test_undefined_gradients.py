"""Gradients that PyTorch leaves undefined: the result has a history, `.grad` stays None."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import torchish


def shared(t: Any, shape: tuple[int, ...]) -> Any:
    return t.ones(shape, requires_grad=True)


CASES: dict[str, Any] = {
    "linalg.norm of order 0": lambda t, x: [t.linalg.norm(x[0], 0), [x]],
    "norm of order 0": lambda t, x: [t.norm(x, 0, 0), [x]],
    "vector_norm of order 0": lambda t, x: [t.linalg.vector_norm(x * 2, 0), [x]],
    "householder_product of nothing": lambda t, x: [
        t.linalg.householder_product(x, tau := shared(t, (0,))), [x, tau]
    ],
    "ormqr of nothing": lambda t, x: [
        t.ormqr(v := shared(t, (3, 0)), tau := shared(t, (0,)), x), [v, tau, x]
    ],
    "quantile, linear": lambda t, x: [t.quantile(x, q := shared(t, (1,))), [x, q]],
    "quantile, midpoint": lambda t, x: [
        t.quantile(x, q := shared(t, (1,)), interpolation="midpoint"), [x, q]
    ],
    "quantile of a constant": lambda t, x: [
        t.quantile(t.ones(4), q := shared(t, (1,)), interpolation="lower"), [x, q]
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_undefined_gradients(name: str) -> None:
    def said(library: Any) -> Any:
        result, leaves = CASES[name](library, shared(library, (3, 3)))
        history = result.grad_fn is not None
        if result.requires_grad:
            result.sum().backward()
        return history, [None if x.grad is None else x.grad.tolist() for x in leaves]

    assert said(torchish) == said(torch)


@pytest.mark.parametrize("library", [torch, torchish])
def test_asking_for_one_is_an_error(library: Any) -> None:
    x = library.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        library.autograd.grad(library.linalg.vector_norm(x, 0), x)
