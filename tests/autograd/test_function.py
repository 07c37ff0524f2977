"""`autograd.Function`: saved outputs, dirty inputs, views, several results, as PyTorch has them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.autograd.agreement import agree


def own_exp(m: Any) -> Any:
    class Exp(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    return Exp


def own_exp_setup(m: Any) -> Any:
    class Exp(m.autograd.Function):
        @staticmethod
        def forward(x):
            return x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    return Exp


def several(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            a, b = x.exp(), (x * w).sqrt()
            ctx.save_for_backward(a, b, x, w)
            return a, b

        @staticmethod
        def backward(ctx, ga, gb):
            a, b, x, w = ctx.saved_tensors
            return ga * a + gb * w / (2 * b), gb * x / (2 * b)

    return F


def softmax(m: Any) -> Any:
    class S(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = m.softmax(x, -1)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            y = ctx.saved_tensors[0]
            return y * (g - (g * y).sum(-1, keepdim=True))

    return S


def hess(m, f, n=3):
    x = m.tensor([0.3, 0.7, 1.1][:n], dtype=m.float64, requires_grad=True)
    return m.autograd.functional.hessian(f, x)


def ident(m, dirty):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            if dirty:
                x.exp_()
                ctx.mark_dirty(x)
            ctx.save_for_backward(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    return F


def dirty_leaf(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)
    return ident(m, True).apply(x)


def dirty_nonleaf(m: Any) -> Any:
    x = m.ones(2, requires_grad=True, dtype=m.float64)
    y = x * 2
    z = ident(m, True).apply(y)
    (g,) = m.autograd.grad(z.sum(), x, create_graph=True)
    (h,) = m.autograd.grad(g.sum(), x)
    return z, g, h, z is y, z.grad_fn.name(), y._version


def dirty_view_of_leaf(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)
    return ident(m, True).apply(x[:1])


def dirty_view(m: Any) -> Any:
    x = m.ones(3, requires_grad=True, dtype=m.float64)
    y = x * 2
    v = y[:2]
    z = ident(m, True).apply(v)
    (g,) = m.autograd.grad(y.sum(), x)
    return y, z, g, y.grad_fn.name(), z is v


def dirty_not_returned(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            x.add_(1)
            ctx.mark_dirty(x)
            return y * 2

        @staticmethod
        def backward(ctx, g):
            return None, g

    a = m.ones(2, requires_grad=True) * 1
    return F.apply(a, m.ones(2, requires_grad=True))


def dirty_not_input(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            ctx.mark_dirty(y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g

    return F.apply(m.ones(2, requires_grad=True))


def dirty_not_tensor(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(3)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    return F.apply(m.ones(2, requires_grad=True))


def dirty_plain(m: Any) -> Any:
    x = m.ones(2)
    z = ident(m, True).apply(x)
    return x, z is x, x._version, z.requires_grad


def dirty_other_requires(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            x.add_(y)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g, g * 5

    x = m.ones(2)
    w = m.ones(2, requires_grad=True)
    z = F.apply(x, w)
    z.sum().backward()
    return z, z is x, w.grad, x.requires_grad


def returned_input(m: Any) -> Any:
    x = m.ones(2, requires_grad=True, dtype=m.float64) * 2
    z = ident(m, False).apply(x)
    (g,) = m.autograd.grad(z.sum(), x)
    return z, g, z is x


def returned_input_then_inplace(m: Any) -> Any:
    x = m.ones(2, requires_grad=True, dtype=m.float64) * 2
    z = ident(m, False).apply(x)
    z.add_(1)
    return z


def returned_plain_input_then_inplace(m: Any) -> Any:
    x = m.ones(2)
    z = ident(m, False).apply(x)
    z.add_(1)
    return z, z is x, z._is_view()


def fn_view(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:2]

        @staticmethod
        def backward(ctx, g):
            return m.cat([g, m.zeros(1)])

    x = m.ones(3, requires_grad=True) * 2
    z = F.apply(x)
    r = [z._is_view(), z.grad_fn.name()]
    try:
        z.add_(1)
    except RuntimeError as e:
        r.append(str(e))
    return r


def fn_view_base_written(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:2]

        @staticmethod
        def backward(ctx, g):
            return m.cat([g, m.zeros(1)])

    x = m.ones(3, requires_grad=True) * 2
    z = F.apply(x)
    x.add_(1)
    return z.grad_fn


def two_views(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:2], x[1:]

        @staticmethod
        def backward(ctx, g, h):
            return m.cat([g, m.zeros(1)])

    x = m.ones(3, requires_grad=True) * 2
    a, _b = F.apply(x)
    a.mul_(2)
    return a


def same_output_twice(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            return y, y

        @staticmethod
        def backward(ctx, g, h):
            return g * 2 + h * 3

    x = m.ones(3, requires_grad=True)
    a, b = F.apply(x)
    (ga,) = m.autograd.grad(a.sum(), x, retain_graph=True)
    return a, b, a is b, ga


def inplace_on_saved_out(m: Any) -> Any:
    x = m.ones(3, requires_grad=True)
    y = own_exp(m).apply(x)
    y.add_(1)
    y.sum().backward()


def freed_saved(m: Any) -> Any:
    x = m.ones(3, requires_grad=True)
    y = own_exp(m).apply(x)
    y.sum().backward()
    y.sum().backward()


def inspect_saved(m: Any) -> Any:
    x = m.ones(3, requires_grad=True)
    y = own_exp(m).apply(x)
    s = y.grad_fn.saved_tensors
    return s, s[0] is y, s[0].grad_fn is y.grad_fn, s[0].output_nr, s[0].is_leaf


def saved_intermediate(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            t = x.exp()
            ctx.save_for_backward(t, x)
            return t * 2

        @staticmethod
        def backward(ctx, g):
            t, _x = ctx.saved_tensors
            return g * t * 2

    x = m.ones(2, requires_grad=True, dtype=m.float64)
    (g,) = m.autograd.grad(F.apply(x).sum(), x, create_graph=True)
    r = [g]
    try:
        r.append(m.autograd.grad(g.sum(), x, allow_unused=True))
    except RuntimeError as e:
        r.append(str(e))
    return r


def gg(m: Any) -> Any:
    x = m.tensor([0.3, 0.7], dtype=m.float64, requires_grad=True)
    return [
        m.autograd.gradgradcheck(f.apply, x) for f in (own_exp(m), own_exp_setup(m), softmax(m))
    ]


def gg2(m: Any) -> Any:
    x = m.tensor([0.3, 0.7], dtype=m.float64, requires_grad=True)
    w = m.tensor([1.3, 0.7], dtype=m.float64, requires_grad=True)
    return m.autograd.gradgradcheck(several(m).apply, (x, w))


def func_gg(m: Any) -> Any:
    f = own_exp_setup(m).apply
    return m.func.grad(m.func.grad(lambda x: f(x).sum()))(m.tensor(0.5))


def func_ggg(m: Any) -> Any:
    f = own_exp_setup(m).apply
    return m.func.grad(m.func.grad(m.func.grad(lambda x: f(x) * x)))(m.tensor(0.5))


def func_refuses(m: Any) -> Any:
    f = own_exp(m).apply
    return m.func.grad(lambda x: f(x).sum())(m.tensor(0.5))


def func_vmap_refuses(m: Any) -> Any:
    f = own_exp_setup(m).apply
    return m.func.vmap(f)(m.ones(3))


def vmap_rule(m: Any) -> Any:
    class F(m.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = m.tensor([0.1, 0.5])
    return m.func.vmap(F.apply)(x), m.func.vmap(m.func.grad(m.func.grad(F.apply)))(x)


def jac_hess(m: Any) -> Any:
    f = own_exp_setup(m).apply
    x = m.tensor([0.1, 0.5])
    return (
        m.func.jacrev(m.func.grad(lambda x: (f(x) * x).sum()))(x)
        if False
        else m.func.grad(lambda x: m.func.grad(lambda z: f(z).sum())(x).sum())(x)
    )


def nondiff_saved(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            v, i = x.sort()
            ctx.mark_non_differentiable(i)
            ctx.save_for_backward(i, v)
            return v, i

        @staticmethod
        def backward(ctx, g, gi):
            i, v = ctx.saved_tensors
            return m.zeros(3, dtype=g.dtype).scatter(0, i, g * v)

    x = m.tensor([3.0, 1.0, 2.0], requires_grad=True)
    v, i = F.apply(x)
    (g,) = m.autograd.grad(v.sum(), x, create_graph=True)
    (h,) = m.autograd.grad(g.sum(), x)
    return v, i, g, h


def save_bad(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, 3)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    return F.apply(m.ones(1, requires_grad=True))


def cycle_free(m: Any) -> Any:
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        x = m.ones(3, requires_grad=True)
        y = own_exp(m).apply(x)
        r = weakref.ref(y)
        n = weakref.ref(y.grad_fn)
        del y
        return r() is None, n() is None
    finally:
        gc.enable()


def materialize(m: Any) -> Any:
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            y, z = x.exp(), x.sin()
            ctx.save_for_backward(y)
            return y, z

        @staticmethod
        def backward(ctx, g, h):
            (y,) = ctx.saved_tensors
            return None if g is None else g * y

    x = m.ones(2, requires_grad=True)
    y, z = F.apply(x)
    return m.autograd.grad(y.sum(), x, create_graph=True)[0], z.grad_fn.name()


CASES = {
    "hess exp": lambda m: hess(m, lambda x: own_exp(m).apply(x).sum()),
    "hess setup": lambda m: hess(m, lambda x: own_exp_setup(m).apply(x).sum()),
    "hess several": lambda m: hess(m, lambda x: sum(t.sum() for t in several(m).apply(x, x))),
    "hess softmax": lambda m: hess(m, lambda x: (softmax(m).apply(x) ** 2).sum()),
}
CASES |= {
    f.__name__: f
    for f in [
        dirty_leaf,
        dirty_nonleaf,
        dirty_view_of_leaf,
        dirty_view,
        dirty_not_returned,
        dirty_not_input,
        dirty_not_tensor,
        dirty_plain,
        dirty_other_requires,
        returned_input,
        returned_input_then_inplace,
        returned_plain_input_then_inplace,
        fn_view,
        fn_view_base_written,
        two_views,
        same_output_twice,
        inplace_on_saved_out,
        freed_saved,
        inspect_saved,
        saved_intermediate,
        gg,
        gg2,
        func_gg,
        func_ggg,
        func_refuses,
        func_vmap_refuses,
        vmap_rule,
        jac_hess,
        nondiff_saved,
        save_bad,
        cycle_free,
        materialize,
    ]
}


@pytest.mark.parametrize("name", CASES)
def test_a_custom_function(name: str) -> None:
    agree(CASES[name])
