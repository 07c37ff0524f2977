"""Which tier runs: by count and cost, the same at every run; bounds; failures of the compiler."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import torchish as torch
from torchish import nn, optim
from torchish._basics.state import state
from torchish._basics.stats import stats
from torchish._core import compiling, running, trace
from torchish._core.cache import ProgramCache
from torchish._core.policy import ADVANCE, CALL, EARLIEST, NEVER, Policy
from torchish._interpret.price import Cost


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A policy and a cache that have seen nothing, no compilation under way."""
    trace.flush_all()
    monkeypatch.setattr(state, "policy", Policy())
    monkeypatch.setattr(running, "_cache", ProgramCache())
    stats.reset()
    yield
    trace.flush_all()


def dear(monkeypatch: pytest.MonkeyPatch, takeover: int, start: int = NEVER) -> None:
    """Let every structure be compiled at its flush number `takeover`."""
    monkeypatch.setattr(Policy, "_takeover", lambda *_: (min(start, takeover), takeover))


def test_a_program_takes_over_when_interpretation_has_cost_its_share() -> None:
    policy = Policy()
    seen = policy.plan(1, Cost(0.01, 1.0))
    assert 50 <= seen.takeover <= 60 and seen.start < seen.takeover
    assert policy.plan(2, Cost(CALL / 2, 1.0)).takeover == NEVER
    soon = policy.plan(3, Cost(1.0, 1.0))
    assert (soon.start, soon.takeover) == (EARLIEST - 1, EARLIEST)
    assert policy.plan(4, Cost(100.0, 1.0)).takeover == 1
    for k in range(5, 50):
        policy.met(k)
        policy.plan(k, Cost(0.01, 1.0))
    assert policy.restless
    assert policy.plan(99, Cost(0.01, 1.0)).takeover > seen.takeover


def test_the_first_steady_steps_take_over_before_they_are_due() -> None:
    """What compiling costs is advanced up to a limit, and not for short steps or new structures."""
    policy = Policy()

    def takeover(digest: int, cost: Cost) -> int:
        policy.plan(digest, cost)
        for _ in range(EARLIEST):
            seen = policy.met(digest)
        assert seen is not None
        return seen.takeover

    assert takeover(1, Cost(0.1, 3.0)) == EARLIEST
    assert takeover(2, Cost(0.01, 3.0)) > 100  # saves little a step
    assert takeover(3, Cost(0.5, ADVANCE - 4.0)) == EARLIEST
    assert takeover(4, Cost(0.1, 3.0)) > EARLIEST  # the advance is used up
    restless = Policy()
    for k in range(5, 50):
        restless.met(k)
        restless.plan(k, Cost(0.1, 3.0))
    for _ in range(EARLIEST):
        seen = restless.met(5)
    assert seen is not None and seen.takeover > EARLIEST


def test_a_steady_loop_runs_its_program_from_the_fixed_count_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dear(monkeypatch, 3, 2)
    x = torch.arange(12.0)
    ran = []
    for _ in range(5):
        assert (x * 2 + 1).sum().item() == 144.0
        ran.append((stats.programs_interpreted, stats.programs_run))
    assert ran == [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3)]
    assert stats.programs_compiled == len(stats.compilations) == 1
    assert "operators" in stats.compilations[0][0] and __file__ in stats.compilations[0][0]


def test_structures_are_the_same_in_both_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a compiled step returns must not record another program than an interpreted one's."""
    dear(monkeypatch, 3)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 5))
    optimizer = optim.Adam(model.parameters())
    x, y = torch.randint(0, 20, (6, 3)), torch.randint(0, 5, (6,))
    for _ in range(8):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert stats.programs_compiled == 1


def test_a_hundred_shapes_compile_next_to_nothing() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        for rows in range(1, 101):
            optimizer.zero_grad()
            model(torch.randn(rows, 8)).pow(2).mean().backward()
            optimizer.step()
    assert stats.compiled <= 10


def test_the_cache_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    dear(monkeypatch, 1)
    cache = ProgramCache(limit=1)
    monkeypatch.setattr(running, "_cache", cache)
    for rows in range(2, 6):
        assert torch.ones(rows).mul(2).sum().item() == 2 * rows
    assert len(cache.programs) == 1 and cache.bytes > 1
    cache.clear()
    assert cache.bytes == 0


def test_a_failed_compilation_warns_once_and_stays_interpreted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dear(monkeypatch, 2)

    def refuse(*_: Any) -> Any:
        raise RuntimeError("no memory for the compiler")

    monkeypatch.setattr(running, "compile_ahead", refuse)
    x = torch.arange(4.0)
    assert (x + 1).sum().item() == 10
    with pytest.warns(RuntimeWarning, match="no memory for the compiler.*interpreted"):
        assert (x + 1).sum().item() == 10
    for _ in range(3):
        assert (x + 1).sum().item() == 10
    assert stats.programs_run == 0


def test_an_interrupt_while_compiling_loses_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    dear(monkeypatch, 1)

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    x = torch.arange(4.0) + 0
    x.tolist()
    with monkeypatch.context() as patched:
        patched.setattr(compiling, "_wait", interrupted)
        y = x * 3
        with pytest.raises(KeyboardInterrupt):
            y.tolist()
    with pytest.raises(RuntimeError, match="lost when its program failed"):
        y.tolist()
    assert (x * 3).tolist() == [0.0, 3.0, 6.0, 9.0]


def test_four_threads_record_interpret_and_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    dear(monkeypatch, 4, 2)
    wrong: list[Any] = []

    def work(k: int) -> None:
        for step in range(12):
            found = (torch.full((5,), float(k)) * (step + 1)).sum().item()
            if found != 5.0 * k * (step + 1):
                wrong.append((k, step, found))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not wrong and not any(t.is_alive() for t in threads)
