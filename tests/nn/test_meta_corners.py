"""Tied weights, meta tensors, warnings and errors of attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import tries

case = CASES = oracle.Cases()


@case
def warnings(torch: Any) -> Any:
    return [
        torch.ones(2, 2, 2).T.shape,
        torch.ones(1).std(),
        torch.ones(1, 2).var(0),
        torch.std_mean(torch.ones(1)),
        tries(
            lambda: torch.ones(2, 2, 2).mT.shape,
            lambda: torch.ones(2).H,
            lambda: torch.ones(2, 2, 2).H,
            lambda: torch.ones(3).mT,
            lambda: torch.ones(3).T,
        ),
        torch.var(torch.ones(0)),
        torch.ones(3).var(correction=3),
        torch.ones(2, 1).std(1, correction=1),
    ]


@case
def attribute_errors(torch: Any) -> Any:
    class M(torch.nn.Module):
        @property
        def bad(self):
            return self.nope

    class N(torch.nn.Module):
        def __init__(self):
            self.l = torch.nn.Linear(1, 1)

    t = torch.ones(1)
    return tries(
        lambda: M().bad,
        lambda: torch.nn.Linear(1, 1).foo,
        lambda: t.foo,
        lambda: torch.nonsense,
        lambda: torch.nn.nonsense,
        lambda: N(),
        lambda: torch.nn.functional.nonsense,
        lambda: torch.optim.nonsense,
        lambda: torch.Size([1]).foo,
        lambda: torch.float32.foo,
        lambda: t.__foo__,
        lambda: setattr(torch.nn.Linear(1, 1), "weight", 3),
        lambda: delattr(torch.nn.Linear(1, 1), "zzz"),
        lambda: torch.nn.Module().register_buffer("a.b", t),
        lambda: torch.nn.Linear(1, 1).get_parameter("q"),
        lambda: torch.nn.Linear(1, 1).get_submodule("q.r"),
    )


@case
def tied(torch: Any) -> Any:
    nn = torch.nn

    class T(nn.Module):
        def __init__(s):
            super().__init__()
            s.a = nn.Linear(2, 2)
            s.b = nn.Linear(2, 2, bias=False)
            s.b.weight = s.a.weight
            s.register_buffer("c", torch.ones(1))
            s.d = s.c

    m = T()
    n = m.to("meta")
    e = n.to_empty(device="cpu")
    f = T().double()
    g = T()
    g.load_state_dict(T().state_dict(), assign=True)
    h = T().half().float()
    i = T()
    i.share_memory()
    import copy

    return (
        [x.b.weight is x.a.weight for x in (m, e, f, g, h, i, copy.deepcopy(i))],
        len(list(e.parameters())),
        sorted(e.state_dict()),
        [x.c is x.d for x in (m, f, h)],
    )


@case
def meta_mix(torch: Any) -> Any:
    m = torch.nn.Linear(2, 2, device="meta")
    return tries(
        lambda: m.to("cpu"),
        lambda: m.weight.tolist(),
        lambda: m.weight.item(),
        lambda: bool(torch.ones(1, device="meta")),
        lambda: torch.ones(2, device="meta") + torch.ones(2),
        lambda: torch.ones(2, device="meta").numpy(),
        lambda: m.load_state_dict(torch.nn.Linear(2, 2).state_dict()),
        lambda: m.weight.data_ptr(),
        lambda: torch.ones(3, device="meta")[torch.tensor([0])].shape,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
