"""The old functions for clips (C, T, H, W), deprecated since torchvision 0.12."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..._basics import dtypes
from ...nn.functional import interpolate
from .._tensors import Tensor, tensor_of

warnings.warn(
    "The 'torchvision.transforms._functional_video' module is deprecated since 0.12 and will be "
    "removed in the future. Please use the 'torchvision.transforms.functional' module instead.",
    stacklevel=2,
)


def _check_clip(clip: Any) -> None:
    if not isinstance(clip, Tensor):
        raise TypeError(f"clip should be Tensor. Got {type(clip)}")
    if clip.ndim != 4:
        raise ValueError(f"clip should be 4D. Got {clip.ndim}D")


def crop(clip: Tensor, i: int, j: int, h: int, w: int) -> Tensor:
    """Rows from i and columns from j of every frame."""
    if clip.ndim != 4:
        raise ValueError("clip should be a 4D tensor")
    return clip[..., i : i + h, j : j + w]


def resize(clip: Tensor, target_size: Any, interpolation_mode: str) -> Tensor:
    """Every frame in another size (h, w)."""
    if len(target_size) != 2:
        raise ValueError(f"target size should be tuple (height, width), instead got {target_size}")
    return interpolate(clip, size=target_size, mode=interpolation_mode, align_corners=False)


def resized_crop(
    clip: Tensor, i: int, j: int, h: int, w: int, size: Any, interpolation_mode: str = "bilinear"
) -> Tensor:
    """`crop`, then `resize`."""
    _check_clip(clip)
    return resize(crop(clip, i, j, h, w), size, interpolation_mode)


def center_crop(clip: Tensor, crop_size: Any) -> Tensor:
    """The middle of every frame."""
    _check_clip(clip)
    height, width = clip.shape[-2:]
    crop_height, crop_width = crop_size
    if height < crop_height or width < crop_width:
        raise ValueError("height and width must be no smaller than crop_size")
    top, left = round((height - crop_height) / 2.0), round((width - crop_width) / 2.0)
    return crop(clip, top, left, crop_height, crop_width)


def to_tensor(clip: Tensor) -> Tensor:
    """Bytes (T, H, W, C) to floats (C, T, H, W) in [0, 1]."""
    _check_clip(clip)
    if clip.dtype is not dtypes.uint8:
        raise TypeError(f"clip tensor should have data type uint8. Got {clip.dtype}")
    return clip.float().permute(3, 0, 1, 2) / 255.0


def normalize(clip: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    """(x - mean) / std for each channel."""
    _check_clip(clip)
    clip = clip if inplace else clip.clone()
    means, stds = (
        tensor_of(np.array(n, clip.dtype.np).reshape(-1, 1, 1, 1), like=clip) for n in (mean, std)
    )
    return clip.sub_(means).div_(stds)


def hflip(clip: Tensor) -> Tensor:
    """Mirror left and right."""
    _check_clip(clip)
    return clip.flip(-1)
