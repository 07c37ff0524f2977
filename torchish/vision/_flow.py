"""Optical flow as colours."""

from __future__ import annotations

import numpy as np

from .._basics import dtypes
from ._tensors import Tensor, array_of, tensor_of

# Steps between the corners of the colour wheel, and which channel rises or falls on the way:
# red to yellow, to green, to cyan, to blue, to magenta, and back to red.
_STEPS = ((15, 1, 1), (6, 0, -1), (4, 2, 1), (11, 1, -1), (13, 0, 1), (6, 2, -1))


def _wheel() -> np.ndarray:
    """55 colours around the circle, from 0 to 255."""
    color = np.array([255.0, 0.0, 0.0], np.float32)
    rows = []
    for count, channel, sign in _STEPS:
        part = np.floor(np.float32(255) * np.arange(count, dtype=np.float32) / np.float32(count))
        block = np.tile(color, (count, 1))
        block[:, channel] = part if sign > 0 else np.float32(255) - part
        rows.append(block)
        color = color.copy()
        color[channel] = 255 if sign > 0 else 0
    return np.concatenate(rows)


def flow_to_image(flow: Tensor) -> Tensor:
    """Directions as hues, lengths (as a share of the longest) as saturation.

    Shape: (N, 2, H, W) or (2, H, W) of float32 to (N, 3, H, W) or (3, H, W) of bytes.
    Raises: ValueError for other dtypes and shapes.
    Source: A Database and Evaluation Methodology for Optical Flow (Baker et al. 2007).
    """
    if flow.dtype is not dtypes.float32:
        raise ValueError(f"Flow should be of dtype torch.float, got {flow.dtype}.")
    shape = flow.shape
    array = array_of(flow)
    batch = array[None] if array.ndim == 3 else array
    if batch.ndim != 4 or batch.shape[1] != 2:
        raise ValueError(f"Input flow should have shape (2, H, W) or (N, 2, H, W), got {shape}.")
    longest = np.sqrt((batch**2).sum(1)).max()
    image = _colored(batch / (longest + np.finfo(np.float32).eps))
    return tensor_of(image[0] if array.ndim == 3 else image, like=flow)


def _colored(flow: np.ndarray) -> np.ndarray:
    wheel = _wheel()
    length = np.sqrt((flow**2).sum(1))[:, None]
    angle = np.arctan2(-flow[:, 1], -flow[:, 0]) / np.float32(np.pi)
    place = (angle + np.float32(1)) / np.float32(2) * np.float32(len(wheel) - 1)
    first = np.floor(place).astype(np.int64)
    part = (place - first).astype(np.float32)[..., None]
    near, far = (wheel[k % len(wheel)] / np.float32(255) for k in (first, first + 1))
    color = np.moveaxis((np.float32(1) - part) * near + part * far, -1, 1)
    color = np.float32(1) - length * (np.float32(1) - color)
    return np.floor(np.float32(255) * color).astype(np.uint8)
