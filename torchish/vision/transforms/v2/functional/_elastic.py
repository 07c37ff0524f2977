"""Elastic deformation: every pixel is read a little way off."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....._tensor.tensor import Tensor
from ...._tensors import array_of
from ....tv_tensors import BoundingBoxes, BoundingBoxFormat as Format, Image, KeyPoints
from ....tv_tensors._kinds import is_rotated_bounding_format
from ..._convert import pil_to_tensor, to_pil_image
from ..._modes import InterpolationMode
from . import _boxes, _grids
from ._interpolation import check_interpolation
from ._meta import on_array
from ._utils import functional, kernel, mask_kernel, pil_kernel, video_kernel

BILINEAR = InterpolationMode.BILINEAR


@functional
def elastic(
    inpt: Any, displacement: Tensor, interpolation: Any = BILINEAR, fill: Any = None
) -> Any:
    """Read pixel (x, y) at (x, y) + displacement (1, H, W, 2), in units of half the image."""


elastic_transform = elastic


def _checked(displacement: Any, size: Any) -> np.ndarray:
    """The displacement (H, W, 2) as an array."""
    if not isinstance(displacement, Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    expected = (1, *size, 2)
    if tuple(displacement.shape) != expected:
        raise ValueError(
            f"Argument displacement shape should be {expected}, but given {displacement.shape}"
        )
    return array_of(displacement)[0]


@kernel(elastic, Tensor, Image)
def elastic_image(
    image: Tensor, displacement: Tensor, interpolation: Any = BILINEAR, fill: Any = None
) -> Tensor:
    """`elastic` for images."""
    mode = check_interpolation(interpolation).value
    shift = _checked(displacement, image.shape[-2:])
    dtype = _grids.grid_dtype(image)
    dtype = np.dtype(np.float32) if dtype == np.float16 else dtype
    grid = _grids.identity_grid(image.shape[-2:], dtype) + shift.astype(dtype)
    return _grids.warp(image, grid, mode, fill)


@pil_kernel(elastic)
def _elastic_pil(
    image: Any, displacement: Tensor, interpolation: Any = BILINEAR, fill: Any = None
) -> Any:
    moved = elastic_image(pil_to_tensor(image), displacement, interpolation, fill)
    return to_pil_image(moved, mode=image.mode)


def _undone(points: np.ndarray, shift: np.ndarray, up: bool) -> np.ndarray:
    """Where points (N, 2) go, to first order: the displacement at their pixel is subtracted."""
    height, width = shift.shape[:2]
    dtype = points.dtype if _boxes.is_float(points) else np.dtype(np.float32)
    back = _grids.identity_grid((height, width), dtype) - shift.astype(dtype)
    index = (np.ceil(points) if up else points).astype(np.int64)
    x, y = np.clip(index[:, 0], 0, width - 1), np.clip(index[:, 1], 0, height - 1)
    half = np.array([0.5 * width, 0.5 * height], dtype)
    return (back[y, x] + dtype.type(1)) * half - dtype.type(0.5)


@kernel(elastic, KeyPoints)
def elastic_keypoints(
    keypoints: Tensor, canvas_size: tuple[int, int], displacement: Tensor
) -> Tensor:
    """`elastic` for points."""
    shift = _checked(displacement, canvas_size)
    return on_array(keypoints, lambda a: _undone(a.reshape(-1, 2), shift, False).reshape(a.shape))


@kernel(elastic, BoundingBoxes)
def elastic_bounding_boxes(
    bounding_boxes: Tensor,
    format: Format,
    canvas_size: tuple[int, int],
    displacement: Tensor,
    clamping_mode: str | None = "soft",
) -> Tensor:
    """`elastic` for boxes; turned ones keep their sizes and angles."""
    shift = _checked(displacement, canvas_size)
    if bounding_boxes.numel() == 0:
        return bounding_boxes
    rotated = is_rotated_bounding_format(format)
    common = Format.CXCYWHR if rotated else Format.XYXY

    def move(array: np.ndarray) -> np.ndarray:
        boxes = _boxes.convert(array, format, common).reshape(-1, 5 if rotated else 4)
        up = _boxes.is_float(boxes)
        if rotated:
            made = np.concatenate([_undone(boxes[:, :2], shift, up), boxes[:, 2:]], 1)
        else:
            corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
            places = _undone(corners, shift, up).reshape(-1, 4, 2)
            made = np.concatenate([places.min(1), places.max(1)], 1)
        inside = _boxes.clamp(made.astype(boxes.dtype), common, canvas_size, clamping_mode)
        return _boxes.convert(inside, common, format).reshape(array.shape)

    return on_array(bounding_boxes, move)


elastic_video = video_kernel(elastic, elastic_image)
elastic_mask = mask_kernel(elastic, elastic_image, interpolation=InterpolationMode.NEAREST)
