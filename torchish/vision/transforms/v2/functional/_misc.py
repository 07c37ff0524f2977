"""Normalisation, blur, noise, dtypes, and what to do with boxes and points that are no good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....._basics import dtypes
from ....._tensor.tensor import Tensor
from .... import tv_tensors
from ...._tensors import apply, array_of, normal, tensor_of
from ....tv_tensors import (
    BoundingBoxes,
    BoundingBoxFormat,
    Image,
    KeyPoints,
    Mask,
    is_rotated_bounding_format,
)
from ..._color import _blur_arguments
from ..._convert import pil_to_tensor, to_pil_image
from ..._resample import mirrored
from . import _arrays as A, _boxes
from ._utils import functional, is_pure_tensor, kernel, pil_kernel, video_kernel

# -- normalisation ---------------------------------------------------------------------------------


@functional
def normalize(inpt: Any, mean: list[float], std: list[float], inplace: bool = False) -> Any:
    """(x - mean) / std for each channel of float images (..., C, H, W)."""


@kernel(normalize, Tensor, Image)
def normalize_image(
    image: Tensor, mean: list[float], std: list[float], inplace: bool = False
) -> Tensor:
    """`normalize` for images."""
    if not image.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {image.dtype}.")
    if image.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got {image.shape}."
        )
    zero = not all(std) if isinstance(std, (tuple, list)) else std == 0
    if zero is True:
        raise ValueError("std evaluated to zero, leading to division by zero.")
    means, stds = (_per_channel(numbers, image) for numbers in (mean, std))
    result = apply(
        image,
        lambda a: (a - means) / stds,
        lambda t: t.sub(tensor_of(means, t)).div(tensor_of(stds, t)),
    )
    return image.copy_(result) if inplace else result


def _per_channel(numbers: Any, image: Tensor) -> np.ndarray:
    values = array_of(numbers) if isinstance(numbers, Tensor) else np.array(numbers)
    values = values.astype(image.dtype.np)
    return values.reshape(-1, 1, 1) if values.ndim == 1 else values


# -- blur and noise --------------------------------------------------------------------------------


@functional
def gaussian_blur(inpt: Any, kernel_size: list[int], sigma: list[float] | None = None) -> Any:
    """Blur with a bell of odd sizes [x, y]; sigma defaults to 0.15 size + 0.35."""


def _bell(size: int, sigma: float, dtype: np.dtype) -> np.ndarray:
    edge = (size - 1) / (2.0 * np.sqrt(2.0))
    x = np.linspace(-edge, edge, size).astype(dtype)
    height = np.exp(-((x / dtype.type(sigma)) ** 2))
    return height / height.sum()


@kernel(gaussian_blur, Tensor, Image)
def gaussian_blur_image(
    image: Tensor, kernel_size: list[int], sigma: list[float] | None = None
) -> Tensor:
    """`gaussian_blur` for images."""
    sizes, sigmas = _blur_arguments(kernel_size, sigma)
    if image.numel() == 0:
        return image

    def blur(array: np.ndarray) -> np.ndarray:
        work = A.working(array)
        across, down = (_bell(n, s, work.dtype) for n, s in zip(sizes, sigmas, strict=True))
        padded = mirrored(work, sizes[0] // 2, sizes[1] // 2)
        mixed = A.correlate(padded, down[:, None] * across)
        return mixed if A.is_float(array.dtype) else np.rint(mixed).astype(array.dtype)

    return apply(image, blur)


@pil_kernel(gaussian_blur)
def _gaussian_blur_pil(image: Any, kernel_size: list[int], sigma: list[float] | None = None) -> Any:
    blurred = gaussian_blur_image(pil_to_tensor(image), kernel_size, sigma)
    return to_pil_image(blurred, mode=image.mode)


@functional
def gaussian_noise(inpt: Any, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> Any:
    """Add normal noise; for bytes, mean and sigma count in shares of 255."""


@kernel(gaussian_noise, Tensor, Image)
def gaussian_noise_image(
    image: Tensor, mean: float = 0.0, sigma: float = 0.1, clip: bool = True
) -> Tensor:
    """`gaussian_noise` for images."""
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    if not (image.is_floating_point() or image.dtype is dtypes.uint8):
        raise ValueError(
            f"Input tensor is expected to be in uint8 or float dtype, got dtype={image.dtype}"
        )
    is_float = image.is_floating_point()
    drawn = normal(tuple(image.shape), np.dtype(image.dtype.np) if is_float else None)

    def add(array: np.ndarray) -> np.ndarray:
        number = drawn.dtype.type
        if is_float:
            noisy = array + (number(mean) + drawn * number(sigma))
            return np.clip(noisy, 0, 1) if clip else noisy
        noise = (number(mean * 255) + drawn * number(sigma * 255)).astype(np.int16)
        noisy = array + noise
        return (np.clip(noisy, 0, 255) if clip else noisy).astype(np.uint8)

    return apply(image, add)


@pil_kernel(gaussian_noise)
def _gaussian_noise_pil(
    image: Any, mean: float = 0.0, sigma: float = 0.1, clip: bool = True
) -> Any:
    raise ValueError("Gaussian Noise is not implemented for PIL images.")


# -- dtypes ----------------------------------------------------------------------------------------


@functional
def to_dtype(inpt: Any, dtype: Any = dtypes.float32, scale: bool = False) -> Any:
    """Another dtype; with `scale`, white stays white."""


@kernel(to_dtype, Tensor, Image)
def to_dtype_image(image: Tensor, dtype: Any = dtypes.float32, scale: bool = False) -> Tensor:
    """`to_dtype` for images."""
    if image.dtype is dtype:
        return image
    to_float = dtype.is_floating_point
    if not scale or (image.is_floating_point() and to_float):
        return apply(image, lambda a: a.astype(dtype.np), lambda t: t.to(dtype))
    wide = {dtypes.float32: (dtypes.int32, dtypes.int64), dtypes.float64: (dtypes.int64,)}
    if dtype in wide.get(image.dtype, ()):
        raise RuntimeError(
            f"The conversion from {image.dtype} to {dtype} cannot be performed safely."
        )
    if image.dtype is dtypes.bool_ or (dtype is dtypes.bool_ and not image.is_floating_point()):
        if not to_float:
            raise TypeError(
                "Number of value bits is only defined for integer dtypes, but got torch.bool."
            )
    return apply(image, lambda a: A.scaled(a, np.dtype(dtype.np)))


@kernel(to_dtype, BoundingBoxes, KeyPoints, Mask, wrap=False)
def _to_dtype_unscaled(inpt: Tensor, dtype: Any, scale: bool = False) -> Tensor:
    return inpt.to(dtype)


def convert_image_dtype(image: Tensor, dtype: Any = dtypes.float32) -> Tensor:
    """`to_dtype` of images, with white staying white."""
    return to_dtype_image(image, dtype=dtype, scale=True)


# -- boxes and points to be dropped ----------------------------------------------------------------


def valid_boxes(
    boxes: Tensor, format: Any, canvas_size: Any, min_size: float, min_area: float
) -> Tensor:
    """Which boxes lie on the canvas and are large enough."""
    height, width = canvas_size
    rotated = is_rotated_bounding_format(format)
    target = BoundingBoxFormat.XYXYXYXY if rotated else BoundingBoxFormat.XYXY
    corners = _boxes.convert(array_of(boxes), format, target)
    if rotated:
        # As torchvision has it: the second side takes its numbers one place too early.
        wide = _length(corners, 0, 2, 1, 3)
        tall = _length(corners, 3, 5, 4, 6)
    else:
        wide, tall = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    valid = (wide >= min_size) & (tall >= min_size) & (wide * tall >= min_area)
    on_canvas = (corners >= 0) & (corners[:, 0::2] <= width).all(-1, keepdims=True)
    on_canvas &= (corners[:, 1::2] <= height).all(-1, keepdims=True)
    valid &= on_canvas.all(-1)
    return tensor_of(valid, like=boxes)


def _length(corners: np.ndarray, *places: int) -> np.ndarray:
    a, b, c, d = (corners[..., k] for k in places)
    return np.sqrt((a - b) ** 2 + (c - d) ** 2)


def sanitize_bounding_boxes(
    bounding_boxes: Tensor,
    format: Any = None,
    canvas_size: tuple[int, int] | None = None,
    min_size: float = 1.0,
    min_area: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The boxes that lie on the canvas and are large enough, and which those are.

    Args:
        bounding_boxes: BoundingBoxes, or a tensor together with `format` and `canvas_size`.
        min_size: smallest width and height, in pixels.
        min_area: smallest width * height.
    Raises: ValueError for missing or superfluous arguments and for other inputs.
    """
    if is_pure_tensor(bounding_boxes):
        if format is None or canvas_size is None:
            raise ValueError(
                "format and canvas_size cannot be None if bounding_boxes is a pure tensor. "
                f"Got format={format} and canvas_size={canvas_size}."
                "Set those to appropriate values or pass bounding_boxes as a "
                "tv_tensors.BoundingBoxes object."
            )
        if isinstance(format, str):
            format = BoundingBoxFormat[format.upper()]
        valid = valid_boxes(bounding_boxes, format, canvas_size, min_size, min_area)
        return select(bounding_boxes, valid), valid
    if not isinstance(bounding_boxes, BoundingBoxes):
        raise ValueError(
            "bounding_boxes must be a tv_tensors.BoundingBoxes instance or a pure tensor."
        )
    if format is not None or canvas_size is not None:
        raise ValueError(
            "format and canvas_size must be None when bounding_boxes is a "
            f"tv_tensors.BoundingBoxes instance. Got format={format} and "
            f"canvas_size={canvas_size}. Leave those to None or pass bounding_boxes as a pure "
            "tensor."
        )
    plain = bounding_boxes.as_subclass(Tensor)
    valid = valid_boxes(
        plain, bounding_boxes.format, bounding_boxes.canvas_size, min_size, min_area
    )
    return tv_tensors.wrap(select(plain, valid), like=bounding_boxes), valid


