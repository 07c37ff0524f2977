"""Writes to captured tensors, and randomness, inside transformations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import tries

case = CASES = oracle.Cases()


@case
def captured(torch: Any) -> Any:
    n = torch.zeros(2)
    out = tries(
        lambda: torch.func.vmap(lambda x: n.add_(x))(torch.ones(3, 2)),
        lambda: torch.func.vmap(lambda x: n.add_(1) + x)(torch.ones(3, 2)),
        lambda: torch.func.grad(lambda x: (n.add_(x)).sum())(torch.ones(2)),
        lambda: torch.func.vmap(lambda x: n.copy_(x).sum())(torch.ones(3, 2)),
    )
    return out, n, n + 1


@case
def batchnorm(torch: Any) -> Any:
    bn = torch.nn.BatchNorm1d(2)
    torch.manual_seed(0)
    x = torch.randn(3, 4, 2)
    out = tries(
        lambda: torch.func.vmap(bn)(x), lambda: torch.func.vmap(bn, randomness="different")(x)
    )
    return out, bn.running_mean, bn.num_batches_tracked, bn(x[0])


@case
def inner_inplace(torch: Any) -> Any:
    def f(x):
        y = torch.zeros_like(x)
        y[0] = x[1]
        y.mul_(2)
        x = x.clone()
        x[1:] = y[:-1]
        return x.cumsum(0)

    return torch.func.vmap(f)(torch.arange(6.0).view(2, 3)), torch.func.jacrev(f)(torch.arange(3.0))


@case
def randomness(torch: Any) -> Any:
    torch.manual_seed(0)
    return tries(
        lambda: torch.func.vmap(lambda x: x + torch.rand(2))(torch.zeros(3, 2)),
        lambda: torch.func.vmap(lambda x: x + torch.rand(2), randomness="same")(torch.zeros(3, 2)),
        lambda: torch.func.vmap(lambda x: torch.nn.functional.dropout(x), randomness="error")(
            torch.ones(3, 2)
        ),
        lambda: torch.func.vmap(lambda x: x, randomness="q")(torch.ones(2)),
        lambda: torch.func.vmap(lambda x: x.item())(torch.ones(2)),
        lambda: torch.func.vmap(lambda x: 3)(torch.ones(2)),
        lambda: torch.func.vmap(lambda x, y: x)(torch.ones(2), torch.ones(3)),
        lambda: torch.func.vmap(lambda x: x, in_dims=2)(torch.ones(2)),
    )


@case
def closure_grad(torch: Any) -> Any:
    w = torch.ones(2, requires_grad=True)
    buf = torch.zeros(1)

    def f(x):
        buf.add_(1)
        return (x * w).sum()

    out = tries(
        lambda: torch.func.grad(f)(torch.ones(2)),
        lambda: torch.func.vjp(lambda x: buf.mul_(x), torch.ones(1)),
        lambda: torch.func.jvp(lambda x: buf.add_(x), (torch.ones(1),), (torch.ones(1),)),
        lambda: torch.func.grad(lambda x: x)(torch.ones(2)),
        lambda: torch.func.functional_call(torch.nn.BatchNorm1d(2), {}, (torch.ones(3, 2),)),
    )
    return out, buf


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
