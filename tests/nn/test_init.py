"""First values: the same draws as PyTorch for the same seed, the same errors."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch as oracle

import torchish
from tests.oracle import agree

CALLS = {
    "uniform_": lambda i, lib: i.uniform_(lib.empty(3, 5), -1, 2),
    "normal_": lambda i, lib: i.normal_(lib.empty(3, 7), 1, 2),
    "normal_ small": lambda i, lib: i.normal_(lib.empty(3), 1, 2),
    "trunc_normal_": lambda i, lib: i.trunc_normal_(lib.empty(5, 6), std=2.0),
    "trunc_normal_ tail": lambda i, lib: i.trunc_normal_(lib.empty(5, 6), a=1.0, b=1.5),
    "trunc_normal_ far": lambda i, lib: i.trunc_normal_(lib.empty(20), a=4.0, b=5.0),
    "constant_": lambda i, lib: i.constant_(lib.empty(3), 0.3),
    "ones_": lambda i, lib: i.ones_(lib.empty(3)),
    "zeros_": lambda i, lib: i.zeros_(lib.ones(3)),
    "eye_": lambda i, lib: i.eye_(lib.empty(3, 4)),
    "eye_ wrong": lambda i, lib: i.eye_(lib.empty(3)),
    "dirac_": lambda i, lib: i.dirac_(lib.empty(4, 2, 3, 3), 2),
    "dirac_ 1d": lambda i, lib: i.dirac_(lib.empty(4, 2, 3)),
    "dirac_ wrong": lambda i, lib: i.dirac_(lib.empty(4, 2)),
    "dirac_ groups": lambda i, lib: i.dirac_(lib.empty(4, 2, 3), 3),
    "xavier_uniform_": lambda i, lib: i.xavier_uniform_(lib.empty(4, 5), 2.0),
    "xavier_normal_": lambda i, lib: i.xavier_normal_(lib.empty(4, 5, 2)),
    "xavier wrong": lambda i, lib: i.xavier_normal_(lib.empty(4)),
    "kaiming_uniform_": lambda i, lib: i.kaiming_uniform_(lib.empty(4, 5), 0.1, "fan_out"),
    "kaiming_normal_": lambda i, lib: i.kaiming_normal_(lib.empty(4, 5), nonlinearity="relu"),
    "kaiming mode": lambda i, lib: i.kaiming_normal_(lib.empty(4, 5), mode="x"),
    "kaiming empty": lambda i, lib: i.kaiming_normal_(lib.empty(0, 5)),
    "orthogonal_": lambda i, lib: i.orthogonal_(lib.empty(5, 3), 2.0),
    "orthogonal_ wide": lambda i, lib: i.orthogonal_(lib.empty(3, 2, 4)),
    "orthogonal_ wrong": lambda i, lib: i.orthogonal_(lib.empty(3)),
    "sparse_": lambda i, lib: i.sparse_(lib.empty(6, 4), 0.3),
    "generator": lambda i, lib: i.normal_(lib.empty(20), generator=lib.Generator().manual_seed(3)),
    "gain": lambda i, lib: [
        i.calculate_gain(n)
        for n in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
    ],
    "gain of a slope": lambda i, lib: i.calculate_gain("leaky_relu", 0.3),
    "gain wrong": lambda i, lib: i.calculate_gain("leaky_relu", True),
    "gain unknown": lambda i, lib: i.calculate_gain("x"),
    "old name": lambda i, lib: i.xavier_uniform(lib.empty(2, 3)),
    "on a parameter": lambda i, lib: i.kaiming_normal_(lib.nn.Parameter(lib.empty(3, 4))),
}


@pytest.mark.parametrize("name", CALLS)
def test_call(name: str) -> None:
    agree(lambda lib: CALLS[name](lib.nn.init, lib), rtol=2e-6)


def test_names_and_signatures() -> None:
    assert set(oracle.nn.init.__all__) == set(torchish.nn.init.__all__)
    for name in oracle.nn.init.__all__:
        theirs = inspect.signature(getattr(oracle.nn.init, name)).parameters
        ours = inspect.signature(getattr(torchish.nn.init, name)).parameters
        assert [(p.name, p.default) for p in ours.values()] == [
            (p.name, p.default) for p in theirs.values()
        ], name


def test_draws_go_on_in_order() -> None:
    def run(lib: Any) -> Any:
        net = lib.nn.Sequential(lib.nn.Conv2d(3, 4, 3), lib.nn.Linear(5, 6))
        for module in net:
            lib.nn.init.normal_(module.weight, 0.0, 0.02)
        return [dict(net.state_dict()), lib.rand(3)]

    agree(run, rtol=1e-6)
