"""Colours, tones and sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import transforms as first_api
from ..._tensors import random, randperm, uniform
from . import functional as F
from ._transform import RandomlyApplied, Transform
from ._utils import query_chw


class Grayscale(Transform):
    """Shades of gray in one channel or in three equal ones."""

    _v1_transform_cls = first_api.Grayscale

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        channels = self.num_output_channels
        return self._call_kernel(F.rgb_to_grayscale, inpt, num_output_channels=channels)


class RandomGrayscale(RandomlyApplied):
    """Shades of gray, with as many channels as before, with probability p."""

    _v1_transform_cls = first_api.RandomGrayscale

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p=p)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"num_input_channels": query_chw(flat_inputs)[0]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        channels = params["num_input_channels"]
        return self._call_kernel(F.rgb_to_grayscale, inpt, num_output_channels=channels)


class RGB(Transform):
    """Three equal channels from one; colours stay as they are."""

    def __init__(self) -> None:
        super().__init__()

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.grayscale_to_rgb, inpt)


_JITTER = (
    ("brightness", F.adjust_brightness),
    ("contrast", F.adjust_contrast),
    ("saturation", F.adjust_saturation),
    ("hue", F.adjust_hue),
)


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue by random amounts in a random order.

    Args:
        brightness, contrast, saturation: a range of factors, or x for [max(0, 1 - x), 1 + x].
        hue: a range within [-0.5, 0.5], or x for [-x, x].
    """

    _v1_transform_cls = first_api.ColorJitter

    def __init__(
        self,
        brightness: Any = None,
        contrast: Any = None,
        saturation: Any = None,
        hue: Any = None,
    ) -> None:
        super().__init__()
        self.brightness = self._range(brightness, "brightness")
        self.contrast = self._range(contrast, "contrast")
        self.saturation = self._range(saturation, "saturation")
        self.hue = self._range(hue, "hue", 0, (-0.5, 0.5), clip=False)

    @staticmethod
    def _range(
        value: Any,
        name: str,
        center: float = 1.0,
        bound: tuple[float, float] = (0, float("inf")),
        clip: bool = True,
    ) -> tuple[float, float] | None:
        if value is None:
            return None
        if isinstance(value, (int, float)):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            value = [center - value, center + value]
            if clip:
                value[0] = max(value[0], 0.0)
        elif isinstance(value, Sequence) and len(value) == 2:
            value = [float(v) for v in value]
        else:
            raise TypeError(
                f"{name}={value} should be a single number or a sequence with length 2."
            )
        low, high = value
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(
                f"{name} values should be between {bound} and increasing, but got {value}."
            )
        return None if low == high == center else (float(low), float(high))

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        params: dict[str, Any] = {"fn_idx": randperm(4)}
        for name, _ in _JITTER:
            range_ = getattr(self, name)
            params[f"{name}_factor"] = None if range_ is None else uniform(*range_)
        return params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        for index in params["fn_idx"]:
            name, functional = _JITTER[index]
            factor = params[f"{name}_factor"]
            if factor is not None:
                inpt = self._call_kernel(functional, inpt, factor)
        return inpt


class RandomChannelPermutation(Transform):
    """Channels in a random order."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"permutation": randperm(query_chw(flat_inputs)[0])}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.permute_channels, inpt, **params)


class RandomPhotometricDistort(Transform):
    """The colour changes of SSD, each with probability p; contrast comes first or last.

    Args:
        brightness, contrast, saturation, hue: ranges of factors.
    Source: SSD: Single Shot MultiBox Detector (Liu et al. 2016).
    """

    def __init__(
        self,
        brightness: tuple[float, float] = (0.875, 1.125),
        contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5),
        hue: tuple[float, float] = (-0.05, 0.05),
        p: float = 0.5,
    ) -> None:
        super().__init__()
        self.brightness, self.contrast = brightness, contrast
        self.hue, self.saturation, self.p = hue, saturation, p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        channels = query_chw(flat_inputs)[0]
        params: dict[str, Any] = {}
        for name, _ in _JITTER:
            drawn = random() < self.p
            params[f"{name}_factor"] = uniform(*getattr(self, name)) if drawn else None
        params["contrast_before"] = random() < 0.5
        params["channel_permutation"] = randperm(channels) if random() < self.p else None
        return params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        first = params["contrast_before"]
        order = [0, 1, 2, 3] if first else [0, 2, 3, 1]
        for name, functional in (_JITTER[k] for k in order):
            factor = params[f"{name}_factor"]
            if factor is not None:
                inpt = self._call_kernel(functional, inpt, factor)
        order = params["channel_permutation"]
        return inpt if order is None else self._call_kernel(F.permute_channels, inpt, order)


class RandomEqualize(RandomlyApplied):
    """Even out the histogram, with probability p."""

    _v1_transform_cls = first_api.RandomEqualize

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.equalize, inpt)


class RandomInvert(RandomlyApplied):
    """White minus the image, with probability p."""

    _v1_transform_cls = first_api.RandomInvert

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.invert, inpt)


class RandomAutocontrast(RandomlyApplied):
    """Stretch every channel to the full range, with probability p."""

    _v1_transform_cls = first_api.RandomAutocontrast

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.autocontrast, inpt)


class RandomPosterize(RandomlyApplied):
    """Keep the highest `bits` bits, with probability p."""

    _v1_transform_cls = first_api.RandomPosterize

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.bits = bits

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.posterize, inpt, bits=self.bits)


class RandomSolarize(RandomlyApplied):
    """Invert what is at least `threshold`, with probability p."""

    _v1_transform_cls = first_api.RandomSolarize

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.threshold = threshold

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.solarize, inpt, threshold=self.threshold)


class RandomAdjustSharpness(RandomlyApplied):
    """Change the sharpness by a factor, with probability p."""

    _v1_transform_cls = first_api.RandomAdjustSharpness

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.sharpness_factor = sharpness_factor

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        factor = self.sharpness_factor
        return self._call_kernel(F.adjust_sharpness, inpt, sharpness_factor=factor)
