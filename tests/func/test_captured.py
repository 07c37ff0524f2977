"""Functions given to `vmap` and `grad` that write to tensors from outside."""

from __future__ import annotations

from typing import Any

import pytest

import torchish
import torchish.func
from tests.autograd.agreement import agree


def pair(m: Any) -> Any:
    return m.tensor([1.0, 2.0])


def bn(m, wrap):
    net = m.nn.BatchNorm1d(2)
    x = m.arange(12.0).reshape(3, 2, 2)
    r = []
    try:
        r.append(wrap(m)(net, x))
    except Exception as e:
        r.append([type(e).__name__, str(e).split("\n")[0]])
    r += [net.running_mean, net.num_batches_tracked]
    net.running_mean.add_(1)
    r.append(net.running_mean + 1)
    return r


def after(m, run):
    n = m.zeros(2)
    r = []
    try:
        r.append(run(m, n))
    except Exception as e:
        r.append([type(e).__name__, str(e).split("\n")[0]])
    r += [n.clone(), n + 1, n._version, n.requires_grad]
    n.add_(1)
    r.append(n)
    return r


def vm_add_number(m: Any) -> Any:
    return after(m, lambda m, n: m.func.vmap(lambda x: (n.add_(1), x * 2)[1])(m.ones(3, 2)))


def vm_add_batched(m: Any) -> Any:
    return after(m, lambda m, n: m.func.vmap(lambda x: (n.add_(x), x * 2)[1])(m.ones(3, 2)))


def vm_copy_batched(m: Any) -> Any:
    return after(m, lambda m, n: m.func.vmap(lambda x: (n.copy_(x), x * 2)[1])(m.ones(3, 2)))


def vm_add_read(m: Any) -> Any:
    return after(m, lambda m, n: m.func.vmap(lambda x: (n.add_(1), x + n)[1])(m.ones(3, 2)))


def vm_set(m: Any) -> Any:
    def f(m, n):
        def g(x):
            n[0] = 5.0
            return x + n

        return m.func.vmap(g)(m.ones(3, 2))

    return after(m, f)


def vm_set_batched(m: Any) -> Any:
    def f(m, n):
        def g(x):
            n[0] = x[0]
            return x + n

        return m.func.vmap(g)(m.ones(3, 2))

    return after(m, f)


def vm_set_view(m: Any) -> Any:
    def f(m, n):
        v = n[:1]

        def g(x):
            v.add_(1)
            return x + n

        return m.func.vmap(g)(m.ones(3, 2))

    return after(m, f)


def vm_zero(m: Any) -> Any:
    return after(m, lambda m, n: m.func.vmap(lambda x: (n.zero_(), n.fill_(3), x)[2])(m.ones(3, 2)))


def vm_then_error(m: Any) -> Any:
    def f(m, n):
        def g(x):
            n.add_(1)
            raise ValueError("boom")

        return m.func.vmap(g)(m.ones(3, 2))

    return after(m, f)


def vm_own_then_ok(m: Any) -> Any:
    def g(x):
        y = m.zeros(2)
        y.add_(x)
        return y

    return m.func.vmap(g)(m.ones(3, 2))


def vm_own_arg(m: Any) -> Any:
    x = m.ones(3, 2)

    def g(x):
        x.add_(1)
        return x * 2

    return m.func.vmap(g)(x), x


def vm_own_arg_view(m: Any) -> Any:
    x = m.ones(3, 2)

    def g(x):
        x[0].add_(1)
        return x * 2

    return m.func.vmap(g)(x), x


def vm_none_arg(m: Any) -> Any:
    x = m.ones(3, 2)
    n = m.zeros(2)

    def g(x, n):
        n.add_(1)
        return x + n

    return m.func.vmap(g, (0, None))(x, n), n


def vm_none_arg_batched(m: Any) -> Any:
    x = m.ones(3, 2)
    n = m.zeros(2)

    def g(x, n):
        n.add_(x)
        return x + n

    return m.func.vmap(g, (0, None))(x, n), n


def g_add(m: Any) -> Any:
    return after(m, lambda m, n: m.func.grad(lambda x: (n.add_(1), (x * n).sum())[1])(pair(m)))


def g_add_x(m: Any) -> Any:
    return after(m, lambda m, n: m.func.grad(lambda x: (n.add_(x), (x * n).sum())[1])(pair(m)))


def g_copy(m: Any) -> Any:
    return after(m, lambda m, n: m.func.grad(lambda x: (n.copy_(x), (x * n).sum())[1])(pair(m)))


def g_set(m: Any) -> Any:
    def f(m, n):
        def h(x):
            n[0] = 3.0
            return (x * n).sum()

        return m.func.grad(h)(pair(m))

    return after(m, f)


def g_view(m: Any) -> Any:
    def f(m, n):
        v = n[:1]

        def h(x):
            v.mul_(2)
            return (x * n).sum()

        return m.func.grad(h)(pair(m))

    return after(m, f)


def g_nograd(m: Any) -> Any:
    def f(m, n):
        def h(x):
            with m.no_grad():
                n.add_(1)
            return (x * n).sum()

        return m.func.grad(h)(pair(m))

    return after(m, f)


