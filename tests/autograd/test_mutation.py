"""`allow_mutation_on_saved_tensors`: backward sees tensors as they were when they were saved."""

from __future__ import annotations

from typing import Any

import pytest

from tests.autograd.agreement import agree


def basic(m: Any) -> Any:
    with m.autograd.graph.allow_mutation_on_saved_tensors():
        a = m.ones(2, requires_grad=True)
        b = a.clone()
        out = (b**2).sum()
        b.sin_()
        out.backward()
        return a.grad, b


def result(m: Any) -> Any:
    with m.autograd.graph.allow_mutation_on_saved_tensors():
        a = m.ones(2, requires_grad=True)
        b = a.exp()
        c = b * 2
        b.mul_(3)
        (c.sum() + b.sum()).backward()
        return a.grad


def view(m: Any) -> Any:
    with m.autograd.graph.allow_mutation_on_saved_tensors():
        a = m.ones(3, requires_grad=True)
        b = a * 1
        out = b[:2].pow(2).sum()
        b.zero_()
        out.backward()
        return a.grad


def custom(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * ctx.saved_tensors[0] * g

    with m.autograd.graph.allow_mutation_on_saved_tensors():
        a = m.ones(3, requires_grad=True)
        b = a * 3
        y = F.apply(b)
        b.add_(1)
        y.sum().backward()
        return a.grad


def second(m: Any) -> Any:
    with m.autograd.graph.allow_mutation_on_saved_tensors():
        a = m.tensor([0.5, 1.0], requires_grad=True)
        b = a * 1
        y = b.sin()
        b.mul_(2)
        (g,) = m.autograd.grad(y.sum(), a, create_graph=True)
        return g, m.autograd.grad(g.sum(), a)


def leaf(m: Any) -> Any:
    with m.autograd.graph.allow_mutation_on_saved_tensors():
        a = m.ones(3, requires_grad=True)
        a.add_(1)


def outside(m: Any) -> Any:
    with m.autograd.graph.allow_mutation_on_saved_tensors():
        a = m.ones(3, requires_grad=True)
        y = (a * a).sum()
    y.backward()


def nested(m: Any) -> Any:
    with m.autograd.graph.allow_mutation_on_saved_tensors():
        with m.autograd.graph.allow_mutation_on_saved_tensors():
            pass


def after(m: Any) -> Any:
    try:
        nested(m)
    except RuntimeError:
        pass
    return basic(m)


def param(m: Any) -> Any:
    with m.autograd.graph.allow_mutation_on_saved_tensors():
        w = m.nn.Parameter(m.ones(2))
        y = (w * w).sum()
        with m.no_grad():
            w.mul_(5)
        y.backward()
        return w.grad


CASES = {
    work.__name__: work
    for work in (basic, result, view, custom, second, leaf, outside, nested, after, param)
}


@pytest.mark.parametrize("name", CASES)
def test_writes_to_saved_tensors(name: str) -> None:
    agree(CASES[name])
