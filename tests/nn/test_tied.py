"""Weights that two modules share, through conversions: kept or kept apart, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.autograd.agreement import agree


def model(m: Any) -> Any:
    net = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net.shared = net[0].weight
    return net


def facts(net: Any) -> Any:
    weights = net[0].weight, net[1].weight, net.shared
    return (
        [w is weights[0] for w in weights],
        [str(w.device) for w in weights],
        len(list(net.parameters())),
    )


def graded(m: Any) -> Any:
    net = model(m)
    net[0](m.ones(1, 2)).sum().backward()
    before = net[0].weight
    net.to("meta")
    return net[0].weight is before, before.grad is None, str(net[0].weight.grad.device)


CASES: dict[str, Callable[[Any], Any]] = {
    "double": lambda m: facts(model(m).double()),
    "meta": lambda m: facts(model(m).to("meta")),
    "empty": lambda m: facts(model(m).to_empty(device="cpu")),
    "meta and back": lambda m: facts(model(m).to("meta").to_empty(device="cpu")),
    "meta dtype": lambda m: facts(model(m).to("meta").half()),
    "frozen": lambda m: model(m).requires_grad_(False).to("meta")[0].weight.requires_grad,
    "gradient": graded,
}


@pytest.mark.parametrize("name", CASES)
def test_shared_weights(name: str) -> None:
    agree(CASES[name])
