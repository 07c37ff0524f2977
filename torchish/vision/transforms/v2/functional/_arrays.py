"""Arithmetic on arrays as torchvision's second API does it on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...._scaling import (
    is_float as is_float,
    scaled as scaled,
    value_bits as value_bits,
    white as white,
)


def working(array: np.ndarray) -> np.ndarray:
    """Floats as they are, integers in float32."""
    return array.astype(np.float32) if array.dtype.kind in "biu" else array


def fused(a: np.ndarray, alpha: float, b: np.ndarray) -> np.ndarray:
    """a + alpha b, rounded once as `add_(alpha=)` rounds it."""
    dtype = a.dtype
    if dtype != np.float32:
        return a + dtype.type(alpha) * b.astype(dtype)
    wide = a.astype(np.float64)
    wide += np.float64(np.float32(alpha)) * b.astype(np.float64)
    return wide.astype(np.float32)


def clipped(array: np.ndarray, high: float, dtype: np.dtype) -> np.ndarray:
    """Limited to [0, high] and cut to `dtype`."""
    return np.clip(array, 0, array.dtype.type(high)).astype(dtype)


def blend(array: np.ndarray, other: np.ndarray, ratio: float) -> np.ndarray:
    """ratio a + (1 - ratio) b within the range of a's dtype."""
    work = working(array)
    mixed = fused(work * work.dtype.type(ratio), 1.0 - ratio, other)
    return clipped(mixed, white(array.dtype), array.dtype)


def luma(array: np.ndarray) -> np.ndarray:
    """0.2989 R + 0.587 G + 0.114 B in floats; the channel stays an axis."""
    work = working(array)
    red, green, blue = (work[..., k, :, :] for k in range(3))
    gray = fused(fused(red * work.dtype.type(0.2989), 0.587, green), 0.114, blue)
    return gray[..., None, :, :]


def correlate(padded: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Slide a small kernel over the last two axes, without a border."""
    rows, columns = weights.shape
    height, width = padded.shape[-2] - rows + 1, padded.shape[-1] - columns + 1
    result: Any = np.zeros((*padded.shape[:-2], height, width), padded.dtype)
    for row, column in np.ndindex(rows, columns):
        result += weights[row, column] * padded[..., row : row + height, column : column + width]
    return result


def rgb_to_hsv(image: np.ndarray) -> list[np.ndarray]:
    """Hue in [0, 1), saturation and value of float images."""
    one = image.dtype.type(1)
    red, green, _ = (image[..., k, :, :] for k in range(3))
    low, high = image.min(-3), image.max(-3)
    gray = high == low
    spread = high - low
    saturation = spread / np.where(gray, one, high)
    distance = (high[..., None, :, :] - image) / np.where(gray, one, spread)[..., None, :, :]
    to_red, to_green, to_blue = (distance[..., k, :, :] for k in range(3))
    sector = np.where(
        high == red,
        to_blue - to_green,
        np.where(high == green, to_red + 2 * one - to_blue, to_green + 4 * one - to_red),
    )
    return [np.fmod(sector * image.dtype.type(1.0 / 6.0) + one, one), saturation, high]


def hsv_to_rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Back to red, green and blue, stacked as channels."""
    one = value.dtype.type(1)
    sixth = hue * value.dtype.type(6)
    sector = np.floor(sixth)
    part = saturation * (sixth - sector)
    rest = one - saturation
    q = np.clip((one - part) * value, 0, 1)
    t = np.clip((part + rest) * value, 0, 1)
    p = np.clip(rest * value, 0, 1)
    index = sector.astype(np.int32) % 6
    tables = ([value, q, p, p, t, value], [t, value, value, q, p, p], [p, p, t, value, value, q])
    return np.stack([np.choose(index, table) for table in tables], -3)
