"""The cold tier of devices other than the CPU, on the CPU: one compiled program a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish
from torchish._basics.settings import settings
from torchish._basics.state import state
from torchish._basics.stats import stats
from torchish._core import running, trace
from torchish._core.cache import ProgramCache
from torchish._core.policy import EARLIEST, NEVER, Policy
from torchish._interpret import price
from torchish._interpret.price import Cost


@pytest.fixture(autouse=True)
def by_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No numpy tier; a policy and a cache that have seen nothing."""
    trace.flush_all()
    monkeypatch.setattr(settings, "kernels", True)
    monkeypatch.setattr(state, "policy", Policy())
    monkeypatch.setattr(running, "_cache", ProgramCache())
    stats.reset()
    yield
    trace.flush_all()


def edit_distance(torch: Any, n: int) -> float:
    a, b = torch.arange(n) % 3, torch.arange(n) % 4
    table = torch.zeros(n + 1, n + 1)
    table[0], table[:, 0] = torch.arange(n + 1.0), torch.arange(n + 1.0)
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            swap = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            table[i, j] = torch.minimum(torch.minimum(table[i - 1, j], table[i, j - 1]) + 1, swap)
    return float(table[n, n])


def test_a_long_program_of_few_kernels_runs_by_them() -> None:
    """Some hundred operators, a dozen kernels: compiling them is cheaper than the whole."""
    assert edit_distance(torchish, 8) == edit_distance(oracle, 8)
    assert stats.programs_compiled == stats.programs_interpreted == 0
    assert 0 < stats.kernels_compiled < 40 < 300 < stats.kernels_run


def test_a_program_whose_kernels_are_all_new_is_compiled_whole() -> None:
    x = torchish.tensor(np.arange(35, dtype=np.float32).reshape(5, 7) / 35)
    y = (torchish.tanh(x) * 2 + torchish.exp(x)).cumsum(1).sum()
    theirs = oracle.arange(35.0).reshape(5, 7) / 35
    theirs = (theirs.tanh() * 2 + theirs.exp()).cumsum(1).sum()
    assert y.item() == pytest.approx(theirs.item(), rel=1e-6)
    assert stats.programs_compiled == stats.programs_run == 1 and stats.kernels_run == 0


def test_a_steady_loop_is_taken_over_by_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Policy, "_takeover", lambda *_: (2, 3))
    x = torchish.tensor(np.ones((3, 11), np.float32), requires_grad=True)
    ran = []
    for _ in range(5):
        loss = (x * 3 - 1).square().sum()
        (g,) = torchish.autograd.grad(loss, x)
        assert g.sum().item() == 33 * 12
        ran.append((stats.programs_run, stats.programs_interpreted))
    assert ran == [(0, 0), (0, 0), (1, 0), (2, 0), (3, 0)]


def test_training_agrees_with_pytorch() -> None:
    losses = []
    for torch in (oracle, torchish):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(4, 9), torch.nn.LayerNorm(9), torch.nn.GELU(), torch.nn.Linear(9, 2)
        )
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        x, y = torch.randn(6, 4), torch.tensor([0, 1, 1, 0, 1, 0])
        for _ in range(6):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert stats.programs_interpreted == 0


def test_what_compiling_the_kernels_costs_decides() -> None:
    policy = Policy()
    assert policy.plan(1, Cost(1e-3, 1.0, first=2.0)).takeover == 1
    bought = policy.plan(2, Cost(1e-3, 1.0, first=0.5))
    rented = policy.plan(3, Cost(1e-3, 1.0, first=0.0))
    assert EARLIEST <= bought.takeover < rented.takeover < NEVER
    assert rented.takeover - bought.takeover == pytest.approx(500, abs=2)


def test_the_price_of_a_trace_counts_each_new_kernel_once() -> None:
    x = torchish.tensor(np.ones(13, np.float32))
    y = x
    for _ in range(10):
        y = y.sin() + 1
    entries = list(trace.current_trace(y.device).entries)
    cost = price.of_kernels(entries)
    assert cost.seconds == pytest.approx(20 * price.LAUNCH)
    assert 2 * price.KERNEL <= cost.first < 3 * price.KERNEL
    assert cost.price > 5 * (cost.first - 2 * price.KERNEL) > 0
    y.tolist()
