"""The same piece of autograd on both libraries, and whether outcomes agree to the character."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.func

import torchish
import torchish.func

Work = Callable[[Any], Any]


def shown(value: Any) -> Any:
    """Tensors as (shape, rounded values, requires_grad); containers of them alike."""
    if isinstance(value, dict):
        return {k: shown(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [shown(v) for v in value]
    if hasattr(value, "detach"):
        plain = value.detach().double() if value.is_floating_point() else value.detach()
        rounded = [round(x, 4) for x in plain.reshape(-1).tolist()]
        return (tuple(value.shape), str(value.dtype), rounded, value.requires_grad)
    return value


def outcome(work: Work, m: Any, lines: int | None = None) -> Any:
    """What `work` gives on library `m`: its value, or the class and text of its error."""
    m.manual_seed(0)
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = shown(work(m))
        except Exception as error:
            text = str(error).replace("torchish", "torch")
            result = [type(error).__name__, *text.split("\n")[:lines]]
    torch.set_warn_always(before)
    texts = [str(w.message).split(" (Triggered internally")[0] for w in caught]
    texts = [t for t in texts if "torch.jit" not in t]  # forward mode loads deprecated parts
    return result, texts


def agree(work: Work, lines: int | None = None) -> Any:
    """Assert equal outcomes; returns PyTorch's."""
    theirs = outcome(work, torch, lines)
    assert outcome(work, torchish, lines) == theirs
    return theirs
