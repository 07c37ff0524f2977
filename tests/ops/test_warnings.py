"""Warnings that PyTorch gives for odd input, and the texts of some errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.autograd.agreement import agree

CASES: dict[str, Callable[[Any], Any]] = {
    **{f"T of {n}": lambda m, n=n: m.ones((2,) * n).T for n in range(4)},
    **{f"H of {n}": lambda m, n=n: m.ones((2,) * n).H for n in range(4)},
    **{f"mT of {n}": lambda m, n=n: m.ones((2,) * n).mT for n in range(4)},
    **{f"mH of {n}": lambda m, n=n: m.ones((2,) * n).mH for n in range(4)},
    "adjoint": lambda m: m.adjoint(m.ones(())),
    **{
        f"{name} of {shape}": lambda m, name=name, shape=shape: getattr(m, name)(
            m.ones(shape)
        ).isnan()
        for name in ("std", "var")
        for shape in ((1,), (0,), (), (1, 1), (2,))
    },
    "std along a dim": lambda m: m.ones(2, 1).std(1).isnan(),
    "std of an empty result": lambda m: m.ones(0, 1).std(1),
    "biased": lambda m: m.ones(1).std(unbiased=False),
    "correction": lambda m: m.ones(2, 3).var(1, correction=3).isnan(),
    "std_mean": lambda m: m.std_mean(m.ones(1))[1],
    "var_mean": lambda m: m.var_mean(m.ones(1))[1],
    "cov": lambda m: m.cov(m.ones(2, 1)).isnan(),
    "mse_loss": lambda m: m.nn.MSELoss()(m.ones(2), "a"),
    "l1_loss": lambda m: m.nn.L1Loss()(m.ones(2), 3),
    "huber_loss": lambda m: m.nn.functional.huber_loss("a", m.ones(2)),
    "smooth_l1_loss": lambda m: m.nn.functional.smooth_l1_loss(m.ones(2), None),
}


@pytest.mark.parametrize("name", CASES)
def test_warnings_and_texts(name: str) -> None:
    agree(CASES[name])
