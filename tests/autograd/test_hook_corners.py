"""Hooks on tensors that are written to, their order, and hooks on what is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import part, tries

case = CASES = oracle.Cases()


@case
def retain_views(torch: Any) -> Any:
    x = torch.ones(4, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y[1:3].mul_(5)
    y.sum().backward()
    return y.grad, x.grad


@case
def retain_twice_inplace(torch: Any) -> Any:
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.add_(1)
    y.retain_grad()
    y.mul_(3)
    y.exp().sum().backward()
    return y.grad, x.grad, y.retains_grad


@case
def hook_order(torch: Any) -> Any:
    log = []
    x = torch.ones(1, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: log.append(("h1", g.item())))
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.grad_fn.register_prehook(lambda g: log.append(("pre", g[0].item())))
    y.grad_fn.register_hook(lambda gi, go: log.append(("post", gi[0].item(), go[0].item())))
    x.register_hook(lambda g: log.append(("leaf", g.item())))
    x.register_post_accumulate_grad_hook(lambda t: log.append(("acc", t.grad.item())))
    y.backward()
    return log, y.grad, x.grad


@case
def hook_then_inplace(torch: Any) -> Any:
    log = []
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: log.append(g.tolist()))
    y.mul_(3)
    y.register_hook(lambda g: log.append(("new", g.tolist())))
    y.sum().backward()
    return log, x.grad


@case
def hook_remove(torch: Any) -> Any:
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    h = y.register_hook(lambda g: g * 100)
    y.mul_(3)
    h.remove()
    y.sum().backward()
    return x.grad


@case
def full_backward_inplace(torch: Any) -> Any:
    nn = torch.nn
    m = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True))
    m[0].register_full_backward_hook(lambda *a: None)
    m2 = nn.Sequential(nn.ReLU(inplace=True))
    m2[0].register_full_backward_hook(lambda *a: None)
    x = torch.ones(1, 2, requires_grad=True)
    return tries(
        lambda: m(torch.ones(1, 2)).sum().backward(),
        lambda: m2(x * 1).sum().backward(),
        lambda: m2(x).sum().backward(),
    )


@case
def multi_grad(torch: Any) -> Any:
    reg = part(torch, "autograd.graph").register_multi_grad_hook
    log = []
    a, b, c = (torch.ones(1, requires_grad=True) for _ in range(3))
    reg((a, b, c), lambda gs: log.append([None if g is None else g.item() for g in gs]))
    reg((a, c), lambda g: log.append(("any", g.item())), mode="any")
    (a * 2 + b * 3).backward()
    (a * c).backward()
    return log


@case
def retain_leaf_and_nograd(torch: Any) -> Any:
    return tries(
        lambda: torch.ones(1).retain_grad(),
        lambda: torch.ones(1, requires_grad=True).retain_grad(),
        lambda: torch.ones(1).register_hook(print),
        lambda: (torch.ones(1, requires_grad=True) * 2).register_post_accumulate_grad_hook(print),
    )


@case
def hooks(torch: Any) -> Any:
    g = part(torch, "autograd.graph")
    log = []

    def pack(t):
        log.append(("p", tuple(t.shape)))
        return t * 2

    def unpack(t):
        log.append(("u", tuple(t.shape)))
        return t / 2

    x = torch.tensor([[0.5, 2.0]], requires_grad=True)
    w = torch.ones(2, 3, requires_grad=True)
    with g.saved_tensors_hooks(pack, unpack):
        y = (x @ w).tanh().sum() * x.exp().sum()
    y.backward()
    return x.grad, w.grad, log


@case
def errors(torch: Any) -> Any:
    g = part(torch, "autograd.graph")

    def run(p, u):
        x = torch.ones(2, requires_grad=True)
        with g.saved_tensors_hooks(p, u):
            y = x.exp()
        y.sum().backward()
        return x.grad

    def dis():
        with g.disable_saved_tensors_hooks("no!"):
            with g.saved_tensors_hooks(lambda t: t, lambda t: t):
                pass

    return tries(
        lambda: run(lambda t: t.numpy(), lambda t: torch.from_numpy(t)),
        lambda: run(lambda t: None, lambda t: None),
        lambda: run(lambda t: t, lambda t: 3),
        lambda: run(lambda t: t.mul_(2), lambda t: t),
        lambda: run(lambda t: 1 / 0, lambda t: t),
        dis,
        lambda: run(lambda t: t.double(), lambda t: t.float()),
        lambda: g.saved_tensors_hooks(1, 2).__enter__(),
    )


@case
def save_on_cpu(torch: Any) -> Any:
    g = part(torch, "autograd.graph")
    x = torch.rand(3, dtype=torch.float64, requires_grad=True)
    with g.save_on_cpu():
        y = (x.sin() * x.exp()).sum()
    (a,) = torch.autograd.grad(y, x, create_graph=True)
    (b,) = torch.autograd.grad(a.sum(), x)
    return a, b


@case
def foreach(torch: Any) -> Any:
    a = [torch.ones(2), torch.full((3,), 2.0)]
    b = [torch.full((2,), 3.0), torch.ones(3)]

    def f(n: str) -> Any:
        return getattr(torch, "_foreach_" + n)

    return tries(
        lambda: f("add")(a, b, alpha=2),
        lambda: f("mul")(a, 2),
        lambda: f("div")(a, b),
        lambda: f("norm")(a, 2),
        lambda: f("norm")(a, float("inf")),
        lambda: f("lerp")(a, b, 0.3),
        lambda: f("addcdiv")(a, b, b, 2.0),
        lambda: f("addcmul")(a, b, b, [1.0, 2.0]),
        lambda: f("pow")(2.0, a),
        lambda: f("maximum")(a, 1.5),
        lambda: f("clamp_min")(a, b),
        lambda: f("add")(a, b[:1]),
        lambda: f("add")([], 1),
        lambda: f("copy_")(a, b),
        lambda: f("sqrt_")(a),
        lambda: f("max")(a),
        lambda: f("sign")(a),
        lambda: f("add_")(a, torch.tensor(1.0)),
        lambda: f("mul")(a, torch.ones(2)),
        lambda: f("sub")(a, [1.0, 2.0]),
        lambda: f("neg")(a),
        lambda: f("zero_")(a),
        lambda: a,
    ), tries(
        lambda: torch.nn.utils.clip_grad_norm_([], 1.0),
        lambda: torch.nn.utils.get_total_norm(b, 1.0),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
