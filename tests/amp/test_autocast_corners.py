"""Operators, errors and transformations under autocast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish
from tests import oracle
from tests.oracle import tries

case = CASES = oracle.Cases()


@case
def cpu_lists(torch: Any) -> Any:
    a, b = torch.randn(3, 3), torch.randn(3, 3)
    i = torch.tensor([0, 2])
    with torch.autocast("cpu", torch.bfloat16):
        out = [
            a @ b,
            torch.bmm(a[None], b[None]),
            torch.nn.functional.linear(a, b),
            torch.baddbmm(a[None], a[None], b[None]),
            torch.addmm(a, a, b),
            torch.matmul(a, b[0]),
            torch.mv(a, b[0]),
            torch.dot(a[0], b[0]),
            torch.outer(a[0], b[0]),
            a.index_copy(0, i, (a @ b)[:2]),
            torch.nn.functional.mse_loss(a @ b, a),
            torch.cdist(a @ b, b),
            torch.nn.functional.layer_norm(a @ b, (3,)),
            (a @ b).softmax(0),
            torch.cumsum(a @ b, 0),
            torch.linalg.norm(a @ b),
            torch.stack([a, a @ b]),
            torch.cat([a @ b, a]),
            a.index_add(0, i, (a @ b)[:2]),
            (a @ b) + a,
            torch.nn.functional.interpolate((a @ b)[None, None], scale_factor=2.0),
            torch.fft.fft(a @ b),
            torch.linalg.inv((a @ b).float()),
            torch.nn.functional.binary_cross_entropy((a @ b).sigmoid(), torch.rand(3, 3)),
        ]
    return [(str(o.dtype), tuple(o.shape)) for o in out]


@case
def errors(torch: Any) -> Any:
    a = torch.randn(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        b = a @ a
        return tries(
            lambda: a.index_copy_(0, torch.tensor([0]), b[:1]),
            lambda: torch.mm(a, a, out=torch.empty(3, 3)),
            lambda: b.addmm_(a, a),
            lambda: torch.addcmul(a, b, b),
            lambda: torch.scatter_add(a, 0, torch.zeros(1, 3, dtype=torch.long), b[:1]),
            lambda: a.masked_scatter(a > 0, b),
            lambda: torch.where(a > 0, a, b),
            lambda: a.put_(torch.tensor([0]), b[0, :1]),
        )


@case
def nested_grad(torch: Any) -> Any:
    w = torch.ones(2, 2, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = w @ w
        with torch.autocast("cpu", enabled=False):
            z = y.float() @ w
        q = torch.autograd.grad(z.sum(), w, create_graph=True)[0]
    return (
        y.detach().float(),
        z,
        q.dtype.is_floating_point,
        str(q.dtype),
        torch.is_autocast_enabled("cpu"),
        str(torch.get_autocast_dtype("cpu")),
    )


@case
def inside_func(torch: Any) -> Any:
    x = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        g = torch.func.grad(lambda t: (t @ t).sum().float())(x)
        v = torch.func.vmap(lambda t: t @ x)(torch.ones(3, 2))
    return str(g.dtype), str(v.dtype), g.float()


@case
def modules(torch: Any) -> Any:
    nn = torch.nn
    torch.manual_seed(0)
    out = []
    ms = [
        nn.Conv1d(1, 1, 2),
        nn.ConvTranspose1d(1, 1, 2),
        nn.Bilinear(2, 2, 2),
        nn.Embedding(3, 2),
        nn.GRUCell(2, 2),
        nn.MultiheadAttention(2, 1),
        nn.BatchNorm1d(2),
        nn.PReLU(),
    ]
    with torch.autocast("cpu", torch.bfloat16):
        x = torch.ones(1, 1, 4)
        out = tries(
            lambda: ms[0](x),
            lambda: ms[1](x),
            lambda: ms[2](torch.ones(1, 2), torch.ones(1, 2)),
            lambda: ms[3](torch.tensor([1])),
            lambda: ms[4](torch.ones(1, 2)),
            lambda: ms[5](torch.ones(1, 1, 2), torch.ones(1, 1, 2), torch.ones(1, 1, 2))[0],
            lambda: ms[6](torch.randn(3, 2)),
            lambda: ms[7](torch.ones(2)),
        )
    return [str(o.dtype) if hasattr(o, "dtype") else o for o in out]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)


def test_an_lstm() -> None:
    """PyTorch's runs in bfloat16 where oneDNN has kernels for it, and fails elsewhere."""
    for library in (torchish, torch) if oracle.HALF_KERNELS else (torchish,):
        with library.autocast("cpu", library.bfloat16):
            found = library.nn.LSTM(2, 2)(library.ones(1, 1, 2))[0]
        assert str(found.dtype) == "torch.bfloat16"
