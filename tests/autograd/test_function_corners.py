"""Functions that save what they return, write to their input or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import part, tries

case = CASES = oracle.Cases()


@case
def sigmoid_output_third(torch: Any) -> Any:
    class S(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.sigmoid()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y * (1 - y)

    x = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)
    y = S.apply(x).sum()
    out = []
    for _ in range(3):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        out.append(y)
    return out


@case
def two_outputs_saved(torch: Any) -> Any:
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            a, b = x.exp(), x.sin()
            ctx.save_for_backward(a, b, x)
            return a, b

        @staticmethod
        def backward(ctx, ga, gb):
            a, b, _ = ctx.saved_tensors
            return ga * a + gb * (1 - b * b).sqrt()

    x = torch.tensor([0.3, 0.2], dtype=torch.float64, requires_grad=True)
    a, b = F.apply(x)
    (g,) = torch.autograd.grad((a * b).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    return g, h, a.grad_fn is b.grad_fn


@case
def saved_output_modified(torch: Any) -> Any:
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = torch.ones(2, requires_grad=True)
    y = F.apply(x)
    y.mul_(2)
    return tries(lambda: y.sum().backward())


@case
def attr_saved_on_ctx(torch: Any) -> Any:
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.y = y
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.y

    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(F.apply(x).sum(), x, create_graph=True)
    return g, tries(lambda: torch.autograd.grad(g.sum(), x))


@case
def dirty_nonleaf(torch: Any) -> Any:
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(3)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    w = torch.ones(2, requires_grad=True)
    y = w * 1
    z = F.apply(y)
    z.sum().backward()
    return z is y, w.grad, type(y.grad_fn).__name__, y


@case
def not_dirty_but_changed(torch: Any) -> Any:
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    w = torch.ones(2, requires_grad=True)
    z = F.apply(w)
    z.sum().backward()
    return z is w, z.is_leaf, w.grad


@case
def saved_twice_and_none(torch: Any) -> Any:
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            r = x.sqrt()
            ctx.save_for_backward(r, None, r, y)
            return r

        @staticmethod
        def backward(ctx, g):
            r, n, r2, _ = ctx.saved_tensors
            assert n is None
            return g / (r + r2), None

    x = torch.full((2,), 4.0, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(F.apply(x, torch.ones(1)).sum(), x, create_graph=True)
    return g, torch.autograd.grad(g.sum(), x)


@case
def func_hessian(torch: Any) -> Any:
    class S(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x.softmax(0)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return y * (g - (g * y).sum())

    x = torch.tensor([0.1, 0.5, -0.3], dtype=torch.float64)
    return torch.func.hessian(
        lambda t: (S.apply(t) * torch.arange(3.0, dtype=torch.float64)).sum()
    )(x)


@case
def non_tensor_saved(torch: Any) -> Any:
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    return tries(lambda: F.apply(torch.ones(1, requires_grad=True)))


@case
def saved_after_free(torch: Any) -> Any:
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            ctx.saved_tensors
            return g

    x = torch.ones(1, requires_grad=True)
    y = F.apply(x)
    y.backward()
    return tries(lambda: y.backward(), lambda: y.grad_fn.saved_tensors)


@case
def once_differentiable(torch: Any) -> Any:
    once = part(torch, "autograd.function").once_differentiable

    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        @once
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = torch.ones(1, requires_grad=True)
    (g,) = torch.autograd.grad(F.apply(x), x, create_graph=True)
    return g, tries(lambda: g.backward())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
