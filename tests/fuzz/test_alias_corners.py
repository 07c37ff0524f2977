"""Memory that is seen twice: overlaps, bytes, complex parts, swaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import tries

case = CASES = oracle.Cases()


@case
def overlap_errors(torch: Any) -> Any:
    def e():
        return torch.ones(3, 1).expand(3, 4)

    def u():
        return torch.arange(6.0).unfold(0, 3, 1)

    x = torch.arange(6.0)
    return tries(
        lambda: e().add_(1),
        lambda: u().mul_(2),
        lambda: e().fill_(3),
        lambda: e().masked_fill_(torch.ones(3, 4, dtype=torch.bool), 2.0),
        lambda: u().zero_(),
        lambda: u().copy_(torch.ones(4, 3)),
        lambda: e().clamp_(0),
        lambda: e().index_fill_(0, torch.tensor([0]), 2.0),
        lambda: x[1:].add_(x[:-1]),
        lambda: x[1:].copy_(x[:-1]),
        lambda: torch.add(x[:-1], 1, out=x[1:]),
        lambda: e().sort()[0],
        lambda: e().uniform_(),
        lambda: e().scatter_(0, torch.zeros(1, 4, dtype=torch.long), 1.0),
        lambda: e().index_add_(0, torch.tensor([0]), torch.ones(1, 4)),
        lambda: e().exp_(),
        lambda: e().bernoulli_(1.0),
        lambda: e().t_(),
        lambda: e().squeeze_(),
        lambda: e().put_(torch.tensor([0]), torch.tensor([1.0])),
    )


@case
def data_and_detach(torch: Any) -> Any:
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    d = y.data
    d.mul_(5)
    z = y.detach()
    z.add_(1)
    v0 = y._version
    return y, d, z, v0, d._version, tries(lambda: (y * y).sum().backward()), x.grad


@case
def asstrided_scatter_chain(torch: Any) -> Any:
    x = torch.arange(12.0)
    a = x.as_strided((3, 3), (2, 1))
    b = a.t()[1:]
    c = b.as_strided((2,), (5,), 3)
    c.fill_(-1)
    b[0].mul_(2)
    x.view(3, 4).diagonal().neg_()
    return x, a, b, c


@case
def complex_real_views(torch: Any) -> Any:
    z = torch.arange(6.0).view(3, 2)
    c = torch.view_as_complex(z)
    c.imag.mul_(2)
    c[1] = 7j
    z[2].add_(1)
    r = torch.view_as_real(c.conj().resolve_conj())
    r.zero_()
    d = c.conj()
    d[0] = 1 + 2j
    d.imag[1] = 9
    return z, c, d.resolve_conj()


@case
def set_swap(torch: Any) -> Any:
    a = torch.arange(4.0)
    b = torch.zeros(2)
    v = a[1:]
    b.set_(a)
    b[2] = 9
    a.resize_(2, 2)
    w = torch.ones(2)
    torch.utils.swap_tensors(w, b)
    return a, b, v, w, w.data_ptr() == a.data_ptr()


@case
def requires_grad_midway(torch: Any) -> Any:
    x = torch.ones(4)
    v = x[:2]
    x.requires_grad_()
    r = tries(lambda: v.mul_(2), lambda: x.mul_(2), lambda: x[:2].mul_(2))
    return r, x, v, v.requires_grad


@case
def view_multi(torch: Any) -> Any:
    x = torch.ones(4, requires_grad=True) * 1
    a, _ = x.chunk(2)
    r = tries(lambda: a.mul_(2))
    u = x.unbind(0)
    r += tries(lambda: u[0].add_(1))
    s = x[:2]
    s.mul_(3)
    x.sum()
    with torch.no_grad():
        t = x[1:]
    r += tries(lambda: t.mul_(2))
    return [str(q)[:150] for q in r]


@case
def byte_views(torch: Any) -> Any:
    x = torch.arange(4, dtype=torch.int32)
    y = x.view(torch.int16)
    y[1] = 1
    z = x.view(torch.uint8)[1:5]
    z.fill_(255)
    f = x.view(torch.float32)
    f[3] = -0.0
    return (
        x,
        y,
        z,
        tries(
            lambda: torch.ones(3, dtype=torch.int8).view(torch.int32),
            lambda: torch.ones(2, 4, dtype=torch.int8)[:, ::2].view(torch.int32),
        ),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
