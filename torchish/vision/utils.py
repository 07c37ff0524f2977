"""Grids of images, pictures of them, and what is drawn on them."""

from __future__ import annotations

import math
import os
from typing import Any, BinaryIO

import numpy as np

from ._drawing import (
    draw_bounding_boxes as draw_bounding_boxes,
    draw_keypoints as draw_keypoints,
    draw_segmentation_masks as draw_segmentation_masks,
)
from ._flow import flow_to_image as flow_to_image
from ._tensors import Tensor, array_of, tensor_of

__all__ = [
    "draw_bounding_boxes",
    "draw_keypoints",
    "draw_segmentation_masks",
    "flow_to_image",
    "make_grid",
    "save_image",
]


def _batch(tensor: Any) -> np.ndarray:
    """Images as an array (N, C, H, W) with at least three channels unless C is 2."""
    if isinstance(tensor, list):
        for item in tensor:
            if not isinstance(item, Tensor):
                raise TypeError(
                    f"tensor or list of tensors expected, got a list containing {type(item)}"
                )
        array = np.stack([array_of(item) for item in tensor])
    elif isinstance(tensor, Tensor):
        array = array_of(tensor)
    else:
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if array.ndim == 2:
        array = array[None]
    if array.ndim == 3:
        array = array[None]
    if array.ndim == 4 and array.shape[1] == 1:
        array = np.repeat(array, 3, axis=1)
    return array


def _normalized(array: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """(x - low) / (high - low), with x limited to [low, high]."""
    low, high = value_range or (float(array.min()), float(array.max()))
    number = array.dtype.type
    limited = np.clip(array, number(low), number(high))
    return (limited - number(low)) / number(max(high - low, 1e-5))


def make_grid(
    tensor: Tensor | list[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Lay images out in a grid.

    Args:
        tensor: images (N, C, H, W), one image (C, H, W) or (H, W), or a list of equal images.
        nrow: images in a row.
        padding: pixels between images and around the grid.
        normalize: bring the values to [0, 1], from `value_range` or else from their own range.
        scale_each: take the range of each image rather than that of all of them.
        pad_value: colour between the images.
    Shape: (C, H', W'); gray images get three channels. A single image comes back without a border.
    Raises: TypeError for anything but tensors, ValueError for lists of different shapes.
    """
    array = _batch(tensor)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError(
                "value_range has to be a tuple (min, max) if specified. min and max are numbers"
            )
        if scale_each:
            array = np.stack([_normalized(image, value_range) for image in array])
        else:
            array = _normalized(array, value_range)
    like = tensor[0] if isinstance(tensor, list) else tensor
    count = array.shape[0]
    if count == 1:
        return tensor_of(array[0].copy(), like=like)
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    channels, height, width = array.shape[1:]
    step_y, step_x = height + padding, width + padding
    shape = (channels, step_y * rows + padding, step_x * columns + padding)
    grid = np.full(shape, pad_value, array.dtype)
    for k, image in enumerate(array):
        y, x = k // columns * step_y + padding, k % columns * step_x + padding
        grid[:, y : y + height, x : x + width] = image
    return tensor_of(grid, like=like)


def save_image(
    tensor: Tensor | list[Tensor],
    fp: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write images with values in [0, 1] as a picture; several are laid out by `make_grid`.

    Args:
        fp: path or open file.
        format: PIL's name of the file format, where the path's ending does not tell.
        kwargs: arguments of `make_grid`.
    """
    from PIL import Image

    grid = array_of(make_grid(tensor, **kwargs))
    if grid.dtype.kind in "iub":
        grid = grid.astype(np.float32)
    number = grid.dtype.type
    pixels = np.clip(grid * number(255) + number(0.5), 0, 255).astype(np.uint8)
    pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    Image.fromarray(pixels).save(fp, format=format)
