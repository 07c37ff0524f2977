"""What images go through before a trained network: the `transforms` of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._basics import dtypes
from ...nn import Module
from .._tensors import Tensor
from . import functional as F
from ._modes import InterpolationMode

__all__ = [
    "ImageClassification",
    "ObjectDetection",
    "OpticalFlow",
    "SemanticSegmentation",
    "VideoClassification",
]

_ACCEPTS = (
    "Accepts ``PIL.Image``, batched ``(B, C, H, W)`` and single ``(C, H, W)`` image "
    "``torch.Tensor`` objects."
)


def _as_floats(img: Any) -> Tensor:
    """A tensor of floats in [0, 1]."""
    tensor = img if isinstance(img, Tensor) else F.pil_to_tensor(img)
    return F.convert_image_dtype(tensor, dtypes.float32)


class _Preset(Module):
    _shown: Sequence[str] = ()

    def _keep(
        self, crop_size: Any, resize_size: Any, mean: Any, std: Any, interpolation: Any
    ) -> None:
        self.crop_size = list(crop_size)
        self.resize_size: Any = list(resize_size)  # None in segmentation, for none
        self.mean, self.std = list(mean), list(std)
        self.interpolation = interpolation

    def __repr__(self) -> str:
        if not self._shown:
            return f"{type(self).__name__}()"
        lines = [f"    {name}={getattr(self, name)}" for name in self._shown]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])

    def _in_words(self, cut: str = "", resized: str = "images") -> str:
        return (
            f"The {resized} are resized to ``resize_size={self.resize_size}`` using "
            f"``interpolation={self.interpolation}``{cut}. Finally the values are first rescaled "
            f"to ``[0.0, 1.0]`` and then normalized using ``mean={self.mean}`` and "
            f"``std={self.std}``."
        )

    def _crop_in_words(self) -> str:
        return f", followed by a central crop of ``crop_size={self.crop_size}``"


class ObjectDetection(_Preset):
    """Floats in [0, 1]; detectors resize and normalise themselves."""

    def forward(self, img: Any) -> Tensor:
        return _as_floats(img)

    def describe(self) -> str:
        """In words."""
        return f"{_ACCEPTS} The images are rescaled to ``[0.0, 1.0]``."


class ImageClassification(_Preset):
    """Resize, take the middle, bring to [0, 1], normalise."""

    _shown = ("crop_size", "resize_size", "mean", "std", "interpolation")

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self._keep([crop_size], [resize_size], mean, std, interpolation)
        self.antialias = antialias

    def forward(self, img: Any) -> Tensor:
        resized = F.resize(
            img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias
        )
        middle = F.center_crop(resized, self.crop_size)
        return F.normalize(_as_floats(middle), mean=self.mean, std=self.std)

    def describe(self) -> str:
        """In words."""
        return f"{_ACCEPTS} {self._in_words(self._crop_in_words())}"


class VideoClassification(_Preset):
    """As for images, frame by frame; (..., T, C, H, W) becomes (..., C, T, H, W)."""

    _shown = ImageClassification._shown

    def __init__(
        self,
        *,
        crop_size: tuple[int, int],
        resize_size: Any,
        mean: tuple[float, ...] = (0.43216, 0.394666, 0.37645),
        std: tuple[float, ...] = (0.22803, 0.22145, 0.216989),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    ) -> None:
        super().__init__()
        self._keep(crop_size, resize_size, mean, std, interpolation)

    def forward(self, vid: Tensor) -> Tensor:
        batch = vid.unsqueeze(0) if vid.ndim < 5 else vid
        count, length, channels, _, _ = batch.shape
        frames = batch.reshape(-1, *batch.shape[2:])
        frames = F.resize(
            frames, self.resize_size, interpolation=self.interpolation, antialias=False
        )
        frames = _as_floats(F.center_crop(frames, self.crop_size))
        frames = F.normalize(frames, mean=self.mean, std=self.std)
        result = frames.view(count, length, channels, *self.crop_size).permute(0, 2, 1, 3, 4)
        return result.squeeze(0) if vid.ndim < 5 else result

    def describe(self) -> str:
        """In words."""
        return (
            "Accepts batched ``(B, T, C, H, W)`` and single ``(T, C, H, W)`` video frame "
            f"``torch.Tensor`` objects. {self._in_words(self._crop_in_words(), 'frames')} Finally "
            "the output dimensions are permuted to ``(..., C, T, H, W)`` tensors."
        )


class SemanticSegmentation(_Preset):
    """Resize if a size is given, bring to [0, 1], normalise."""

    _shown = ("resize_size", "mean", "std", "interpolation")

    def __init__(
        self,
        *,
        resize_size: int | None,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.resize_size = [resize_size] if resize_size is not None else None
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img: Any) -> Tensor:
        if isinstance(self.resize_size, list):
            img = F.resize(
                img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias
            )
        return F.normalize(_as_floats(img), mean=self.mean, std=self.std)

    def describe(self) -> str:
        """In words."""
        return f"{_ACCEPTS} {self._in_words()}"


class OpticalFlow(_Preset):
    """Both images to [-1, 1]."""

    def forward(self, img1: Any, img2: Any) -> tuple[Tensor, Tensor]:
        half = [0.5, 0.5, 0.5]
        first, second = (F.normalize(_as_floats(i), half, half) for i in (img1, img2))
        return first.contiguous(), second.contiguous()

    def describe(self) -> str:
        """In words."""
        return f"{_ACCEPTS} The images are rescaled to ``[-1.0, 1.0]``."
