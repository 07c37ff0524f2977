"""RoIAlign over the levels of a pyramid: each region reads the level of its size."""

from __future__ import annotations

import math
from typing import Any

import torchish

from ... import nn
from ..._ops.registry import internal
from ._utils import convert_boxes_to_roi_format
from .boxes import box_area
from .roi_align import roi_align

__all__ = ["LevelMapper", "MultiScaleRoIAlign", "initLevelMapper"]


class LevelMapper:
    """floor(canonical level + log2(sqrt(area) / canonical scale)), clamped to the levels there are.

    Source: Lin et al. (2016), equation 1.
    """

    def __init__(
        self,
        k_min: int,
        k_max: int,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        eps: float = 1e-6,
    ) -> None:
        self.k_min = k_min
        self.k_max = k_max
        self.s0 = canonical_scale
        self.lvl0 = canonical_level
        self.eps = eps

    def __call__(self, boxlists: list[Any]) -> Any:
        side = torchish.sqrt(torchish.cat([box_area(boxes) for boxes in boxlists]))
        level = torchish.floor(self.lvl0 + torchish.log2(side / self.s0) + self.eps)
        return level.clamp(min=self.k_min, max=self.k_max).to(torchish.int64) - self.k_min


def initLevelMapper(
    k_min: int,
    k_max: int,
    canonical_scale: int = 224,
    canonical_level: int = 4,
    eps: float = 1e-6,
) -> LevelMapper:
    return LevelMapper(k_min, k_max, canonical_scale, canonical_level, eps)


class MultiScaleRoIAlign(nn.Module):
    """RoIAlign of a dict of maps.

    Args:
        featmap_names: the maps that are read, the finest first.
        sampling_ratio: samples along each side of a bin.
        canonical_scale, canonical_level: a region of this side reads this level.
    Shape: maps, boxes (L, 4) of each image and the images' sizes to (K, C, *output_size).
    """

    def __init__(
        self,
        featmap_names: list[str],
        output_size: int | tuple[int, int] | list[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        size = (output_size, output_size) if isinstance(output_size, int) else output_size
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size: Any = tuple(size)
        self.scales: Any = None
        self.map_levels: Any = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def _set_up(self, maps: list[Any], image_shapes: list[tuple[int, int]]) -> None:
        """The maps' scales, powers of two, from the sizes of the first images that come."""
        if not image_shapes:
            raise ValueError("images list should not be empty")
        height = max(0, *(shape[0] for shape in image_shapes))
        self.scales = [2.0 ** round(math.log2(x.shape[-2] / height)) for x in maps]
        first, last = (int(-math.log2(self.scales[i])) for i in (0, -1))
        self.map_levels = LevelMapper(first, last, self.canonical_scale, self.canonical_level)

    def forward(
        self, x: dict[str, Any], boxes: list[Any], image_shapes: list[tuple[int, int]]
    ) -> Any:
        maps = [value for name, value in x.items() if name in self.featmap_names]
        if self.scales is None or self.map_levels is None:
            self._set_up(maps, image_shapes)
        rois = convert_boxes_to_roi_format(boxes)
        if len(maps) == 1:
            return self._align(maps[0], rois, self.scales[0])
        levels = self.map_levels(boxes)
        if self.sampling_ratio > 0:
            rois = rois.to(maps[0].dtype)
            return internal.vision_roi_align_levels(
                maps, rois, levels, tuple(self.scales), self.output_size, self.sampling_ratio
            )
        pooled: Any = 0.0
        for level, (value, scale) in enumerate(zip(maps, self.scales, strict=True)):
            own = (levels == level).view(-1, 1, 1, 1)
            pooled = pooled + torchish.where(own, self._align(value, rois, scale), 0.0)
        return pooled

    def _align(self, value: Any, rois: Any, scale: float) -> Any:
        return roi_align(value, rois, self.output_size, scale, self.sampling_ratio)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(featmap_names={self.featmap_names}, "
            f"output_size={self.output_size}, sampling_ratio={self.sampling_ratio})"
        )
