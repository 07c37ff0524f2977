"""Programs that run before the script asks for them: the same numbers, or nothing is gained."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pytest

import torchish as torch
from torchish import nn, optim
from torchish._ahead import forecast
from torchish._ahead.expected import (
    AGAIN,
    COUNT,
    NEW,
    SAME,
    SAMPLES,
    Expected,
    Trial,
    Vectors,
    is_as,
)
from torchish._ahead.forecast import Forecast
from torchish._basics.settings import settings
from torchish._basics.state import process, state
from torchish._basics.stats import stats
from torchish._core import running, trace
from torchish._core.cache import ProgramCache
from torchish._core.policy import Policy
from torchish._core.values import host_value

STEPS = 24
SAYS = Trial.says


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is compiled at once, and runs ahead as soon as it came three times as expected."""
    trace.flush_all()
    monkeypatch.setattr(state, "policy", Policy())
    monkeypatch.setattr(running, "_cache", ProgramCache())
    monkeypatch.setattr(Policy, "_takeover", lambda *_: (1, 1))
    monkeypatch.setattr(Expected, "may", lambda self: self.streak >= self.needed)
    monkeypatch.setattr(Trial, "says", lambda self: True)
    stats.reset()
    yield
    trace.flush_all()


def my_forecast() -> Forecast:
    """The forecast of this thread's CPU."""
    found: Forecast = trace.current_trace(torch.device("cpu")).ahead
    return found


def outcome(loop: Callable[[], list[Any]], ahead: bool) -> list[Any]:
    """What a loop gives, from the same start."""
    trace.flush_all()
    recorded = trace.current_trace(torch.device("cpu"))
    recorded.ahead = Forecast(recorded)
    before = settings.ahead
    settings.ahead = ahead
    torch.manual_seed(0)
    stats.reset()
    try:
        return loop()
    finally:
        settings.ahead = before


def check(loop: Callable[[], list[Any]], least: int, wasted: int = 0) -> None:
    """A loop gives the same bits, and so many of its programs run ahead."""
    plain = outcome(loop, False)
    assert stats.programs_ahead == 0 and stats.programs_wasted == 0
    assert outcome(loop, True) == plain
    assert stats.programs_ahead >= least and stats.programs_wasted <= wasted


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def test_a_training_loop() -> None:
    def loop() -> list[Any]:
        net, x, y = model(), torch.randn(4, 6), torch.tensor([0, 1, 2, 1])
        rule = optim.Adam(net.parameters(), 1e-2)
        losses = []
        for _ in range(STEPS):
            rule.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            rule.step()
            losses.append(loss.item())
        return [*losses, *(p.tolist() for p in net.parameters())]

    check(loop, STEPS - 10)
    sources = [e.sources for _, e in my_forecast().known.values() if e.streak > 3]
    assert sources and all(NEW not in s for s in sources)  # the count of steps is predicted too
    assert all(SAME in s and COUNT in s and any(isinstance(k, tuple) for k in s) for s in sources)


