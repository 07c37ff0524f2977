"""What a loop over many shapes leaves behind is bounded, and what went is made again."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish as torch
from torchish._basics import room
from torchish._basics.state import state
from torchish._basics.stats import stats
from torchish._core import running, trace
from torchish._core.cache import ProgramCache
from torchish._core.policy import Policy


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a few dozen kernels, nothing known of."""
    trace.flush_all()
    monkeypatch.setattr(room, "LIMIT", 60)
    monkeypatch.setattr(room, "STEP", 16)
    monkeypatch.setattr(room, "RECENT", 4)
    monkeypatch.setattr(state, "policy", Policy())
    monkeypatch.setattr(running, "_cache", ProgramCache())


def step(library: Any, n: int) -> float:
    x = library.tensor(np.linspace(0, 1, n * 3, dtype=np.float32).reshape(n, 3), requires_grad=True)
    loss = (library.tanh(x) * 2 + x[:1]).square().mean()
    loss.backward()
    return loss.item() + x.grad.sum().item()


def test_a_loop_over_shapes_keeps_a_bounded_number_of_kernels() -> None:
    counts = []
    for n in range(1, 60):
        assert step(torch, n) == pytest.approx(step(oracle, n), rel=1e-5)
        counts.append(len(room._all))
    gc.collect()
    assert max(counts[20:]) <= 60 + 16 + 40 and len(torch.tanh.operator.kernels) < 40


def test_what_went_is_made_again() -> None:
    first = step(torch, 5)
    traced = stats.kernels_traced
    assert step(torch, 5) == first and stats.kernels_traced == traced
    room.make_room(0)
    gc.collect()
    assert step(torch, 5) == first


def test_a_kernel_that_an_open_graph_needs_still_works() -> None:
    x = torch.tensor([[0.5, 2.0]], requires_grad=True)
    y = (x.exp() * x).sum()
    room.make_room(0)
    y.backward()
    theirs = oracle.tensor([[0.5, 2.0]], requires_grad=True)
    (theirs.exp() * theirs).sum().backward()
    assert x.grad.tolist()[0] == pytest.approx(theirs.grad.tolist()[0], rel=1e-6)


def test_kernels_of_programs_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Policy, "_takeover", lambda *_: (1, 1))
    step(torch, 7)
    compiled = stats.programs_compiled
    assert compiled > 0
    room.make_room(0)
    assert step(torch, 7) == pytest.approx(step(oracle, 7), rel=1e-5)
    assert stats.programs_compiled == compiled


def test_kernels_are_freed_without_the_garbage_collector_for_plain_operators() -> None:
    (torch.ones(3, 17) + 1).tolist()
    kernel = next(k for k in room._all if k.name == "add" and k.out_avals[0].shape == (3, 17))
    gone = weakref.ref(kernel)
    del kernel
    running._cache.clear()
    from torchish._core.structures import structures

    structures.clear()
    room.make_room(0)
    gc.collect()
    assert gone() is None
