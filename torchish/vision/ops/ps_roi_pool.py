"""Position-sensitive pooling of regions.

Source: Dai et al., "R-FCN" (2016).
"""

from __future__ import annotations

from typing import Any

from ... import fx, nn
from ..._ops.registry import internal
from ._utils import pair, regions
from .roi_align import Sizes, check_positions

__all__ = ["PSRoIPool", "ps_roi_pool"]


def ps_roi_pool(input: Any, boxes: Any, output_size: Sizes, spatial_scale: float = 1.0) -> Any:
    """Each region as a grid of means, each bin reading channels of its own; an empty bin is 0.

    Shape: input (N, C * h * w, H, W) and boxes (K, 5) to (K, C, h, w).
    Raises: RuntimeError unless the channels are a multiple of h * w.
    """
    rois, bins = regions(input, boxes), pair(output_size)
    check_positions(input, bins)
    return internal.vision_ps_roi_pool(input, rois, float(spatial_scale), bins)


fx.wrap("ps_roi_pool")


class PSRoIPool(nn.Module):
    """See `ps_roi_pool`."""

    def __init__(self, output_size: Sizes, spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Any, rois: Any) -> Any:
        return ps_roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale})"
        )
