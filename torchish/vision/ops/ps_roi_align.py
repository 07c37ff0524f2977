"""Position-sensitive RoIAlign.

Source: Li et al., "Light-Head R-CNN" (2017).
"""

from __future__ import annotations

from typing import Any

from ... import fx, nn
from ..._ops.registry import internal
from ._utils import pair, regions
from .roi_align import Sizes, check_positions, sample_bound

__all__ = ["PSRoIAlign", "ps_roi_align"]


def ps_roi_align(
    input: Any,
    boxes: Any,
    output_size: Sizes,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
) -> Any:
    """As `roi_align` (aligned), each bin reading channels of its own.

    Shape: input (N, C * h * w, H, W) and boxes (K, 5) to (K, C, h, w).
    Raises: RuntimeError unless the channels are a multiple of h * w.
    """
    rois, bins = regions(input, boxes), pair(output_size)
    check_positions(input, bins)
    bound = sample_bound(rois, bins, spatial_scale, sampling_ratio)
    return internal.vision_ps_roi_align(
        input, rois, float(spatial_scale), bins, sampling_ratio, bound
    )


fx.wrap("ps_roi_align")


class PSRoIAlign(nn.Module):
    """See `ps_roi_align`."""

    def __init__(self, output_size: Sizes, spatial_scale: float, sampling_ratio: int) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio

    def forward(self, input: Any, rois: Any) -> Any:
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio})"
        )
