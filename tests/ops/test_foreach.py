"""`torch._foreach_*`: values, gradients and errors for lists of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish
from tests.autograd.agreement import agree

UNARY = [
    n
    for n in dir(torch)
    if n.startswith("_foreach_")
    and not n.endswith("_")
    and hasattr(torch.Tensor, n[9:] + "_")
    and n[9:]
    not in ("add sub mul div maximum minimum clamp_max clamp_min pow addcmul addcdiv lerp").split()
]


def lists(m: Any) -> Any:
    return [m.ones(2), m.ones(3) * 2]


CALLS: list[Callable[[Any], Any]] = [
    lambda m: m._foreach_add([], 1),
    lambda m: m._foreach_add(lists(m), lists(m)[:1]),
    lambda m: m._foreach_add(lists(m), [m.ones(2), m.ones(2)]),
    lambda m: m._foreach_add(lists(m), [1.0, 2.0, 3.0]),
    lambda m: m._foreach_add(lists(m), "x"),
    lambda m: m._foreach_add(lists(m), [m.ones(3), m.ones(2)]),
    lambda m: m._foreach_add(lists(m)[0], 1),
    lambda m: m._foreach_add([1, 2], 1),
    lambda m: m._foreach_add(lists(m), m.ones(2)),
    lambda m: m._foreach_add(lists(m), m.tensor(2.0)),
    lambda m: m._foreach_add(lists(m), lists(m), alpha=3),
    lambda m: m._foreach_add(lists(m), 2, alpha=3),
    lambda m: m._foreach_add_(lists(m), lists(m)),
    lambda m: m._foreach_mul(tuple(lists(m)), 2),
    lambda m: m._foreach_addcmul(lists(m), lists(m), lists(m), value=2),
    lambda m: m._foreach_addcmul(lists(m), lists(m), lists(m), [1.0, 2.0]),
    lambda m: m._foreach_addcmul(lists(m), lists(m), lists(m), m.tensor([1.0, 2.0])),
    lambda m: m._foreach_addcmul(lists(m), lists(m), lists(m)[:1]),
    lambda m: m._foreach_addcmul(lists(m), lists(m), lists(m), [1.0]),
    lambda m: m._foreach_addcmul(lists(m), lists(m), lists(m), m.tensor([1.0])),
    lambda m: m._foreach_addcdiv([], [], []),
    lambda m: m._foreach_lerp(lists(m), lists(m), 0.5),
    lambda m: m._foreach_lerp(lists(m), lists(m), lists(m)),
    lambda m: m._foreach_lerp(lists(m), lists(m), [0.1, 0.2]),
    lambda m: m._foreach_lerp(lists(m), lists(m)[:1], 0.5),
    lambda m: m._foreach_norm(lists(m)),
    lambda m: m._foreach_norm(lists(m), 1),
    lambda m: m._foreach_norm(lists(m), float("inf")),
    lambda m: m._foreach_norm(lists(m), 2, dtype=m.float64),
    lambda m: m._foreach_norm([]),
    lambda m: m._foreach_norm([m.tensor([1])]),
    lambda m: m._foreach_pow(lists(m), 2),
    lambda m: m._foreach_pow(2, lists(m)),
    lambda m: m._foreach_pow(lists(m), lists(m)),
    lambda m: m._foreach_pow(lists(m), [1, 2]),
    lambda m: m._foreach_max(lists(m)),
    lambda m: m._foreach_maximum(lists(m), 1),
    lambda m: m._foreach_maximum(lists(m), lists(m)),
    lambda m: m._foreach_clamp_min(lists(m), 3),
    lambda m: m._foreach_copy_(lists(m), [m.zeros(2), m.zeros(3)]),
    lambda m: m._foreach_copy_(lists(m), lists(m)[:1]),
    lambda m: m._foreach_copy_(lists(m), [m.zeros(1), m.zeros(1)]),
    lambda m: m._foreach_zero_(lists(m)),
    lambda m: m._foreach_sqrt(lists(m)),
    lambda m: m._foreach_sqrt([]),
    lambda m: m._foreach_sqrt_([]),
    lambda m: m._foreach_neg_(lists(m)),
    lambda m: m._foreach_neg([m.tensor([True])]),
    lambda m: m._foreach_sqrt_([m.tensor([1])]),
    lambda m: m._foreach_sqrt([m.tensor([4])]),
    lambda m: m._foreach_add_([m.tensor([1])], 1.5),
    lambda m: m._foreach_add([m.tensor([1])], 1.5),
    lambda m: m._foreach_sub(lists(m), lists(m), alpha=2),
    lambda m: m._foreach_sub([m.tensor([True])], 1),
    lambda m: m._foreach_sub(lists(m), m.tensor(1.0)),
    lambda m: m._foreach_div(lists(m), m.tensor(2.0)),
    lambda m: m._foreach_div(lists(m), 0),
    lambda m: m._foreach_mm([m.ones(2, 2)], [m.ones(2, 2)]),
    lambda m: m._foreach_clone(lists(m)),
    lambda m: m._foreach_powsum(lists(m), 2),
    lambda m: m._foreach_abs_([m.ones(2, requires_grad=True)]),
    lambda m: m._foreach_mul(lists(m), [m.tensor(2.0), 3.0]),
    lambda m: m._foreach_add(lists(m), None),
    lambda m: m._foreach_add(),
    lambda m: m._foreach_sqrt(3),
    lambda m: m._foreach_sqrt([3]),
    lambda m: m._foreach_sqrt(x for x in lists(m)),
    lambda m: m._foreach_mul_(lists(m), m.tensor(2.0)),
    lambda m: m._foreach_mul_(lists(m), m.ones(2)),
    lambda m: m._foreach_exp(tensors=lists(m)),
    lambda m: m._foreach_exp(self=lists(m)),
    lambda m: m._foreach_add(self=lists(m), scalar=2),
    lambda m: m._foreach_add(lists(m), other=lists(m), alpha=2),
    lambda m: m._foreach_addcmul_(lists(m), lists(m), lists(m), value=2),
    lambda m: m._foreach_lerp_(lists(m), lists(m), weight=0.5),
    lambda m: m._foreach_norm(lists(m), ord=2),
]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_calls(number: int) -> None:
    agree(CALLS[number], lines=1)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    def work(m: Any) -> Any:
        xs = [m.tensor([0.3, 0.6]), m.tensor(0.5)]
        leaf = m.tensor([0.3, 0.6], requires_grad=True)
        (y,) = getattr(m, name)([leaf])
        y.sum().backward()
        found = getattr(m, name + "_")(xs)
        return found is xs or list(found) == xs, xs, y, leaf.grad

    agree(work)


def test_every_name_is_there() -> None:
    names = [n for n in dir(torch) if n.startswith("_foreach_")]
    assert [n for n in names if not callable(getattr(torchish, n, None))] == []


def test_clipping_by_the_total_norm() -> None:
    def work(m: Any) -> Any:
        ps = [m.full((3,), 2.0, requires_grad=True), m.full((2, 2), 3.0, requires_grad=True)]
        sum((p**2).sum() for p in ps).backward()
        grads = [p.grad for p in ps]
        total = m.linalg.vector_norm(m.stack(m._foreach_norm(grads)))
        m._foreach_mul_(grads, (1.0 / (total + 1e-6)).clamp(max=1.0))
        with m.no_grad():
            m._foreach_add_(ps, grads, alpha=-0.1)
            m._foreach_addcdiv_(ps, grads, m._foreach_add(m._foreach_sqrt(ps), 1e-8), value=-0.5)
            m._foreach_lerp_(ps, grads, 0.25)
        return total, grads, ps

    agree(work)
