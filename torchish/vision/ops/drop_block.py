"""Square blocks of a feature map dropped at random.

Source: Ghiasi et al., "DropBlock: A regularization method for convolutional networks" (2018).
"""

from __future__ import annotations

import math
from typing import Any

import torchish

from ... import fx, nn
from ...nn import functional as F

__all__ = ["DropBlock2d", "DropBlock3d", "drop_block2d", "drop_block3d"]


def _drop_block(
    input: Any, p: float, block_size: int, inplace: bool, eps: float, training: bool, spatial: int
) -> Any:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != spatial + 2:
        raise ValueError(f"input should be {spatial + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    sizes = tuple(input.shape[2:])
    block = min(block_size, *sizes)
    if block % 2 == 0:
        raise ValueError(f"block size should be odd. Got {block} which is even.")
    centres = tuple(size - block + 1 for size in sizes)
    # So many centres that, blocks overlapping not counted, a share p of the map is dropped.
    gamma = (p * math.prod(sizes)) / ((block**spatial) * math.prod(centres))
    noise = torchish.empty(
        (*input.shape[:2], *centres), dtype=input.dtype, device=input.device
    ).bernoulli_(gamma)
    noise = F.pad(noise, [block // 2] * (2 * spatial), value=0)
    pool = F.max_pool2d if spatial == 2 else F.max_pool3d
    keep = 1 - pool(noise, kernel_size=block, stride=1, padding=block // 2)
    scale = keep.numel() / (eps + keep.sum())
    if inplace:
        return input.mul_(keep).mul_(scale)
    return input * keep * scale


def drop_block2d(
    input: Any,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> Any:
    """Zero squares of `block_size` in an input (N, C, H, W) so that about a share `p` is dropped.

    Raises: ValueError for p outside [0, 1], an even block or another number of dimensions.
    """
    return _drop_block(input, p, block_size, inplace, eps, training, 2)


def drop_block3d(
    input: Any,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> Any:
    """As `drop_block2d` for cubes of an input (N, C, D, H, W)."""
    return _drop_block(input, p, block_size, inplace, eps, training, 3)


fx.wrap("drop_block2d")
fx.wrap("drop_block3d")


class DropBlock2d(nn.Module):
    """See `drop_block2d`."""

    def __init__(
        self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06
    ) -> None:
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input: Any) -> Any:
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(p={self.p}, block_size={self.block_size}, "
            f"inplace={self.inplace})"
        )


class DropBlock3d(DropBlock2d):
    """See `drop_block3d`."""

    def forward(self, input: Any) -> Any:
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)
