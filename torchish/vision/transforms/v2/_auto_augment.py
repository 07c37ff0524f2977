"""Automatic augmentation, second API: operations drawn from tables, as torchvision draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL.Image import Image as PILImage

from ...._tensor.tensor import Tensor
from ....utils._pytree import tree_flatten, tree_unflatten
from ... import transforms as first_api, tv_tensors
from ..._tensors import randint, random, tensor_of
from .. import _policies
from .._convert import max_value
from .._policies import AutoAugmentPolicy
from ..autoaugment import mixture
from . import functional as F
from ._transform import Transform
from ._utils import IMAGES, check_type, fill_for, fills

_UNSUPPORTED = (tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints)


class _Augment(Transform):
    """What the four share: they take samples with exactly one image or video.

    Args:
        interpolation: filter for warps, its name or PIL's number.
        fill: colour of what warps uncover: a number, one for each channel, or a dictionary of these
            by type of input.
    """

    def __init__(self, *, interpolation: Any = "nearest", fill: Any = None) -> None:
        super().__init__()
        self.interpolation = interpolation
        self.fill = fill
        self._fill = fills(fill)

    def forward(self, *inputs: Any) -> Any:
        flat_inputs, shape = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        place = self._find(flat_inputs)
        image = flat_inputs[place]
        flat_inputs[place] = self._augmented(image, *F.get_size(image))
        return tree_unflatten(flat_inputs, shape)

    def _find(self, flat_inputs: list[Any]) -> int:
        found = []
        needed = self._needs_transform_list(flat_inputs)
        for place, (inpt, wanted) in enumerate(zip(flat_inputs, needed, strict=True)):
            if wanted and check_type(inpt, IMAGES):
                found.append(place)
            elif isinstance(inpt, _UNSUPPORTED):
                raise TypeError(
                    f"Inputs of type {type(inpt).__name__} are not supported by "
                    f"{type(self).__name__}()"
                )
        if not found:
            raise TypeError("Found no image in the sample.")
        if len(found) > 1:
            raise TypeError(
                "Auto augment transformations are only properly defined for a single image or "
                f"video, but found {len(found)}."
            )
        return found[0]

    def _augmented(self, image: Any, height: int, width: int) -> Any:
        raise NotImplementedError

    def _perform(self, image: Any, name: str, magnitude: float) -> Any:
        fill = fill_for(self._fill, type(image))
        white = max_value(image.dtype) if isinstance(image, Tensor) else 255.0
        return _policies.perform(F, image, name, magnitude, self.interpolation, fill, white)

    def _draw(
        self, space: _policies.Space, bins: int, size: tuple[int, int], bin_: int | None, among: int
    ) -> tuple[str, float]:
        """An operation and its magnitude: in bin `bin_`, or in one drawn from the first `among`."""
        name, magnitude, signed = _policies.draw(space, bins, size, bin_, among)
        return name, _signed(magnitude, signed)


def _signed(magnitude: float, signed: bool) -> float:
    return -magnitude if signed and random() <= 0.5 else magnitude


class AutoAugment(_Augment):
    """One of 25 learned pairs of operations.

    Args:
        policy: the data set on which they were learned.
    Source: AutoAugment: Learning Augmentation Policies from Data (Cubuk et al. 2018).
    """

    _v1_transform_cls = first_api.AutoAugment

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: Any = "nearest",
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill)
        self.policy = policy
        self._policies = _policies.policies(policy)

    def _augmented(self, image: Any, height: int, width: int) -> Any:
        for name, probability, bin_ in self._policies[randint(0, len(self._policies))]:
            if random() > np.float32(probability):
                continue
            values, signed = _policies.AUTO_AUGMENT[name]
            magnitudes = values(10, height, width)
            magnitude = 0.0
            if magnitudes is not None and bin_ is not None:
                magnitude = _signed(float(magnitudes[bin_]), signed)
            image = self._perform(image, name, magnitude)
        return image


class RandAugment(_Augment):
    """`num_ops` operations drawn from 14, all of one magnitude.

    Args:
        num_ops: how many, one after another.
        magnitude: bin of the magnitude.
        num_magnitude_bins: number of bins.
    Source: RandAugment: Practical automated data augmentation (Cubuk et al. 2019).
    """

    _v1_transform_cls = first_api.RandAugment

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: Any = "nearest",
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill)
        if not isinstance(num_ops, int) or num_ops < 0:
            raise ValueError(
                f"num_ops should be a non-negative integer, but got {num_ops} instead."
            )
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def _augmented(self, image: Any, height: int, width: int) -> Any:
        size, bins = (height, width), self.num_magnitude_bins
        for _ in range(self.num_ops):
            drawn = self._draw(_policies.RAND_AUGMENT, bins, size, self.magnitude, 0)
            image = self._perform(image, *drawn)
        return image


class TrivialAugmentWide(_Augment):
    """One operation of random magnitude, from wide ranges.

    Source: TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation (Müller and Hutter
    2021).
    """

    _v1_transform_cls = first_api.TrivialAugmentWide

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: Any = "nearest", fill: Any = None
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill)
        self.num_magnitude_bins = num_magnitude_bins

    def _augmented(self, image: Any, height: int, width: int) -> Any:
        bins = self.num_magnitude_bins
        drawn = self._draw(_policies.TRIVIAL_AUGMENT, bins, (height, width), None, bins)
        return self._perform(image, *drawn)


class AugMix(_Augment):
    """A random mixture of the image and of `mixture_width` chains of operations on it.

    Args:
        severity: magnitudes come from the first so many of ten bins.
        mixture_width: number of chains.
        chain_depth: operations in a chain; -1 draws 1 to 3.
        alpha: of the Dirichlet distributions of the weights.
        all_ops: brightness, colour, contrast and sharpness too.
    Source: AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty (Hendrycks
    et al. 2019).
    """

    _v1_transform_cls = first_api.AugMix

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: Any = "bilinear",
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill)
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

    def _augmented(self, image: Any, height: int, width: int) -> Any:
        tensor = F.pil_to_tensor(image) if isinstance(image, PILImage) else image
        plain = tensor.as_subclass(Tensor)
        space = _policies.AUG_MIX if self.all_ops else _policies.AUG_MIX_PARTIAL

        def change(aug: Tensor) -> Tensor:
            size = (height, width)
            return self._perform(
                aug, *self._draw(space, self._PARAMETER_MAX, size, None, self.severity)
            )

        rank = 5 if isinstance(image, tv_tensors.Video) else 4
        batch = plain.reshape([1] * max(rank - plain.ndim, 0) + list(plain.shape))
        mix = mixture(batch, self.alpha, self.mixture_width, self.chain_depth, change)
        result = tensor_of(mix.reshape(plain.shape).astype(plain.dtype.np), like=plain)
        if isinstance(image, PILImage):
            return F.to_pil_image(result)
        is_kind = isinstance(image, (tv_tensors.Image, tv_tensors.Video))
        return tv_tensors.wrap(result, like=image) if is_kind else result


__all__ = ["AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide"]
