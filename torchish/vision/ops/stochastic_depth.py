"""Residual branches dropped at random.

Source: Huang et al., "Deep Networks with Stochastic Depth" (2016).
"""

from __future__ import annotations

from typing import Any

import torchish

from ... import fx, nn

__all__ = ["StochasticDepth", "stochastic_depth"]


def stochastic_depth(input: Any, p: float, mode: str, training: bool = True) -> Any:
    """Zero all of `input` (mode "batch") or whole rows of it ("row"), and scale what is left.

    y = x b / (1 - p), b ~ Bernoulli(1 - p)

    Raises: ValueError for p outside [0, 1] or another mode.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0.0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    shape = [rows] + [1] * (input.ndim - 1)
    keep = torchish.empty(shape, dtype=input.dtype, device=input.device).bernoulli_(1.0 - p)
    if p < 1.0:
        keep.div_(1.0 - p)
    return input * keep


fx.wrap("stochastic_depth")


class StochasticDepth(nn.Module):
    """See `stochastic_depth`."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: Any) -> Any:
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p={self.p}, mode={self.mode})"
