"""Resizing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ....._tensor.tensor import Tensor
from .....nn.functional import interpolate
from ...._tensors import apply
from ....tv_tensors import BoundingBoxes, BoundingBoxFormat, Image, KeyPoints, Mask
from ....tv_tensors._kinds import is_rotated_bounding_format
from ... import _resample
from ..._modes import PIL_NUMBERS, InterpolationMode
from . import _boxes
from ._interpolation import check_interpolation, output_size
from ._meta import on_array
from ._utils import functional, kernel, pil_kernel, video_kernel

_ON_TENSORS = ("nearest", "nearest-exact", "bilinear", "bicubic", "lanczos")


@functional
def resize(
    inpt: Any,
    size: list[int] | None,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Resize to `size`: height and width, or one number for the shorter edge."""


@kernel(resize, Tensor, Image)
def resize_image(
    image: Tensor,
    size: list[int] | None,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Tensor:
    """`resize` for images."""
    mode = check_interpolation(interpolation).value
    smooth = bool(antialias) and not mode.startswith("nearest")
    if mode == "lanczos" and not smooth:
        raise ValueError("InterpolationMode.LANCZOS requires antialias=True")
    if mode not in _ON_TENSORS:
        raise NotImplementedError(
            f"Interpolation mode {mode} is not available for tensors: only for PIL images"
        )
    height, width = image.shape[-2:]
    target = output_size((height, width), size, max_size)
    if target == (height, width):
        return image
    if image.numel() == 0:
        return image.reshape([*image.shape[:-2], *target])

    def on_tensor(tensor: Tensor) -> Tensor:
        flat = tensor.reshape(-1, *tensor.shape[-3:])
        corners = None if mode.startswith("nearest") else False
        made = interpolate(
            flat, size=list(target), mode=mode, align_corners=corners, antialias=smooth
        )
        return made.reshape(*tensor.shape[:-2], *target)

    in_floats = image.is_floating_point() and mode != "lanczos"
    return apply(
        image,
        lambda a: _resample.resize_pixels(a, target, mode, smooth),
        on_tensor if in_floats else None,
    )


@pil_kernel(resize)
def _resize_pil(
    image: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    if antialias is False:
        warnings.warn(
            "Anti-alias option is always applied for PIL Image input. "
            "Argument antialias is ignored.",
            stacklevel=3,
        )
    height, width = output_size((image.height, image.width), size, max_size)
    mode = check_interpolation(interpolation)
    if (height, width) == (image.height, image.width):
        return image
    return image.resize((width, height), resample=PIL_NUMBERS[mode])


@kernel(resize, Mask)
def resize_mask(
    mask: Tensor,
    size: list[int] | None,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
) -> Tensor:
    """`resize` for masks: the nearest pixel, whatever the filter for images."""
    mode = check_interpolation(interpolation)
    if mode is not InterpolationMode.NEAREST_EXACT:
        mode = InterpolationMode.NEAREST
    if mask.ndim < 3:
        return resize_image(mask.unsqueeze(0), size, mode, max_size).squeeze(0)
    return resize_image(mask, size, mode, max_size)


def _ratios(canvas_size: Any, target: tuple[int, int]) -> np.ndarray:
    """Factors for x and y."""
    return np.array([target[1] / canvas_size[1], target[0] / canvas_size[0]], np.float32)


@kernel(resize, KeyPoints)
def resize_keypoints(
    keypoints: Tensor,
    size: list[int] | None,
    canvas_size: tuple[int, int],
    max_size: int | None = None,
) -> tuple[Tensor, tuple[int, int]]:
    """`resize` for points, and their new canvas."""
    target = output_size(canvas_size, size, max_size)
    if target == tuple(canvas_size):
        return keypoints, canvas_size
    ratios = _ratios(canvas_size, target)
    return on_array(keypoints, lambda a: times(a, ratios)), target


def times(array: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """array * factors in the array's own floats, or in float32."""
    dtype = array.dtype if _boxes.is_float(array) else factors.dtype
    return array.astype(dtype) * factors.astype(dtype)


@kernel(resize, BoundingBoxes)
def resize_bounding_boxes(
    bounding_boxes: Tensor,
    canvas_size: tuple[int, int],
    size: list[int] | None,
    max_size: int | None = None,
    format: BoundingBoxFormat = BoundingBoxFormat.XYXY,
    clamping_mode: str | None = "soft",
) -> tuple[Tensor, tuple[int, int]]:
    """`resize` for boxes, and their new canvas."""
    target = output_size(canvas_size, size, max_size)
    if target == tuple(canvas_size):
        return bounding_boxes, canvas_size
    ratios = _ratios(canvas_size, target)

    def scale(array: np.ndarray) -> np.ndarray:
        if not is_rotated_bounding_format(format):
            return times(array, np.tile(ratios, 2))
        corners = _boxes.convert(array, format, BoundingBoxFormat.XYXYXYXY).reshape(-1, 8)
        turned = _boxes.upright(times(corners, np.tile(ratios, 4)))
        inside = _boxes.clamp(turned, BoundingBoxFormat.XYXYXYXY, target, clamping_mode)
        return _boxes.convert(inside, BoundingBoxFormat.XYXYXYXY, format).reshape(array.shape)

    return on_array(bounding_boxes, scale), target


resize_video = video_kernel(resize, resize_image)
