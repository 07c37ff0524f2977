"""What training with modules and optimizers must not cost: programs, compilations, memory."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import torchish as torch
from torchish import nn
from torchish._basics.settings import settings
from torchish._basics.state import state
from torchish._basics.stats import stats
from torchish._core.policy import Policy


@pytest.fixture(autouse=True)
def fresh_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether programs are compiled whole depends on the flushes before: start as a script does."""
    monkeypatch.setattr(state, "policy", Policy())
    monkeypatch.setattr(settings, "compiled", True)


def step(net: Any, optimizer: Any, schedule: Any) -> Any:
    x = torch.tensor(np.ones((4, 3, 8, 8), np.float32))
    optimizer.zero_grad()
    loss = net(x).pow(2).mean()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    return loss.detach()


def everything() -> tuple[Any, Any, Any]:
    """A net with hooks, both kinds of parametrization, statistics and dropout."""
    net = nn.Sequential(
        nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.2, inplace=True),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(64, 3),
    )
    net[2].register_forward_hook(lambda m, a, out: out * 1)
    net[3].register_full_backward_hook(lambda m, grad_in, grad_out: None)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    return net, optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)


def test_two_compilations_and_one_program_a_step() -> None:
    parts = everything()
    for _ in range(2):
        step(*parts)
    compiled, ran = stats.programs_compiled, stats.programs_run
    kernels = stats.kernels_compiled
    for _ in range(4):
        step(*parts)
    assert (stats.programs_compiled, stats.kernels_compiled) == (compiled, kernels)
    assert stats.programs_run - ran == 4


def test_reading_the_loss_costs_no_compilation() -> None:
    parts = everything()
    for _ in range(2):
        step(*parts).item()
    compiled = stats.programs_compiled
    losses = [step(*parts).item() for _ in range(3)]
    assert stats.programs_compiled == compiled
    assert np.isfinite(losses).all()


def test_tensors_are_freed_by_reference_counting() -> None:
    def alive() -> int:
        return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())

    parts = everything()
    for _ in range(2):
        step(*parts)
    gc.collect()
    gc.disable()
    try:
        before = alive()
        for _ in range(5):
            step(*parts)
        assert alive() == before
    finally:
        gc.enable()


def test_copies_of_parameters_are_apart() -> None:
    import copy

    first = nn.Linear(2, 2)
    second = copy.deepcopy(first)
    with torch.no_grad():
        second.weight.add_(1)
    second.bias.data.numpy()[0] = 9
    np.testing.assert_allclose(
        (second.weight - first.weight).detach().numpy(), np.ones((2, 2)), 1e-6
    )
    assert first.bias[0].item() != 9
