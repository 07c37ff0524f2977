"""Hooks of tensors, nodes and modules: when they run, also after in-place writes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.autograd.agreement import agree


def retain_then(m, write):
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.retain_grad()
    write(m, y)
    (y * y).sum().backward()
    return y.grad, x.grad, y.retains_grad


def retain_relu(m: Any) -> Any:
    return retain_then(m, lambda m, y: y.relu_())


def retain_mul(m: Any) -> Any:
    return retain_then(m, lambda m, y: y.mul_(3))


def retain_set(m: Any) -> Any:
    return retain_then(m, lambda m, y: y.__setitem__(0, 5.0))


def retain_view(m: Any) -> Any:
    return retain_then(m, lambda m, y: y[:1].mul_(3))


def retain_zero(m: Any) -> Any:
    return retain_then(m, lambda m, y: y.zero_())


def retain_copy(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = m.zeros(2)
    y.add_(x)
    y.retain_grad()
    y.mul_(2)
    y.retain_grad()
    y.sum().backward()
    return y.grad, x.grad


def retain_after(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.mul_(3)
    y.retain_grad()
    y.sum().backward()
    return y.grad


def retain_view_self(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    v = y[:1]
    v.retain_grad()
    v.mul_(3)
    (v * v).sum().backward()
    return v.grad, x.grad


def retain_view_base_written(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    v = y[:1]
    v.retain_grad()
    y.mul_(3)
    (v * v).sum().backward()
    return v.grad, x.grad, v.retains_grad


def retain_both(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.retain_grad()
    z = y.clone()
    y.mul_(3)
    (y.sum() + z.sum()).backward()
    return y.grad, x.grad


def hook_then(m, write):
    log = []
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: log.append(("a", g.tolist())) or g * 10)
    write(m, y)
    y.register_hook(lambda g: log.append(("b", g.tolist())) or g + 1)
    (y * y).sum().backward()
    return log, x.grad


def hook_relu(m: Any) -> Any:
    return hook_then(m, lambda m, y: y.relu_())


def hook_mul(m: Any) -> Any:
    return hook_then(m, lambda m, y: y.mul_(3))


def hook_set(m: Any) -> Any:
    return hook_then(m, lambda m, y: y.__setitem__(0, 5.0))


def hook_view(m: Any) -> Any:
    return hook_then(m, lambda m, y: y[:1].mul_(3))


def hook_retain_order(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    y.retain_grad()
    y.register_hook(lambda g: g + 1)
    y.sum().backward()
    return y.grad, x.grad


def hook_retain_inplace(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.mul_(3)
    y.sum().backward()
    return y.grad, x.grad


def hook_on_view_then(m: Any) -> Any:
    log = []
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    v = y[:1]
    v.register_hook(lambda g: log.append(g.tolist()))
    v.mul_(3)
    (v.sum() + y.sum()).backward()
    return log, x.grad


def leaf_hook_data(m: Any) -> Any:
    log = []
    x = m.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(lambda g: log.append(g.tolist()))
    with m.no_grad():
        x.mul_(3)
    (x * x).sum().backward()
    return log, x.grad


def leaf_hook_then_nonleaf(m: Any) -> Any:
    log = []
    x = m.tensor([1.0, 2.0])
    w = m.ones(2, requires_grad=True)
    x.add_(w)
    x.register_hook(lambda g: log.append(g.tolist()))
    x.mul_(2)
    x.sum().backward()
    return log


def fn_hook_inplace(m: Any) -> Any:
    log = []
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.grad_fn.register_hook(
        lambda gi, go: log.append(
            ("post", [None if g is None else g.tolist() for g in gi], [g.tolist() for g in go])
        )
    )
    y.grad_fn.register_prehook(lambda go: log.append(("pre", [g.tolist() for g in go])))
    y.mul_(3)
    y.sum().backward()
    return log, x.grad


def fn_hook_replaces(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * 7, *gi[1:]))
    y.grad_fn.register_prehook(lambda go: (go[0] + 1,))
    y.sum().backward()
    return x.grad


def fn_hook_wrong_count(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.grad_fn.register_hook(lambda gi, go: (gi[0],))
    y.sum().backward()


def fn_prehook_wrong_count(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.grad_fn.register_prehook(lambda go: (go[0], go[0]))
    y.sum().backward()


def fn_hook_bad_type(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.grad_fn.register_hook(lambda gi, go: 3)
    y.sum().backward()


def fn_prehook_bad_type(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.grad_fn.register_prehook(lambda go: 3)
    y.sum().backward()


def hook_bad_type(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: 3)
    y.sum().backward()


def hook_wrong_shape(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g[:1])
    y.sum().backward()


def hook_wrong_dtype(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g.double())
    y.sum().backward()
    return x.grad


def hook_none_arg(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(3)
    x.sum().backward()


def post_acc(m: Any) -> Any:
    log = []
    x = m.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(lambda g: log.append(("hook", x.grad is None)))
    x.register_post_accumulate_grad_hook(lambda p: log.append(("post", p is x, p.grad.tolist())))
    (x * x).sum().backward()
    (x * 3).sum().backward()
    return log, x.grad


def post_acc_grad(m: Any) -> Any:
    log = []
    x = m.tensor([1.0, 2.0], requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda p: log.append(1))
    m.autograd.grad((x * x).sum(), x)
    m.autograd.backward((x * x).sum(), inputs=[x])
    return log, x.grad


def post_acc_returns(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda p: 3)
    x.sum().backward()


def post_acc_clears(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True)

    def h(p):
        p.grad = None

    x.register_post_accumulate_grad_hook(h)
    x.sum().backward()
    return x.grad


def post_acc_nonleaf(m: Any) -> Any:
    x = m.tensor([1.0, 2.0], requires_grad=True) * 1
    x.register_post_accumulate_grad_hook(lambda p: 3)


def post_acc_plain(m: Any) -> Any:
    m.tensor([1.0, 2.0]).register_post_accumulate_grad_hook(lambda p: 3)


def order_leaf(m: Any) -> Any:
    log = []
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    acc = y.grad_fn.next_functions[0][0]
    x.register_hook(lambda g: log.append("tensor1"))
    acc.register_prehook(lambda g: log.append("pre1"))
    acc.register_hook(lambda gi, go: log.append(("node1", len(gi), len(go))))
    x.register_post_accumulate_grad_hook(lambda p: log.append("post acc"))
    x.register_hook(lambda g: log.append("tensor2"))
    acc.register_prehook(lambda g: log.append("pre2"))
    acc.register_hook(lambda gi, go: log.append("node2"))
    y.sum().backward()
    return log


def order_node(m: Any) -> Any:
    log = []
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.grad_fn.register_hook(lambda gi, go: log.append("node post"))
    y.grad_fn.register_prehook(lambda g: log.append("node pre"))
    y.register_hook(lambda g: log.append("tensor"))
    y.retain_grad()
    x.register_hook(lambda g: log.append("leaf"))
    z = y.sin()
    z.register_hook(lambda g: log.append("z"))
    z.sum().backward()
    return log


def order_multi(m: Any) -> Any:
    log = []
    x, w = m.ones(2, requires_grad=True), m.ones(2, requires_grad=True)
    a, b = x * 2, w * 3
    m.autograd.graph.register_multi_grad_hook(
        (a, b), lambda gs: log.append(("all", [g.tolist() for g in gs]))
    )
    m.autograd.graph.register_multi_grad_hook(
        (a, b), lambda g: log.append(("any", g.tolist())), mode="any"
    )
    a.register_hook(lambda g: log.append("a"))
    b.register_hook(lambda g: log.append("b"))
    x.register_hook(lambda g: log.append("x"))
    w.register_hook(lambda g: log.append("w"))
    (a * b).sum().backward()
    return log


def order_leaves(m: Any) -> Any:
    log = []
    ps = [m.ones(1, requires_grad=True) for _ in range(4)]
    for k, p in enumerate(ps):
        p.register_hook(lambda g, k=k: log.append(k))
        p.register_post_accumulate_grad_hook(lambda p, k=k: log.append(("acc", k)))
    y = ps[0] * ps[1]
    z = y + ps[2] * ps[3]
    w = z * ps[0] + ps[1]
    w.sum().backward()
    return log


def order_net(m: Any) -> Any:
    log = []
    net = m.nn.Sequential(
        m.nn.Linear(2, 3),
        m.nn.ReLU(),
        m.nn.Linear(3, 3),
        m.nn.LayerNorm(3),
        m.nn.Linear(3, 1, bias=False),
    )
    for n, p in net.named_parameters():
        p.register_hook(lambda g, n=n: log.append(n))
        p.register_post_accumulate_grad_hook(lambda p, n=n: log.append("acc " + n))
    net(m.ones(4, 2)).sum().backward()
    return log


def order_conv(m: Any) -> Any:
    log = []
    net = m.nn.Sequential(
        m.nn.Conv2d(1, 2, 3),
        m.nn.BatchNorm2d(2),
        m.nn.ReLU(True),
        m.nn.Flatten(),
        m.nn.Linear(8, 2),
    )
    for n, p in net.named_parameters():
        p.register_hook(lambda g, n=n: log.append(n))
    net(m.ones(4, 1, 4, 4)).sum().backward()
    return log


def order_multi_leaf(m: Any) -> Any:
    log = []
    net = m.nn.Sequential(m.nn.Linear(2, 3), m.nn.Tanh(), m.nn.Linear(3, 1))
    ps = list(net.parameters())
    m.autograd.graph.register_multi_grad_hook(
        ps, lambda gs: log.append(("all", [p.grad is None for p in ps]))
    )
    m.autograd.graph.register_multi_grad_hook(
        ps, lambda g: log.append(("any", tuple(g.shape))), mode="any"
    )
    for k, p in enumerate(ps):
        p.register_hook(lambda g, k=k: log.append(k))
        p.register_post_accumulate_grad_hook(lambda p, k=k: log.append(("acc", k)))
    net(m.ones(4, 2)).sum().backward()
    return log


def multi_partial(m: Any) -> Any:
    log = []
    x, w = m.ones(2, requires_grad=True), m.ones(2, requires_grad=True)
    h = m.autograd.graph.register_multi_grad_hook(
        (x, w), lambda gs: log.append([None if g is None else g.tolist() for g in gs])
    )
    (x * 2).sum().backward()
    (x * w).sum().backward(inputs=[w])
    (x * w).sum().backward()
    h.remove()
    (x * w).sum().backward()
    return log


def multi_bad(m: Any) -> Any:
    m.autograd.graph.register_multi_grad_hook((m.ones(1, requires_grad=True),), id, mode="some")


def multi_plain(m: Any) -> Any:
    m.autograd.graph.register_multi_grad_hook((m.ones(1),), id)


def multi_any_plain(m: Any) -> Any:
    m.autograd.graph.register_multi_grad_hook((m.ones(1),), id, mode="any")


def multi_raises(m: Any) -> Any:
    x = m.ones(2, requires_grad=True)

    def h(gs):
        raise ValueError("boom")

    m.autograd.graph.register_multi_grad_hook((x,), h)
    (x * 2).sum().backward()


def bw_hook_inplace_relu(m: Any) -> Any:
    net = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.ReLU(inplace=True))
    net[0].register_full_backward_hook(lambda mod, gi, go: None)
    return net(m.ones(1, 2, requires_grad=True))


def bw_prehook_inplace_relu(m: Any) -> Any:
    net = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.ReLU(inplace=True))
    net[0].register_full_backward_pre_hook(lambda mod, go: None)
    return net(m.ones(1, 2, requires_grad=True))


def bw_hook_on_relu(m: Any) -> Any:
    net = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.ReLU(inplace=True))
    net[1].register_full_backward_hook(lambda mod, gi, go: None)
    return net(m.ones(1, 2, requires_grad=True))


def bw_hook_two_outputs(m: Any) -> Any:
    class Two(m.nn.Module):
        def forward(self, x):
            return x * 2, x * 3

    t = Two()
    t.register_full_backward_hook(lambda mod, gi, go: None)
    a, _b = t(m.ones(1, 2, requires_grad=True))
    a.mul_(2)


def bw_hook_out_of_place(m: Any) -> Any:
    log = []
    net = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.ReLU())
    net[0].register_full_backward_hook(
        lambda mod, gi, go: log.append((tuple(gi[0].shape), tuple(go[0].shape)))
    )
    net(m.ones(1, 2, requires_grad=True)).sum().backward()
    return log


def old_bw_hook_inplace(m: Any) -> Any:
    log = []
    net = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.ReLU(inplace=True))
    net[0].register_backward_hook(lambda mod, gi, go: log.append((len(gi), len(go))))
    net(m.ones(1, 2, requires_grad=True)).sum().backward()
    return log


def bw_hook_nograd_input(m: Any) -> Any:
    log = []
    net = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.ReLU(inplace=True))
    net[0].register_full_backward_hook(lambda mod, gi, go: log.append((gi, go[0].shape)))
    net(m.ones(1, 2)).sum().backward()
    return log


def hook_handles(m: Any) -> Any:
    x = m.ones(1, requires_grad=True)
    y = x * 2
    h = y.register_hook(lambda g: g * 10)
    y.mul_(2)
    h.remove()
    y.sum().backward()
    return x.grad


def backward_hooks_attr(m: Any) -> Any:
    x = m.ones(1, requires_grad=True)
    y = x * 2
    a = x._backward_hooks is None, y._backward_hooks is None
    x.register_hook(lambda g: g)
    y.register_hook(lambda g: g)
    return a, len(x._backward_hooks), len(y._backward_hooks)


def hook_during_backward(m: Any) -> Any:
    log = []
    x = m.ones(1, requires_grad=True)
    y = x * 2
    z = y * 3
    z.register_hook(lambda g: y.register_hook(lambda g: log.append(g.tolist())) and None)
    z.sum().backward()
    return log


def detach_inplace_hook(m: Any) -> Any:
    log = []
    x = m.ones(1, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: log.append(1))
    y.retain_grad()
    y.detach_()
    z = (y + x).sum()
    z.backward()
    return log, y.grad, y.requires_grad


def grad_with_hooks(m: Any) -> Any:
    log = []
    x = m.ones(1, requires_grad=True)
    x.register_hook(lambda g: log.append("leaf") or g * 3)
    y = x * 2
    y.register_hook(lambda g: log.append("y") or g * 10)
    (gx, gy) = m.autograd.grad(y.sum(), (x, y))
    return gx, gy, log


def grad_prehook_capture(m: Any) -> Any:
    log = []
    x = m.ones(1, requires_grad=True)
    y = x * 2
    y.grad_fn.register_prehook(lambda g: log.append("pre") or (g[0] * 5,))
    y.register_hook(lambda g: log.append("y") or g * 10)
    y.retain_grad()
    (gx, gy) = m.autograd.grad(y.sum(), (x, y))
    return gx, gy, log, y.grad


CASES = {
    work.__name__: work
    for work in (
        retain_relu,
        retain_mul,
        retain_set,
        retain_view,
        retain_zero,
        retain_copy,
        retain_after,
        retain_view_self,
        retain_view_base_written,
        retain_both,
        hook_relu,
        hook_mul,
        hook_set,
        hook_view,
        hook_retain_order,
        hook_retain_inplace,
        hook_on_view_then,
        leaf_hook_data,
        leaf_hook_then_nonleaf,
        fn_hook_inplace,
        fn_hook_replaces,
        fn_hook_wrong_count,
        fn_prehook_wrong_count,
        fn_hook_bad_type,
        fn_prehook_bad_type,
        hook_bad_type,
        hook_wrong_shape,
        hook_wrong_dtype,
        hook_none_arg,
        post_acc,
        post_acc_grad,
        post_acc_returns,
        post_acc_clears,
        post_acc_nonleaf,
        post_acc_plain,
        order_leaf,
        order_node,
        order_multi,
        order_leaves,
        order_net,
        order_conv,
        order_multi_leaf,
        multi_partial,
        multi_bad,
        multi_plain,
        multi_any_plain,
        multi_raises,
        bw_hook_inplace_relu,
        bw_prehook_inplace_relu,
        bw_hook_on_relu,
        bw_hook_two_outputs,
        bw_hook_out_of_place,
        old_bw_hook_inplace,
        bw_hook_nograd_input,
        hook_handles,
        backward_hooks_attr,
        hook_during_backward,
        detach_inplace_hook,
        grad_with_hooks,
        grad_prehook_capture,
    )
}


@pytest.mark.parametrize("name", CASES)
def test_hooks(name: str) -> None:
    agree(CASES[name])
