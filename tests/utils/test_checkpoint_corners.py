"""Checkpointed functions that change between their two runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import part, tries

case = CASES = oracle.Cases()


def _checkpoint(torch: Any) -> Any:
    return part(torch, "utils.checkpoint")


@case
def changed_module_state(torch: Any) -> Any:
    k = {"n": 0}

    def f(x):
        k["n"] += 1
        return (x * k["n"]).sin() if k["n"] % 2 else x.sin().cos().exp()

    x = torch.ones(2, requires_grad=True)

    def run():
        k["n"] = 0
        _checkpoint(torch).checkpoint(f, x, use_reentrant=False).sum().backward()

    return [s.split("\n")[0] for s in tries(run)], x.grad


@case
def param_changed_between(torch: Any) -> Any:
    w = torch.ones(2, requires_grad=True)
    x = torch.full((2,), 3.0, requires_grad=True)
    y = _checkpoint(torch).checkpoint(lambda t: t * w * w, x, use_reentrant=False)
    with torch.no_grad():
        w.mul_(2)
    return tries(lambda: y.sum().backward()), x.grad, w.grad


@case
def rng(torch: Any) -> Any:
    torch.manual_seed(3)
    x = torch.ones(6, requires_grad=True)
    out = []
    for p in (True, False):
        torch.manual_seed(3)
        x.grad = None
        y = _checkpoint(torch).checkpoint(
            lambda t: torch.nn.functional.dropout(t, 0.5),
            x,
            use_reentrant=False,
            preserve_rng_state=p,
        )
        y.sum().backward()
        out += [y, x.grad.clone(), torch.rand(1)]
    return out


@case
def nested_and_kwargs(torch: Any) -> Any:
    c = _checkpoint(torch).checkpoint
    x = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    calls = []

    def inner(t, *, s):
        calls.append("i")
        return (t * s).sin()

    def outer(t):
        calls.append("o")
        return c(inner, t.exp(), s=2, use_reentrant=False).cos()

    y = c(outer, x, use_reentrant=False)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (h,) = torch.autograd.grad(g, x)
    return g, h, calls


@case
def determinism_none(torch: Any) -> Any:
    k = [0]

    def f(x):
        k[0] += 1
        return (x * 2).sin() if k[0] == 1 else (x.double() * 2).sin().float()

    x = torch.ones(2, requires_grad=True)
    y = _checkpoint(torch).checkpoint(f, x, use_reentrant=False, determinism_check="none")
    return tries(lambda: y.sum().backward()), x.grad


@case
def early_stop(torch: Any) -> Any:
    log = []

    def f(x):
        y = x.sin()
        log.append("a")
        z = y.cos()
        log.append("b")
        return z * 2 + len(log)

    out = []
    for s in (True, False):
        x = torch.ones(1, requires_grad=True)
        log.clear()
        with _checkpoint(torch).set_checkpoint_early_stop(s):
            _checkpoint(torch).checkpoint(f, x, use_reentrant=False).backward()
        out.append((list(log), x.grad))
    return out


@case
def reentrant_warn(torch: Any) -> Any:
    return tries(
        lambda: _checkpoint(torch).checkpoint(lambda t: t * 2, torch.ones(1), use_reentrant=True),
        lambda: _checkpoint(torch).checkpoint(lambda t: t * 2, torch.ones(1)),
        lambda: _checkpoint(torch).checkpoint(
            lambda t: t,
            torch.ones(1, requires_grad=True),
            use_reentrant=True,
            context_fn=lambda: None,
        ),
        lambda: _checkpoint(torch).checkpoint(
            lambda t: t, torch.ones(1), use_reentrant=False, foo=1
        ),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
