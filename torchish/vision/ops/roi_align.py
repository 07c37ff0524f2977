"""Regions pooled by averages of bilinear samples, and its position-sensitive form."""

from __future__ import annotations

import math
from typing import Any

import torchish

from ... import fx, nn
from ..._ops.registry import internal
from . import _kernels as _kernels  # registers the operators
from ._utils import pair, regions

__all__ = ["RoIAlign", "roi_align"]

Sizes = int | tuple[int, int] | list[int]


def sample_bound(rois: Any, bins: tuple[int, int], scale: float, sampling: int) -> int:
    """Samples along one side of a bin: as given, or at least what the largest region needs.

    Read on the host and rounded up to a power of two, so that programs recur.
    """
    if sampling > 0:
        return sampling
    if rois.shape[0] == 0 or rois.is_meta:
        return 1
    boxes = rois.detach().float().cpu().numpy()
    height = float((boxes[:, 4] - boxes[:, 2]).max()) * scale
    width = float((boxes[:, 3] - boxes[:, 1]).max()) * scale
    most = max(math.ceil(max(height, 1.0) / bins[0]), math.ceil(max(width, 1.0) / bins[1]))
    return 1 << (most - 1).bit_length()


def roi_align(
    input: Any,
    boxes: Any,
    output_size: Sizes,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Any:
    """Each region as a grid of `output_size` bins, each the mean of bilinear samples.

    Args:
        input: feature maps (N, C, H, W).
        boxes: (K, 5) of image number and corners, or a list of (L, 4), one tensor an image.
        spatial_scale: from the boxes' coordinates to the map's.
        sampling_ratio: samples along each side of a bin; by default enough for one a pixel,
            for which the boxes are read on the host.
        aligned: shift by half a pixel, so that pixels are squares around their centres.
    Shape: (K, C, *output_size). No gradient flows to the boxes.
    Source: He et al., "Mask R-CNN" (2017).
    """
    rois, bins = regions(input, boxes), pair(output_size)
    bound = sample_bound(rois, bins, spatial_scale, sampling_ratio)
    return internal.vision_roi_align(
        input, rois, float(spatial_scale), bins, sampling_ratio, bool(aligned), bound
    )


fx.wrap("roi_align")


class RoIAlign(nn.Module):
    """See `roi_align`."""

    def __init__(
        self, output_size: Sizes, spatial_scale: float, sampling_ratio: int, aligned: bool = False
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Any, rois: Any) -> Any:
        return roi_align(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned
        )

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}, "
            f"aligned={self.aligned})"
        )


def check_positions(input: Any, bins: tuple[int, int]) -> None:
    """Raise RuntimeError unless every bin can have as many channels as any other."""
    if input.shape[1] % (bins[0] * bins[1]):
        raise RuntimeError("input channels must be a multiple of pooling height * pooling width")
    if input.dtype not in (torchish.float32, torchish.float64):
        raise RuntimeError("position-sensitive pooling only supports float and double types")
