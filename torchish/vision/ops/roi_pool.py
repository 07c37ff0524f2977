"""Regions pooled by their greatest values.

Source: Girshick, "Fast R-CNN" (2015).
"""

from __future__ import annotations

from typing import Any

from ... import fx, nn
from ..._ops.registry import internal
from . import _kernels as _kernels  # registers the operators
from ._utils import pair, regions
from .roi_align import Sizes

__all__ = ["RoIPool", "roi_pool"]


def roi_pool(input: Any, boxes: Any, output_size: Sizes, spatial_scale: float = 1.0) -> Any:
    """Each region as a grid of bins of whole pixels, each its greatest value; an empty bin is 0.

    Args:
        boxes: (K, 5) of image number and corners, or a list of (L, 4), one tensor an image.
        spatial_scale: from the boxes' coordinates to the map's; corners are then rounded.
    Shape: input (N, C, H, W) to (K, C, *output_size). No gradient flows to the boxes.
    """
    rois = regions(input, boxes)
    return internal.vision_roi_pool(input, rois, float(spatial_scale), pair(output_size))


fx.wrap("roi_pool")


class RoIPool(nn.Module):
    """See `roi_pool`."""

    def __init__(self, output_size: Sizes, spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Any, rois: Any) -> Any:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale})"
        )