def test_where_no_input_is_new_a_run_begins_behind_the_one_before() -> None:
    begun = []

    def loop() -> list[Any]:
        net, x = model(), torch.randn(4, 6)
        rule = optim.SGD(net.parameters(), 0.1)
        losses = []
        for _ in range(STEPS):
            rule.zero_grad()
            loss = net(x).pow(2).mean()
            loss.backward()
            rule.step()
            losses.append(loss.item())
            attempt = my_forecast().attempt  # nothing is recorded yet
            begun.append(attempt is not None and attempt.results is not None)
        return losses

    check(loop, STEPS - 10)
    assert not any(begun[:STEPS]) and all(begun[-STEPS // 2 :])


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_new_batches_are_waited_for(dropout: float) -> None:
    def loop() -> list[Any]:
        net = nn.Sequential(model(), nn.Dropout(dropout))
        rule = optim.SGD(net.parameters(), 0.1, momentum=0.9)
        losses = []
        for k in range(STEPS):
            x = torch.linspace(k, k + 1, 24).reshape(4, 6)
            rule.zero_grad()
            loss = net(x).pow(2).mean()
            loss.backward()
            rule.step()
            losses.append(loss.item())
        return losses

    check(loop, STEPS - 10)
    assert any(0 < e.known_from for _, e in my_forecast().known.values() if e.streak > 3)


def test_programs_in_turns() -> None:
    def loop() -> list[Any]:
        nets = model(), model()
        rules = [optim.Adam(n.parameters(), 1e-2) for n in nets]
        x, found = torch.randn(4, 6), []
        for k in range(2 * STEPS):
            net, rule = nets[k % 2], rules[k % 2]
            rule.zero_grad()
            loss = net(x).pow(2).mean() if k % 2 else net(x).abs().sum()
            loss.backward()
            rule.step()
            found.append(loss.item())
        return found

    check(loop, STEPS)


def test_what_does_not_come_is_dropped() -> None:
    """A parameter that is written to, another rate, another operator: each at one step."""

    def loop() -> list[Any]:
        net, x = model(), torch.randn(4, 6)
        rule = optim.SGD(net.parameters(), 0.1)
        found = []
        for k in range(3 * STEPS):
            if k == 15:
                net[0].weight.data.mul_(2)
            if k == 30:
                rule.param_groups[0]["lr"] = 0.05
            rule.zero_grad()
            loss = net(x).pow(2).mean()
            if k == 50:
                loss = loss * 3
            loss.backward()
            rule.step()
            found.append(loss.item())
        return [*found, *(p.tolist() for p in net.parameters())]

    check(loop, 15, wasted=3)
    assert stats.programs_wasted > 0
    assert max(e.needed for _, e in my_forecast().known.values()) > 3


def test_a_run_for_nothing_is_forgiven() -> None:
    """An epoch that ends with another program costs one run, and looking ahead goes on."""

    def loop() -> list[Any]:
        x, found = torch.arange(3.0), []
        for k in range(400):
            y = (x + 1) * (x - 2)
            found.append((y.sum() if k % 50 else y.prod()).item())
        return found

    check(loop, 250, wasted=8)


def test_an_interpreted_program_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun for one batch is not taken for the next one."""

    def loop() -> list[Any]:
        w, found = torch.full((3,), 2.0), []
        for k in range(3 * STEPS):
            x = torch.tensor([float(k), 1.0, 2.0])
            y = x * w
            if k % 20 == 19:  # cold: what it flushes with runs in numpy
                monkeypatch.setattr(Policy, "_takeover", lambda *_: (99, 99))
                (y + k / 3).exp().clamp(0, k).sum().item()
                monkeypatch.setattr(Policy, "_takeover", lambda *_: (1, 1))
                y = x * w
            found.append((y.sum() + w.prod()).item())
        return found

    check(loop, STEPS, wasted=9)


def test_a_count_that_is_met_late_is_no_error() -> None:
    """A number that was recorded before the others were predicted, and has no step yet."""

    def loop() -> list[Any]:
        found, kept = [], torch.tensor(1.0)
        for k in range(STEPS):
            n = kept if k < 5 else torch.tensor(float(k * k))
            x = torch.tensor([float(k), 1.0])
            found.append((n * 2 + x).sum().item())
        return found

    check(loop, 0, wasted=4)


def test_memory_shared_with_numpy() -> None:
    def loop() -> list[Any]:
        x, found = torch.ones(3), []
        seen, w = x.numpy(), torch.full((3,), 2.0)
        for k in range(STEPS):
            seen[k % 3] += 1
            found.append(((x * w).sum() + w.prod()).item())
        return found

    check(loop, 0, wasted=STEPS)


def test_signs_of_zeros_in_numbers() -> None:
    def loop() -> list[Any]:
        x, found = torch.ones(3), []
        for k in range(STEPS):
            zero = -0.0 if k % 8 == 7 else 0.0
            found.append(str(((x * zero) + (x * zero)).min().item()))
        return found

    plain = outcome(loop, False)
    assert outcome(loop, True) == plain and "-0.0" in plain
    assert stats.programs_ahead > 0
    with_zero, with_other = (host_value(torch.tensor(z).numpy()) for z in (0.0, -0.0))
    assert is_as(with_zero, with_zero) and not is_as(with_zero, with_other)


def test_numbers_that_stay_are_put_on_the_device_once() -> None:
    vectors, cpu = Vectors(), jax.devices("cpu")[0]
    numbers: Any = ([1.5, -0.0, math.nan], [3], [])
    first, again, third = (vectors.of(numbers, cpu) for _ in range(3))
    assert isinstance(first[0], np.ndarray) and again[0] is third[0]
    other = vectors.of(([1.5, 0.0, math.nan], [4], []), cpu)
    for made, sign, count in ((first, True, 3), (again, True, 3), (other, False, 4)):
        np.testing.assert_array_equal(np.signbit(made[0][:2]), [False, sign])
        assert made[0].dtype == np.float64 and made[1].tolist() == [count] and made[2] is None
    assert vectors.of(([], [], [1j]), cpu)[:2] == [None, None]


def test_a_run_ahead_that_fails_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def loop() -> list[Any]:
        x = torch.arange(3.0)
        return [((x + 1) * (x - 2)).sum().item() for _ in range(STEPS)]

    calls = []

    def refuse(*args: Any) -> Any:
        calls.append(args)
        raise MemoryError("no room")

    plain = outcome(loop, False)
    monkeypatch.setattr(forecast, "place", refuse)
    assert outcome(loop, True) == plain
    assert calls and stats.programs_ahead == 0


def test_what_listens_hears_an_end_for_each_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    monkeypatch.setattr(forecast, "listeners", [heard.append])

    def loop() -> list[Any]:
        x = torch.arange(3.0)
        return [((x + 1) * (x - 2)).sum().item() for _ in range(STEPS)]

    outcome(loop, True)
    assert heard and heard == [1, -1] * (len(heard) // 2)
    del heard[:]
    x = torch.arange(3.0)
    for _ in range(8):
        ((x + 1) * (x - 2)).sum().item()
    pending = (x + 1) * (x - 2)
    recorded = state.traces[torch.device("cpu")]
    assert my_forecast().attempt is not None and sum(heard) == 1
    recorded.ahead = Forecast(recorded)
    del pending
    gc.collect()
    assert sum(heard) == 0


def test_one_thread_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `set_num_threads(1)` nothing runs beside the script."""
    monkeypatch.setattr(process, "num_threads", 1)

    def loop() -> list[Any]:
        x = torch.arange(3.0)
        return [((x + 1) * (x - 2)).sum().item() for _ in range(STEPS)]

    check(loop, 0)
    assert stats.programs_ahead == 0 and my_forecast().next is None


def test_threads_look_ahead_for_themselves() -> None:
    def loop(results: list[Any]) -> None:
        x = torch.arange(3.0)
        for k in range(STEPS):
            results.append(((x + k // 12) * (x - 2)).sum().item())

    plain: list[Any] = []
    loop(plain)
    found: list[list[Any]] = [[], [], []]
    threads = [threading.Thread(target=loop, args=(f,)) for f in found]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [plain] * 3


def test_runs_that_never_come_as_expected_are_not_looked_at() -> None:
    x = torch.arange(3.0)
    recorded = trace.current_trace(torch.device("cpu"))
    recorded.ahead = Forecast(recorded)
    for k in range(forecast.USELESS + 4):
        (x * 2 + k * k % 11).sum().item()
    assert my_forecast().resting > 0 and my_forecast().next is None


def test_a_loop_that_is_not_faster_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trial, "says", SAYS)
    for cost, verdict in ((0.5, True), (0.99, False), (1.5, False)):
        trial = Trial()
        for _ in range(10 * SAMPLES):
            ahead = trial.says()
            trial.note(ahead, cost if ahead else 1.0)
        assert trial.verdict is verdict and trial.says() is verdict


def test_a_loop_that_went_back_in_a_busy_minute_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Trial, "says", SAYS)
    trial, began, before = Trial(), [], False
    for k in range(8 * AGAIN):
        if (is_tried := trial.verdict is None) and not before:
            began.append(k)
        before = is_tried
        ahead = trial.says()
        trial.note(ahead, 1.5 if ahead else 1.0)
    first, second, *_ = [b - a for a, b in pairwise(began)]
    assert AGAIN < first < 1.5 * AGAIN < second
    for _ in range(32 * AGAIN):  # the machine is quiet from now on
        ahead = trial.says()
        trial.note(ahead, 0.5 if ahead else 1.0)
    assert trial.verdict is True
