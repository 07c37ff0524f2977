"""Engine facts: how many programs run and compile, memory, threads, state after exceptions."""

from __future__ import annotations

import gc
import threading
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

import torchish as torch
from torchish import nn, optim
from torchish._basics.settings import settings
from torchish._basics.state import state
from torchish._basics.stats import stats
from torchish._core import trace
from torchish._core.policy import Policy


@pytest.fixture(autouse=True)
def counters(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clean trace, fresh counters, a policy that has seen nothing; every program is compiled."""
    trace.flush_all()
    monkeypatch.setattr(state, "policy", Policy())
    monkeypatch.setattr(settings, "compiled", True)
    stats.reset()
    yield stats
    trace.flush_all()


class Gan:
    """A small DCGAN with the classic training step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.g = nn.Sequential(
            nn.ConvTranspose2d(8, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
            nn.ConvTranspose2d(16, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip
        self.d = nn.Sequential(
            nn.Conv2d(3, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 1, 4, 1, 0, bias=False), nn.Sigmoid(),
        )  # fmt: skip
        self.opt_g = optim.Adam(self.g.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.opt_d = optim.Adam(self.d.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.loss = nn.BCELoss()
        self.data = torch.rand(4, 3, 8, 8)

    def step(self, reads: bool = False) -> list[float]:
        seen = []
        self.d.zero_grad()
        label = torch.full((4,), 1.0)
        out = self.d(self.data).view(-1)
        loss_real = self.loss(out, label)
        loss_real.backward()
        if reads:
            seen.append(out.mean().item())
        fake = self.g(torch.randn(4, 8, 1, 1))
        label.fill_(0.0)
        out = self.d(fake.detach()).view(-1)
        loss_fake = self.loss(out, label)
        loss_fake.backward()
        if reads:
            seen.append((loss_real + loss_fake).item())
        self.opt_d.step()
        self.g.zero_grad()
        label.fill_(1.0)
        out = self.d(fake).view(-1)
        loss_g = self.loss(out, label)
        loss_g.backward()
        self.opt_g.step()
        if reads:
            seen.append(loss_g.item())
        return seen


def test_a_gan_step_with_reads_compiles_nothing_after_its_second() -> None:
    gan = Gan()
    for _ in range(2):
        gan.step(reads=True)
    before = stats.compiled
    for k in range(4):
        for optimizer in (gan.opt_d, gan.opt_g):
            optimizer.param_groups[0]["lr"] = 1e-4 / (k + 1)
        losses = gan.step(reads=True)
        assert all(np.isfinite(losses))
    assert stats.compiled == before


def test_a_gan_step_without_reads_is_two_programs() -> None:
    gan = Gan()
    for _ in range(3):
        gan.step()
    before = stats.ran
    gan.step()
    assert 1 <= stats.ran - before <= 2


def test_reading_a_value_costs_no_second_execution() -> None:
    x = torch.ones(4)
    y = (x * 2).sum()
    first = y.item()
    ran = stats.ran
    assert y.item() == first == 8.0
    assert float(y) == 8.0 and bool(y > 0)
    assert stats.ran == ran + 1  # the comparison alone


def _live_bytes() -> int:
    gc.collect()
    return sum(a.nbytes for a in jax.live_arrays())


def test_memory_is_the_same_after_many_steps() -> None:
    gan = Gan()
    for _ in range(50):
        gan.step()
    early = _live_bytes()
    for _ in range(450):
        gan.step()
    assert _live_bytes() <= early * 1.05


def test_no_reference_cycle_holds_a_graph() -> None:
    gc.collect()
    gc.disable()
    try:
        before = len(jax.live_arrays())
        w = torch.ones(1000, requires_grad=True)
        for _ in range(3):
            (w * w).exp().sum().backward()
            trace.flush_all()
            w.grad = None
        del w
        assert len(jax.live_arrays()) <= before
    finally:
        gc.enable()


def test_threads_do_not_mix() -> None:
    results: dict[int, float] = {}
    errors: list[BaseException] = []

    def work(k: int) -> None:
        try:
            w = torch.full((8,), float(k), requires_grad=True)
            for _ in range(30):
                loss = (w * w).sum()
                loss.backward()
                with torch.no_grad():
                    w -= 0.01 * w.grad
                w.grad = None
            results[k] = w.sum().item()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(timeout=120)
    assert not errors
    for k in range(1, 5):
        assert results[k] == pytest.approx(8 * k * 0.98**30, rel=1e-4)


def test_a_value_of_another_thread_is_run_for_its_reader() -> None:
    made: list[Any] = []
    t = threading.Thread(target=lambda: made.append(torch.ones(3) * 5))
    t.start()
    t.join()
    assert (made[0] + 1).tolist() == [6.0, 6.0, 6.0]


def test_an_exception_leaves_grad_mode_and_trace_clean() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="must match the size"):
        with torch.no_grad():
            y = x * 2
            y + torch.ones(4)
    assert torch.is_grad_enabled() and not state.inference
    with pytest.raises(ZeroDivisionError):
        with torch.inference_mode():
            _ = 1 / 0
    assert torch.is_grad_enabled() and not state.inference

    class Boom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, t: Any) -> Any:
            return t * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        Boom.apply(x).sum().backward()
    assert torch.is_grad_enabled()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [[3.0] * 3] * 2


def test_a_loop_of_changing_graphs_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "compiled", False)
    torch.manual_seed(0)
    cell = nn.RNNCell(4, 8)
    optimizer = optim.SGD(cell.parameters(), lr=0.01)
    rng = np.random.default_rng(0)

    def step() -> None:
        h = torch.zeros(2, 8)
        for _ in range(int(rng.integers(5, 60))):
            h = cell(torch.ones(2, 4), h)
        h.sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(50):
        step()
    assert stats.compiled == 0


def test_a_changed_number_makes_no_new_program() -> None:
    x = torch.arange(10.0)

    def read(k: int) -> tuple[float, float, float]:
        return (x * (0.1 + k)).sum().item(), x[k].item(), x[k : k + 3].sum().item()

    read(0)
    before = stats.compiled
    for k in range(1, 6):
        product, element, window = read(k)
        assert product == pytest.approx(45 * (0.1 + k), rel=1e-6)
        assert (element, window) == (k, 3 * k + 3)
    assert stats.compiled == before


def test_an_error_at_run_time_names_the_operator_and_the_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "eager", True)
    x = torch.ones(3)
    y = x * 2
    kernel = next(k for k in state.traces[x.device].entries if hasattr(k, "fn"))

    def fail(*args: Any) -> Any:
        raise ValueError("no such thing")

    monkeypatch.setattr(kernel, "_plan", SimpleNamespace(run=fail))
    with pytest.raises(RuntimeError, match=r"mul.*test_engine\.py:\d+ failed: no such thing"):
        y.tolist()
    with pytest.raises(RuntimeError, match="lost when its program failed"):
        y.tolist()


def test_a_trace_that_reaches_its_limit_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "max_nodes", 10)
    x = torch.zeros(2)
    for _ in range(35):
        x = x + 1
    assert stats.flushes >= 3
    assert x.tolist() == [35.0, 35.0]