def select(tensor: Tensor, valid: Tensor) -> Tensor:
    """The rows of a tensor where `valid` holds."""
    rows = array_of(valid)
    if len(rows) != tensor.shape[0]:
        raise IndexError(
            f"The shape of the mask [{len(rows)}] at index 0 does not match the shape of the "
            f"indexed tensor {list(tensor.shape)} at index 0"
        )
    return apply(tensor, lambda a: a[rows], lambda t: t[valid])


def valid_points(points: Tensor, canvas_size: Sequence[int]) -> Tensor:
    """Which points, or groups of points, lie on the canvas."""
    height, width = canvas_size
    array = array_of(points)
    inside = (array >= 0) & (array < np.array([width, height]))
    return tensor_of(np.asarray(inside.reshape(len(inside), -1).all(1)), like=points)


def sanitize_keypoints(
    key_points: Tensor, canvas_size: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor]:
    """The points (or groups of them) that lie on the canvas, and which those are.

    Args:
        key_points: KeyPoints, or a tensor together with `canvas_size`.
    Raises: ValueError for a missing or superfluous canvas_size and for other inputs.
    """
    if is_pure_tensor(key_points):
        if canvas_size is None:
            raise ValueError(
                "canvas_size cannot be None if key_points is a pure tensor. Set it to an "
                "appropriate value or pass key_points as a tv_tensors.KeyPoints object."
            )
        valid = valid_points(key_points, canvas_size)
        return select(key_points, valid), valid
    if not isinstance(key_points, KeyPoints):
        raise ValueError("key_points must be a tv_tensors.KeyPoints instance or a pure tensor.")
    if canvas_size is not None:
        raise ValueError(
            "canvas_size must be None when key_points is a tv_tensors.KeyPoints instance. "
            f"Got canvas_size={canvas_size}. Leave it to None or pass key_points as a pure tensor."
        )
    plain = key_points.as_subclass(Tensor)
    valid = valid_points(plain, key_points.canvas_size)
    return tv_tensors.wrap(select(plain, valid), like=key_points), valid


gaussian_blur_video = video_kernel(gaussian_blur, gaussian_blur_image)
gaussian_noise_video = video_kernel(gaussian_noise, gaussian_noise_image)
normalize_video = video_kernel(normalize, normalize_image)
to_dtype_video = video_kernel(to_dtype, to_dtype_image)
