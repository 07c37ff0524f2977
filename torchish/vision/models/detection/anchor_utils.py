"""Boxes that predictions start from, at every place of every feature map.

They depend on sizes only and are worked out in numpy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import torchish

from .... import nn
from .image_list import ImageList


class AnchorGenerator(nn.Module):
    """Anchors of given sizes and proportions.

    Args:
        sizes: of each feature map, or one a map.
        aspect_ratios: height by width, of each feature map or the same for all.
    """

    __annotations__ = {"cell_anchors": list[torchish.Tensor]}

    def __init__(
        self,
        sizes: Any = ((128, 256, 512),),
        aspect_ratios: Any = ((0.5, 1.0, 2.0),),
    ) -> None:
        super().__init__()
        if not isinstance(sizes[0], (list, tuple)):
            sizes = tuple((size,) for size in sizes)
        if not isinstance(aspect_ratios[0], (list, tuple)):
            aspect_ratios = (aspect_ratios,) * len(sizes)
        self.sizes = sizes
        self.aspect_ratios = aspect_ratios
        self.cell_anchors = [
            self.generate_anchors(size, ratio)
            for size, ratio in zip(sizes, aspect_ratios, strict=False)
        ]

    def generate_anchors(
        self,
        scales: Any,
        aspect_ratios: Any,
        dtype: Any = torchish.float32,
        device: Any = torchish.device("cpu"),  # noqa: B008 (torchvision's default)
    ) -> Any:
        """Rounded boxes around 0 of every proportion and size, (n, 4)."""
        ratios = np.sqrt(np.asarray(aspect_ratios, np.float32))
        sizes = np.asarray(scales, np.float32)
        heights = (ratios[:, None] * sizes[None]).reshape(-1)
        widths = ((1 / ratios)[:, None] * sizes[None]).reshape(-1)
        boxes = np.stack([-widths, -heights, widths, heights], 1) / 2
        return torchish.from_numpy(np.round(boxes)).to(device=device, dtype=dtype)

    def set_cell_anchors(self, dtype: Any, device: Any) -> None:
        self.cell_anchors = [a.to(dtype=dtype, device=device) for a in self.cell_anchors]

    def num_anchors_per_location(self) -> list[int]:
        return [len(s) * len(a) for s, a in zip(self.sizes, self.aspect_ratios, strict=False)]

    def grid_anchors(self, grid_sizes: list[Any], strides: list[Any]) -> list[Any]:
        """The anchors of each map, (height * width * n, 4)."""
        if not len(grid_sizes) == len(strides) == len(self.cell_anchors):
            raise AssertionError(
                "Anchors should be Tuple[Tuple[int]] because each feature map could potentially "
                "have different sizes and aspect ratios. There needs to be a match between the "
                "number of feature maps passed and the number of sizes / aspect ratios specified."
            )
        anchors = []
        rows = zip(grid_sizes, strides, self.cell_anchors, strict=True)
        for (height, width), (down, right), cell in rows:
            y, x = np.meshgrid(
                np.arange(height) * int(down), np.arange(width) * int(right), indexing="ij"
            )
            shifts = np.stack([x, y, x, y], -1).reshape(-1, 1, 4)
            moved = torchish.from_numpy(shifts).to(device=cell.device, dtype=cell.dtype)
            anchors.append((moved + cell.view(1, -1, 4)).reshape(-1, 4))
        return anchors

    def forward(self, image_list: ImageList, feature_maps: list[Any]) -> list[Any]:
        grids = [tuple(x.shape[-2:]) for x in feature_maps]
        height, width = image_list.tensors.shape[-2:]
        strides = [(height // h, width // w) for h, w in grids]
        self.set_cell_anchors(feature_maps[0].dtype, feature_maps[0].device)
        anchors = torchish.cat(self.grid_anchors(grids, strides))
        return [anchors] * len(image_list.image_sizes)


class DefaultBoxGenerator(nn.Module):
    """SSD's default boxes.

    Args:
        aspect_ratios: of each feature map, besides 1.
        min_ratio, max_ratio: sizes of the first and the last map's boxes, in images.
        scales: sizes, in place of the two.
        steps: strides of the maps; by default what the maps' sizes give.
        clip: keep boxes no larger than the image.
    """

    def __init__(
        self,
        aspect_ratios: list[list[int]],
        min_ratio: float = 0.15,
        max_ratio: float = 0.9,
        scales: list[float] | None = None,
        steps: list[int] | None = None,
        clip: bool = True,
    ) -> None:
        super().__init__()
        if steps is not None and len(aspect_ratios) != len(steps):
            raise ValueError("aspect_ratios and steps should have the same length")
        self.aspect_ratios = aspect_ratios
        self.steps = steps
        self.clip = clip
        count = len(aspect_ratios)
        if scales is not None:
            self.scales = scales
        elif count > 1:
            span = max_ratio - min_ratio
            self.scales = [min_ratio + span * k / (count - 1.0) for k in range(count)] + [1.0]
        else:
            self.scales = [min_ratio, max_ratio]
        self._wh_pairs = self._generate_wh_pairs(count)

    def _generate_wh_pairs(self, num_outputs: int) -> list[Any]:
        """Width and height of each map's boxes: a square, one of between sizes, the proportions."""
        pairs = []
        for k in range(num_outputs):
            size, between = self.scales[k], math.sqrt(self.scales[k] * self.scales[k + 1])
            found = [[size, size], [between, between]]
            for ratio in self.aspect_ratios[k]:
                root = math.sqrt(ratio)
                found += [[size * root, size / root], [size / root, size * root]]
            pairs.append(torchish.tensor(found, dtype=torchish.float32))
        return pairs

    def num_anchors_per_location(self) -> list[int]:
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def _grid_default_boxes(
        self, grid_sizes: list[Any], image_size: Any, dtype: Any = torchish.float32
    ) -> Any:
        """Centre and size of all boxes, in images: (boxes, 4)."""
        found = []
        for k, (height, width) in enumerate(grid_sizes):
            down, right = height, width
            if self.steps is not None:
                down, right = (n / self.steps[k] for n in image_size)
            rows = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(down)
            columns = (np.arange(width, dtype=np.float32) + np.float32(0.5)) / np.float32(right)
            y, x = np.meshgrid(rows, columns, indexing="ij")
            sizes = self._wh_pairs[k].numpy()
            sizes = sizes.clip(0, 1) if self.clip else sizes
            places = np.stack([x, y], -1).reshape(-1, 1, 2)
            shape = (len(places), len(sizes), 2)
            boxes = [np.broadcast_to(places, shape), np.broadcast_to(sizes[None], shape)]
            found.append(np.concatenate(boxes, -1).reshape(-1, 4))
        return torchish.from_numpy(np.concatenate(found)).to(dtype)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(aspect_ratios={self.aspect_ratios}, clip={self.clip}, "
            f"scales={self.scales}, steps={self.steps})"
        )

    def forward(self, image_list: ImageList, feature_maps: list[Any]) -> list[Any]:
        grids = [tuple(x.shape[-2:]) for x in feature_maps]
        height, width = image_list.tensors.shape[-2:]
        first = feature_maps[0]
        boxes = self._grid_default_boxes(grids, (height, width), first.dtype).to(first.device)
        image = torchish.tensor([width, height], device=first.device)
        centre, half = boxes[:, :2], 0.5 * boxes[:, 2:]
        boxes = torchish.cat([(centre - half) * image, (centre + half) * image], -1)
        return [boxes] * len(image_list.image_sizes)
