"""Shuffling of channels."""

from __future__ import annotations

from ..._ops.registry import nnf
from ..._tensor.tensor import Tensor
from .module import Module

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Module):
    """Deals the channels of `(*, C, H, W)` out from `groups` groups in turn.

    Source: Zhang et al., 2017.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return nnf.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
