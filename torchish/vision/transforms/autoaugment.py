"""Automatic augmentation, first API: operations drawn from tables, as torchvision draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._ops.registry import ops
from ...nn import Module
from .._tensors import Tensor, array_of, randint, random, tensor_of
from . import _policies, functional as F
from ._modes import InterpolationMode as InterpolationMode
from ._policies import AutoAugmentPolicy as AutoAugmentPolicy

__all__ = ["AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]

_WHITE = 255.0  # solarize counts in bytes here, whatever the image's dtype


class _Augment(Module):
    """What the four share: a filter, a colour for the outside, a table of operations."""

    _shown: Sequence[str] = ()

    def __init__(self, interpolation: InterpolationMode, fill: Any) -> None:
        super().__init__()
        self.interpolation = interpolation
        self.fill = fill

    def _fill_for(self, img: Any) -> Any:
        if not isinstance(img, Tensor) or self.fill is None:
            return self.fill
        if isinstance(self.fill, (int, float)):
            return [float(self.fill)] * F.get_image_num_channels(img)
        return [float(f) for f in self.fill]

    def _perform(self, img: Any, name: str, magnitude: float, fill: Any) -> Any:
        return _policies.perform(F, img, name, magnitude, self.interpolation, fill, _WHITE)

    def _draw(
        self, space: _policies.Space, bins: int, size: tuple[int, int], bin_: int | None, among: int
    ) -> tuple[str, float]:
        """An operation and its magnitude: in bin `bin_`, or in one drawn from the first `among`."""
        name, magnitude, signed = _policies.draw(space, bins, size, bin_, among)
        return name, -magnitude if signed and randint(0, 2) else magnitude

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)}" for name in self._shown)
        return f"{type(self).__name__}({shown})"


class AutoAugment(_Augment):
    """One of 25 learned pairs of operations.

    Args:
        policy: the data set on which they were learned.
        interpolation: filter for warps.
        fill: colour of what warps uncover: a number, or one for each channel.
    Source: AutoAugment: Learning Augmentation Policies from Data (Cubuk et al. 2018).
    """

    _shown = ("policy", "fill")

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.policy = policy
        self.policies = _policies.policies(policy)

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, Tensor, Tensor]:
        """Draw a policy, then a probability and a sign for each of its two steps."""
        policy = randint(0, transform_num)
        probabilities = np.array([random(), random()], np.float32)
        signs = np.array([randint(0, 2), randint(0, 2)])
        return policy, tensor_of(probabilities), tensor_of(signs)

    def forward(self, img: Any) -> Any:
        fill = self._fill_for(img)
        _, height, width = F.get_dimensions(img)
        policy, drawn, signs = self.get_params(len(self.policies))
        for (name, probability, bin_), value, sign in zip(
            self.policies[policy], array_of(drawn), array_of(signs), strict=True
        ):
            if value > np.float32(probability):
                continue
            values, signed = _policies.AUTO_AUGMENT[name]
            magnitudes = values(10, height, width)
            magnitude = 0.0
            if magnitudes is not None and bin_ is not None:
                magnitude = float(magnitudes[bin_])
            if signed and sign == 0:
                magnitude = -magnitude
            img = self._perform(img, name, magnitude, fill)
        return img


class RandAugment(_Augment):
    """`num_ops` operations drawn from 14, all of one magnitude.

    Args:
        num_ops: how many, one after another.
        magnitude: bin of the magnitude.
        num_magnitude_bins: number of bins.
    Source: RandAugment: Practical automated data augmentation (Cubuk et al. 2019).
    """

    _shown = ("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        fill = self._fill_for(img)
        _, height, width = F.get_dimensions(img)
        for _ in range(self.num_ops):
            name, magnitude = self._draw(
                _policies.RAND_AUGMENT, self.num_magnitude_bins, (height, width), self.magnitude, 0
            )
            img = self._perform(img, name, magnitude, fill)
        return img


class TrivialAugmentWide(_Augment):
    """One operation of random magnitude, from wide ranges.

    Source: TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation (Müller and Hutter
    2021).
    """

    _shown = ("num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        fill = self._fill_for(img)
        _, height, width = F.get_dimensions(img)
        bins = self.num_magnitude_bins
        drawn = self._draw(_policies.TRIVIAL_AUGMENT, bins, (height, width), None, bins)
        return self._perform(img, *drawn, fill)


class AugMix(_Augment):
    """A random mixture of the image and of `mixture_width` chains of operations on it.

    Args:
        severity: magnitudes come from the first so many of ten bins.
        mixture_width: number of chains.
        chain_depth: operations in a chain; -1 draws 1 to 3.
        alpha: of the Dirichlet distributions of the weights.
        all_ops: brightness, colour, contrast and sharpness too.
    Raises: ValueError if severity is not within 1 to 10.
    Source: AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty (Hendrycks
    et al. 2019).
    """

    _shown = (
        "severity",
        "mixture_width",
        "chain_depth",
        "alpha",
        "all_ops",
        "interpolation",
        "fill",
    )

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self._PARAMETER_MAX = 10
        if not 1 <= severity <= self._PARAMETER_MAX:
            raise ValueError(
                f"The severity must be between [1, {self._PARAMETER_MAX}]. Got {severity} instead."
            )
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def forward(self, orig_img: Any) -> Any:
        fill = self._fill_for(orig_img)
        img = orig_img if isinstance(orig_img, Tensor) else F.pil_to_tensor(orig_img)
        height, width = img.shape[-2:]
        space = _policies.AUG_MIX if self.all_ops else _policies.AUG_MIX_PARTIAL

        def change(aug: Tensor) -> Tensor:
            drawn = self._draw(space, self._PARAMETER_MAX, (height, width), None, self.severity)
            return self._perform(aug, *drawn, fill)

        batch = img.view([1] * max(4 - img.ndim, 0) + list(img.shape))
        mix = mixture(batch, self.alpha, self.mixture_width, self.chain_depth, change)
        result = tensor_of(mix.reshape(img.shape).astype(img.dtype.np), like=img)
        return result if isinstance(orig_img, Tensor) else F.to_pil_image(result)


def mixture(batch: Tensor, alpha: float, width: int, depth: int, change: Any) -> np.ndarray:
    """m0 x + m1 sum_i w_i chain_i(x), with m and w drawn from Dirichlet distributions."""
    count = batch.shape[0]

    def weights(number: int) -> np.ndarray:
        concentration = np.full((count, number), alpha, np.float32)
        return array_of(ops._sample_dirichlet(tensor_of(concentration)))

    shape = (count, *([1] * (batch.ndim - 1)))
    m = weights(2)
    combined = weights(width) * m[:, 1:]
    mix = m[:, 0].reshape(shape) * array_of(batch)
    for i in range(width):
        aug = batch
        for _ in range(depth if depth > 0 else randint(1, 4)):
            aug = change(aug)
        mix += combined[:, i].reshape(shape) * array_of(aug)
    return mix