def g_data(m: Any) -> Any:
    def f(m, n):
        def h(x):
            n.data.add_(1)
            return (x * n).sum()

        return m.func.grad(h)(pair(m))

    return after(m, f)


def g_detach(m: Any) -> Any:
    def f(m, n):
        def h(x):
            n.detach().add_(1)
            return (x * n).sum()

        return m.func.grad(h)(pair(m))

    return after(m, f)


def g_out(m: Any) -> Any:
    def f(m, n):
        def h(x):
            m.add(x.detach(), 1, out=n)
            return (x * n).sum()

        return m.func.grad(h)(pair(m))

    return after(m, f)


def g_out2(m: Any) -> Any:
    def f(m, n):
        def h(x):
            m.add(m.ones(2), 1, out=n)
            return (x * n).sum()

        return m.func.grad(h)(pair(m))

    return after(m, f)


def g_own(m: Any) -> Any:
    def h(x):
        y = m.zeros(2)
        y.add_(x * 2)
        return (y * x).sum()

    return m.func.grad(h)(pair(m))


def g_arg(m: Any) -> Any:
    x = pair(m)

    def h(x):
        y = x * 1
        y.add_(x)
        x.mul_(2)
        return (y * x).sum()

    r = m.func.grad(h)(x)
    return r, x


def g_other_arg(m: Any) -> Any:
    n = m.zeros(2)

    def h(x, n):
        n.add_(1)
        return (n * x).sum()

    return m.func.grad(h)(pair(m), n), n


def g_nested_inner(m: Any) -> Any:
    def h(x):
        n = m.zeros(2)
        return m.func.grad(lambda z: (n.add_(1), (z * n * x).sum())[1])(x).sum()

    return m.func.grad(h)(pair(m))


def g_param(m: Any) -> Any:
    p = m.nn.Parameter(m.zeros(2))

    def h(x):
        with m.no_grad():
            p.add_(1)
        return (p * x).sum()

    return m.func.grad(h)(pair(m)), p


def v_add(m: Any) -> Any:
    return after(m, lambda m, n: m.func.vjp(lambda x: (n.add_(1), x * n)[1], pair(m))[0])


def j_add(m: Any) -> Any:
    return after(
        m, lambda m, n: m.func.jvp(lambda x: (n.add_(1), x * n)[1], (pair(m),), (pair(m),))
    )


def jr_add(m: Any) -> Any:
    return after(m, lambda m, n: m.func.jacrev(lambda x: (n.add_(1), x * n)[1])(pair(m)))


def jf_add(m: Any) -> Any:
    return after(m, lambda m, n: m.func.jacfwd(lambda x: (n.add_(1), x * n)[1])(pair(m)))


def bn_vmap(m: Any) -> Any:
    return bn(m, lambda m: lambda net, x: m.func.vmap(net)(x))


def bn_grad(m: Any) -> Any:
    return bn(m, lambda m: lambda net, x: m.func.grad(lambda x: net(x).pow(2).sum())(x))


def bn_vmap_grad(m: Any) -> Any:
    return bn(
        m,
        lambda m: (
            lambda net, x: m.func.vmap(m.func.grad(lambda x: net(x).pow(2).sum()))(
                x[:, None].expand(3, 2, 2, 2)
            )
        ),
    )


def bn_eval(m: Any) -> Any:
    return bn(m, lambda m: lambda net, x: m.func.vmap(net.eval())(x[:, None]))


def g_list(m: Any) -> Any:
    m.zeros(2)
    log = []

    def h(x):
        log.append(x * 1)
        return (x * x).sum()

    r = m.func.grad(h)(pair(m))
    return r, log[0].shape


def g_set_same_class(m: Any) -> Any:
    try:
        g_set(m)
    except RuntimeError as error:
        return "would mutate a captured Tensor" in str(error)


CASES = {
    work.__name__: work
    for work in (
        vm_add_number,
        vm_add_batched,
        vm_copy_batched,
        vm_add_read,
        vm_set,
        vm_set_batched,
        vm_set_view,
        vm_zero,
        vm_then_error,
        vm_own_arg,
        vm_own_arg_view,
        vm_none_arg,
        vm_none_arg_batched,
        g_add,
        g_add_x,
        g_copy,
        g_view,
        g_nograd,
        g_data,
        g_detach,
        g_out,
        g_out2,
        g_own,
        g_arg,
        g_other_arg,
        g_nested_inner,
        g_param,
        v_add,
        j_add,
        jr_add,
        jf_add,
        bn_vmap,
        bn_grad,
        bn_vmap_grad,
        bn_eval,
        g_list,
        g_set_same_class,
    )
}


@pytest.mark.parametrize("name", CASES)
def test_writes_to_captured_tensors(name: str) -> None:
    agree(CASES[name])


def test_a_tensor_made_inside_takes_values_of_the_samples() -> None:
    def fill(x: Any) -> Any:
        y = torchish.zeros(2)
        return y.add_(x)  # torch refuses: its y has no sample dimension

    assert torchish.func.vmap(fill)(torchish.ones(3, 2)).tolist() == [[1.0, 1.0]] * 3
