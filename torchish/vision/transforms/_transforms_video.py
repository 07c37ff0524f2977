"""The old transforms of clips (C, T, H, W), deprecated since torchvision 0.12."""

from __future__ import annotations

import numbers
import random
import warnings
from typing import Any

from .._tensors import Tensor
from . import _functional_video as F
from ._random_geometry import RandomCrop, RandomResizedCrop

__all__ = [
    "CenterCropVideo",
    "NormalizeVideo",
    "RandomCropVideo",
    "RandomHorizontalFlipVideo",
    "RandomResizedCropVideo",
    "ToTensorVideo",
]

warnings.warn(
    "The 'torchvision.transforms._transforms_video' module is deprecated since 0.12 and will be "
    "removed in the future. Please use the 'torchvision.transforms' module instead.",
    stacklevel=2,
)


def _pair(size: Any) -> Any:
    return (int(size), int(size)) if isinstance(size, numbers.Number) else size  # type: ignore


class RandomCropVideo(RandomCrop):
    """A part of the given size at a random place, the same in every frame."""

    def __init__(self, size: Any) -> None:
        super().__init__(size)

    def forward(self, clip: Tensor) -> Tensor:
        return F.crop(clip, *self.get_params(clip, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class RandomResizedCropVideo(RandomResizedCrop):
    """A part of random size and place, resized, the same in every frame."""

    def __init__(
        self,
        size: Any,
        scale: Any = (0.08, 1.0),
        ratio: Any = (3.0 / 4.0, 4.0 / 3.0),
        interpolation_mode: str = "bilinear",
    ) -> None:
        if isinstance(size, tuple) and len(size) != 2:
            raise ValueError(f"size should be tuple (height, width), instead got {size}")
        super().__init__(size, scale, ratio)
        self.interpolation_mode = interpolation_mode

    def forward(self, clip: Tensor) -> Tensor:
        place = self.get_params(clip, self.scale, self.ratio)
        return F.resized_crop(clip, *place, self.size, self.interpolation_mode)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, "
            f"interpolation_mode={self.interpolation_mode}, scale={self.scale}, "
            f"ratio={self.ratio})"
        )


class CenterCropVideo:
    """The middle of every frame."""

    def __init__(self, crop_size: Any) -> None:
        self.crop_size = _pair(crop_size)

    def __call__(self, clip: Tensor) -> Tensor:
        return F.center_crop(clip, self.crop_size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(crop_size={self.crop_size})"


class NormalizeVideo:
    """(x - mean) / std for each channel."""

    def __init__(self, mean: Any, std: Any, inplace: bool = False) -> None:
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def __call__(self, clip: Tensor) -> Tensor:
        return F.normalize(clip, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std}, inplace={self.inplace})"


class ToTensorVideo:
    """Bytes (T, H, W, C) to floats (C, T, H, W) in [0, 1]."""

    def __call__(self, clip: Tensor) -> Tensor:
        return F.to_tensor(clip)

    def __repr__(self) -> str:
        return type(self).__name__


class RandomHorizontalFlipVideo:
    """Mirror left and right with probability p, drawn from Python's `random`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, clip: Tensor) -> Tensor:
        return F.hflip(clip) if random.random() < self.p else clip

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"
