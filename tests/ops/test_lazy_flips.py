"""Lazy conjugates and negatives: views, so writes to either side show on the other."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import tries


def _numbers(torch: Any) -> Any:
    return torch.tensor([1 + 2j, 3 + 4j])


def bits(torch: Any) -> Any:
    whole = _numbers(torch).conj()
    part = whole.imag
    views = [whole, whole.real, part, part[0], part.t(), part.detach(), part.data]
    fresh = [part.clone(), part.contiguous(), part.resolve_neg(), part + 1, -part, whole.clone()]
    return [(v.is_conj(), v.is_neg()) for v in views + fresh], part, copy.deepcopy(part)


def writes(torch: Any) -> Any:
    base = _numbers(torch)
    whole = base.conj()
    whole.imag[1] = 9
    whole.real[0] = -1
    whole.imag.mul_(2)
    base.imag.add_(1)
    torch._neg_view(base.real).fill_(5)
    return base, whole.resolve_conj(), whole.imag, whole.real


def gradients(torch: Any) -> Any:
    leaf = _numbers(torch).requires_grad_()
    part = leaf.conj().imag
    names = [str(part.grad_fn).split(" ")[0], str(part.grad_fn.next_functions[0][0]).split(" ")[0]]
    part.pow(2).sum().backward()
    copied = leaf * 1
    copied.conj().imag.mul_(3)
    copied.conj().real[0] = 2
    return names, leaf.grad, torch.autograd.grad(torch.view_as_real(copied).pow(2).sum(), leaf)


def refusals(torch: Any) -> Any:
    whole = _numbers(torch).conj()
    return tries(
        lambda: whole.imag.numpy(),
        lambda: whole.numpy(),
        lambda: whole.view(torch.float32),
        lambda: whole.imag.view(torch.int32),
        lambda: whole.imag.view(torch.float32),
        lambda: whole.__dlpack__(),
        lambda: torch.view_as_real(whole),
    )


def copies(torch: Any) -> Any:
    part = _numbers(torch).conj().imag
    back = pickle.loads(pickle.dumps(part))
    kept = part.numpy(force=True).tolist()
    return back, back.is_neg(), kept, part.tolist(), torch.empty_like(part).is_neg()


CASES: list[Callable[[Any], Any]] = [bits, writes, gradients, refusals, copies]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_flips(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0)
