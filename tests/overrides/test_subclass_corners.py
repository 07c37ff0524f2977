"""Subclasses of Tensor and duck types where they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import tries

case = CASES = oracle.Cases()


@case
def subclass_no_override(torch: Any) -> Any:
    class T(torch.Tensor):
        pass

    a = torch.arange(4.0).as_subclass(T)
    r = [
        a + 1,
        1 - a,
        a[1:],
        a[a > 1],
        torch.stack([a, a]),
        a.split(2)[0],
        a.max(0).values,
        a.numpy().tolist(),
        a.tolist(),
        torch.nn.functional.relu(a),
        a.to(torch.int64),
        a.clone(),
        a.detach(),
        a.view(2, 2).T,
        torch.zeros_like(a),
        a.new_zeros(2),
        a.sum(),
        a == 1,
        torch.where(a > 1, a, 0.0),
        torch.einsum("i,i", a, a),
        a.unsqueeze(0),
        -a,
        abs(a),
        a @ a,
        a.float(),
        a.cpu(),
        a.expand(2, 4),
    ]
    return r


@case
def mixed_subclass_priority(torch: Any) -> Any:
    log = []

    class A(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            log.append(("A", [t.__name__ for t in types]))
            return super().__torch_function__(func, types, args, kwargs or {})

    class B(A):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            log.append(("B", [t.__name__ for t in types]))
            return super().__torch_function__(func, types, args, kwargs or {})

    a, b = torch.ones(2).as_subclass(A), torch.ones(2).as_subclass(B)
    r = [a + b, b + a, torch.cat([a, b]), a * torch.ones(2), torch.ones(2) * b]
    return r, log


@case
def not_implemented(torch: Any) -> Any:
    class C:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    return tries(
        lambda: torch.add(torch.ones(1), C()),
        lambda: torch.ones(1) + C(),
        lambda: torch.cat([torch.ones(1), C()]),
        lambda: torch.nn.functional.relu(C()),
        lambda: torch.ones(2)[C()],
        lambda: C() * torch.ones(2),
    )


@case
def subclass_inplace_out(torch: Any) -> Any:
    class T(torch.Tensor):
        pass

    a = torch.ones(3).as_subclass(T)
    p = torch.zeros(3)
    r = [
        torch.add(a, 1, out=p),
        p.add_(a),
        a.copy_(p),
        a.__setitem__(0, 5.0),
        a,
        torch.mul(torch.ones(3), 2, out=a),
    ]
    a += p
    p += a
    return r, a, p


@case
def subclass_autograd(torch: Any) -> Any:
    class T(torch.Tensor):
        pass

    x = torch.ones(3, requires_grad=True)
    a = x.as_subclass(T)
    y = (a * 2).sum()
    y.backward()
    w = torch.nn.Parameter(torch.ones(2).as_subclass(T))
    (w * 3).sum().backward()
    return (
        x.grad,
        type(y).__name__,
        type(w).__name__,
        type(w.grad).__name__,
        isinstance(w, torch.nn.Parameter),
        torch.autograd.grad((w * w).sum(), w),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
