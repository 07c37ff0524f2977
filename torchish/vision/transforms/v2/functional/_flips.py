"""Mirror images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....._tensor.tensor import Tensor
from ...._tensors import apply
from ....tv_tensors import BoundingBoxes, BoundingBoxFormat as Format, Image, KeyPoints
from ... import functional as first_api
from ._boxes import _radians
from ._meta import on_array
from ._utils import functional, kernel, mask_kernel, pil_kernel, video_kernel


@functional
def horizontal_flip(inpt: Any) -> Any:
    """Mirror left and right."""


@functional
def vertical_flip(inpt: Any) -> Any:
    """Mirror top and bottom."""


hflip, vflip = horizontal_flip, vertical_flip
pil_kernel(horizontal_flip)(first_api.hflip)
pil_kernel(vertical_flip)(first_api.vflip)


@kernel(horizontal_flip, Tensor, Image)
def horizontal_flip_image(image: Tensor) -> Tensor:
    """`horizontal_flip` for images."""
    return apply(image, lambda a: a[..., ::-1], lambda t: t.flip(-1))


@kernel(vertical_flip, Tensor, Image)
def vertical_flip_image(image: Tensor) -> Tensor:
    """`vertical_flip` for images."""
    return apply(image, lambda a: a[..., ::-1, :], lambda t: t.flip(-2))


def _flipped_points(points: np.ndarray, axis: int, extent: int) -> np.ndarray:
    flipped = points.copy()
    flipped[..., axis] = (extent - 1) - points[..., axis]
    return flipped


@kernel(horizontal_flip, KeyPoints)
def horizontal_flip_keypoints(keypoints: Tensor, canvas_size: tuple[int, int]) -> Tensor:
    """`horizontal_flip` for points."""
    return on_array(keypoints, lambda a: _flipped_points(a, 0, canvas_size[1]))


@kernel(vertical_flip, KeyPoints)
def vertical_flip_keypoints(keypoints: Tensor, canvas_size: tuple[int, int]) -> Tensor:
    """`vertical_flip` for points."""
    return on_array(keypoints, lambda a: _flipped_points(a, 1, canvas_size[0]))


def _flipped_boxes(boxes: np.ndarray, format: Format, axis: int, extent: int) -> np.ndarray:
    """Mirror along an axis (0 for x); the corner that comes first stays the box's own first."""
    out = boxes.copy()
    if format is Format.XYXY:
        out[..., axis] = extent - boxes[..., axis + 2]
        out[..., axis + 2] = extent - boxes[..., axis]
    elif format is Format.XYWH:
        out[..., axis] = extent - (boxes[..., axis] + boxes[..., axis + 2])
    elif format is Format.XYXYXYXY:
        out[..., axis::2] = extent - boxes[..., axis::2]
        out = out[..., [2, 3, 0, 1, 6, 7, 4, 5]]
    else:
        if format is Format.XYWHR:  # the other end of the first side becomes the first corner
            cos, sin = _radians(boxes[..., 4])
            out[..., 0] += boxes[..., 2] * cos
            out[..., 1] -= boxes[..., 2] * sin
        out[..., axis] = extent - out[..., axis]
        if format is not Format.CXCYWH:
            out[..., 4] = -boxes[..., 4] if axis == 0 else 180 - boxes[..., 4]
    return out


@kernel(horizontal_flip, BoundingBoxes)
def horizontal_flip_bounding_boxes(
    bounding_boxes: Tensor, format: Format, canvas_size: tuple[int, int]
) -> Tensor:
    """`horizontal_flip` for boxes."""
    return on_array(bounding_boxes, lambda a: _flipped_boxes(a, format, 0, canvas_size[1]))


@kernel(vertical_flip, BoundingBoxes)
def vertical_flip_bounding_boxes(
    bounding_boxes: Tensor, format: Format, canvas_size: tuple[int, int]
) -> Tensor:
    """`vertical_flip` for boxes."""
    return on_array(bounding_boxes, lambda a: _flipped_boxes(a, format, 1, canvas_size[0]))


horizontal_flip_video = video_kernel(horizontal_flip, horizontal_flip_image)
horizontal_flip_mask = mask_kernel(horizontal_flip, horizontal_flip_image)
vertical_flip_video = video_kernel(vertical_flip, vertical_flip_image)
vertical_flip_mask = mask_kernel(vertical_flip, vertical_flip_image)
