"""GradScaler against torch's on the CPU."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish


def history(m: Any) -> Any:
    """Scales and weights of steps, some of which overflow."""
    w = m.ones(2, requires_grad=True)
    optimizer = m.optim.SGD([w], lr=0.1)
    scaler = m.amp.GradScaler("cpu", init_scale=8.0, growth_factor=4.0, growth_interval=2)
    found = []
    for factor in (1.0, 1.0, float("inf"), 1.0, float("nan"), 1.0, 1.0):
        optimizer.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        scaler.unscale_(optimizer)
        grad = w.grad.tolist() if factor == 1.0 else None
        scaler.step(optimizer)
        scaler.update()
        found.append((scaler.get_scale(), w.tolist(), grad, scaler._get_growth_tracker()))
    return found, scaler.state_dict()


def test_scales_grow_and_shrink() -> None:
    assert history(torchish) == history(torch)


def _setup(m: Any) -> tuple[Any, Any, Any]:
    w = m.ones(2, requires_grad=True)
    optimizer = m.optim.SGD([w], lr=0.1)
    scaler = m.amp.GradScaler("cpu")
    scaler.scale(w.sum()).backward()
    return w, optimizer, scaler


def _twice(m: Any) -> Any:
    _, optimizer, scaler = _setup(m)
    scaler.unscale_(optimizer)
    scaler.unscale_(optimizer)


def _after(m: Any) -> Any:
    _, optimizer, scaler = _setup(m)
    scaler.step(optimizer)
    scaler.unscale_(optimizer)


def _steps(m: Any) -> Any:
    _, optimizer, scaler = _setup(m)
    scaler.step(optimizer)
    scaler.step(optimizer)


def _closure(m: Any) -> Any:
    _, optimizer, scaler = _setup(m)
    scaler.step(optimizer, closure=lambda: 0)


def _half(m: Any) -> Any:
    w = m.ones(2, dtype=m.float16, requires_grad=True)
    scaler = m.amp.GradScaler("cpu")
    scaler.scale(w.sum()).backward()
    scaler.step(m.optim.SGD([w], lr=0.1))


WRONG: dict[str, Callable[[Any], Any]] = {
    "twice": _twice,
    "after": _after,
    "steps": _steps,
    "closure": _closure,
    "half": _half,
    "early": lambda m: m.amp.GradScaler("cpu").unscale_(m.optim.SGD([m.ones(1)], lr=1.0)),
    "no step": lambda m: _setup(m)[2].update(),
    "growth": lambda m: m.amp.GradScaler("cpu", growth_factor=1.0),
    "backoff": lambda m: m.amp.GradScaler("cpu", backoff_factor=1.0),
    "number": lambda m: m.amp.GradScaler("cpu").scale(3.0),
    "empty": lambda m: m.amp.GradScaler("cpu").load_state_dict({}),
}


@pytest.mark.parametrize("name", WRONG)
def test_misuse(name: str) -> None:
    found = []
    for m in (torchish, torch):
        with pytest.raises(Exception) as caught:
            WRONG[name](m)
        found.append((type(caught.value).__name__, str(caught.value).split(".")[0]))
    assert found[0] == found[1]


def test_disabled_passes_through() -> None:
    for m in (torchish, torch):
        scaler = m.amp.GradScaler("cpu", enabled=False)
        x = m.ones(1)
        assert scaler.scale(x) is x
        assert scaler.get_scale() == 1.0
        assert scaler.state_dict() == {}
        with pytest.warns(UserWarning, match="CUDA is not available"):
            assert not m.amp.GradScaler().is_enabled()


def test_state_travels() -> None:
    state = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=7).state_dict()
    scaler = torchish.amp.GradScaler("cpu")
    scaler.scale(torchish.ones(1))
    scaler.load_state_dict(state)
    assert scaler.state_dict() == state
    scaler.update(32.0)
    assert pickle.loads(pickle.dumps(scaler)).get_scale() == 32.0
    many = scaler.scale([torchish.ones(1), (torchish.ones(1),)])
    assert many[0].item() == 32.0
    assert many[1][0].item() == 32.0
