"""The same piece of autograd on both libraries, and whether outcomes agree to the character."""

from __future__ import annotations

from typing import Any

from tests import oracle
from tests.oracle import Work


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


def agree(work: Work, lines: int | None = None) -> Any:
    """Assert equal outcomes, to the fourth decimal; returns PyTorch's."""
    return oracle.agree(lambda m: shown(work(m)), 0.0, lines=lines)
