"""Warps as grids: for every output pixel, where in the input it is read, in [-1, 1] across it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....._ops.registry import ops
from ....._tensor.tensor import Tensor
from .....nn.functional import grid_sample
from ...._tensors import apply, tensor_of
from ... import _resample

_MODES = ("nearest", "bilinear")


def grid_dtype(image: Tensor) -> np.dtype:
    """Grids are float32 for integers, and as images are otherwise."""
    return np.dtype(image.dtype.np) if image.is_floating_point() else np.dtype(np.float32)


def _linear(x: np.ndarray, y: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """a x + b y + c, every step rounded."""
    a, b, c = factors
    return x * a + y * b + c


def _centers(count: int, start: float, dtype: np.dtype) -> np.ndarray:
    return (start + np.arange(count)).astype(dtype)


def affine_grid(
    matrix: Sequence[float], size: Sequence[int], out: Sequence[int], dtype: np.dtype
) -> np.ndarray:
    """The grid (h, w, 2) of an affine map about the middle of an image of `size` (h, w)."""
    halves = np.array([0.5 * size[1], 0.5 * size[0]], dtype)
    theta = np.array(matrix, dtype).reshape(2, 3) / halves[:, None]
    x = _centers(out[1], (1.0 - out[1]) * 0.5, dtype)[None, :]
    y = _centers(out[0], (1.0 - out[0]) * 0.5, dtype)[:, None]
    return np.stack([_linear(x, y, row) for row in theta], -1)


def perspective_grid(
    coefficients: Sequence[float], size: Sequence[int], dtype: np.dtype
) -> np.ndarray:
    """The grid (h, w, 2) of a projective map on an image of `size` (h, w)."""
    height, width = size
    c = np.array([*coefficients, 1.0], dtype).reshape(3, 3)
    halves = np.array([0.5 * width, 0.5 * height], dtype)
    x, y = _centers(width, 0.5, dtype)[None, :], _centers(height, 0.5, dtype)[:, None]
    depth = _linear(x, y, c[2])
    top = [_linear(x, y, row) for row in c[:2] / halves[:, None]]
    return np.stack([part / depth - dtype.type(1) for part in top], -1)


def identity_grid(size: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """The grid (h, w, 2) that changes nothing."""
    y, x = (np.linspace((1 - n) / n, (n - 1) / n, n).astype(dtype) for n in size)
    return np.stack(np.broadcast_arrays(x[None, :], y[:, None]), -1)


def check_warp(image: Tensor, mode: str, fill: Any) -> None:
    """Raise ValueError for filters and fills that tensors cannot have."""
    if isinstance(fill, (tuple, list)):
        if len(fill) > 1 and len(fill) != image.shape[-3]:
            raise ValueError(
                "The number of elements in 'fill' cannot broadcast to match the number of "
                f"channels of the image ({len(fill)} != {image.shape[-3]})"
            )
    elif fill is not None and not isinstance(fill, (int, float)):
        raise ValueError("Argument fill should be either int, float, tuple or list")
    if mode not in _MODES:
        raise ValueError(f"Interpolation mode '{mode}' is unsupported with Tensor input")


def warp(image: Tensor, grid: np.ndarray, mode: str, fill: Any) -> Tensor:
    """Read the image along the grid; what lies outside is `fill`."""
    height, width = image.shape[-2:]
    if image.numel() == 0:
        return image.reshape([*image.shape[:-2], *grid.shape[:2]])
    x, y = (_resample.pixels(grid[..., k], size) for k, size in enumerate((width, height)))
    return apply(
        image,
        lambda a: _resample.sample_array(a, x, y, mode, fill, from_fill=True),
        (lambda t: _sampled(t, grid, mode, fill)) if image.is_floating_point() else None,
    )


def _sampled(image: Tensor, grid: np.ndarray, mode: str, fill: Any) -> Tensor:
    """The same with torch's own operators, for gradients."""
    flat = image.reshape(-1, *image.shape[-3:])
    places = tensor_of(grid[None], like=image).expand(flat.shape[0], -1, -1, -1)

    def read(tensor: Tensor) -> Tensor:
        return grid_sample(tensor, places, mode=mode, padding_mode="zeros", align_corners=False)

    result = read(flat)
    if fill is not None:
        covered = read(ops.ones_like(flat[:, :1]))
        numbers = fill if isinstance(fill, (tuple, list)) else [float(fill)]
        color = tensor_of(np.array(numbers, grid.dtype).reshape(1, -1, 1, 1), like=image)
        if mode == "nearest":
            result = ops.where(covered < 0.5, color, result)
        else:
            result = (result - color) * covered + color
    return result.reshape(*image.shape[:-2], *grid.shape[:2])


def affine_matrix(
    center: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
    inverted: bool = True,
) -> list[float]:
    """The map from output to input coordinates, or with inverted=False the other way."""
    rot, sx, sy = (math.radians(x) for x in (angle, *shear))
    (cx, cy), (tx, ty) = center, translate
    a = math.cos(rot - sy) / math.cos(sy)
    b = -(a * math.tan(sx) + math.sin(rot))
    c = math.sin(rot - sy) / math.cos(sy)
    d = math.cos(rot) - c * math.tan(sx)
    # The determinant without the scale is 1. Every step is rounded as in the second API.
    if inverted:
        rows = (d / scale, -b / scale), (-c / scale, a / scale)
        there, here = (cx, cy), (cx + tx, cy + ty)
    else:
        rows = (scale * a, scale * b), (scale * c, scale * d)
        there, here = (cx + tx, cy + ty), (cx, cy)
    return [
        number
        for (p, q), to in zip(rows, there, strict=True)
        for number in (p, q, to - p * here[0] - q * here[1])
    ]
