"""Colours, tones and sharpness."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....._tensor.tensor import Tensor
from ...._tensors import apply, array_of
from ....tv_tensors import Image
from ... import functional as first_api
from ..._color import _equalize_channel
from ..._convert import pil_to_tensor, to_pil_image
from . import _arrays as A
from ._utils import functional, kernel, pil_kernel, video_kernel

# -- gray ------------------------------------------------------------------------------------------


@functional
def rgb_to_grayscale(inpt: Any, num_output_channels: int = 1) -> Any:
    """0.2989 R + 0.587 G + 0.114 B in one channel or in three equal ones."""


to_grayscale = rgb_to_grayscale


def _check_gray(channels: int) -> None:
    if channels not in (1, 3):
        raise ValueError(f"num_output_channels must be 1 or 3, got {channels}.")


def _grayed(array: np.ndarray, channels: int) -> np.ndarray:
    gray = array if array.shape[-3] == 1 else A.luma(array).astype(array.dtype)
    return np.repeat(gray, channels, -3) if channels == 3 else gray.copy()


@kernel(rgb_to_grayscale, Tensor, Image)
def rgb_to_grayscale_image(image: Tensor, num_output_channels: int = 1) -> Tensor:
    """`rgb_to_grayscale` for images."""
    _check_gray(num_output_channels)
    return apply(image, lambda a: _grayed(a, num_output_channels))


@pil_kernel(rgb_to_grayscale)
def _rgb_to_grayscale_pil(image: Any, num_output_channels: int = 1) -> Any:
    _check_gray(num_output_channels)
    return first_api.to_grayscale(image, num_output_channels)


@functional
def grayscale_to_rgb(inpt: Any) -> Any:
    """Three equal channels from one; colours stay as they are."""


@kernel(grayscale_to_rgb, Tensor, Image)
def grayscale_to_rgb_image(image: Tensor) -> Tensor:
    """`grayscale_to_rgb` for images."""
    return image if image.shape[-3] >= 3 else apply(image, lambda a: _grayed(a, 3))


@pil_kernel(grayscale_to_rgb)
def _grayscale_to_rgb_pil(image: Any) -> Any:
    return image.convert(mode="RGB")


# -- amounts ---------------------------------------------------------------------------------------


def _checked(image: Tensor, name: str, factor: float) -> int:
    """The number of channels, after looking at it and at the factor."""
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")
    return _channels(image)


def _channels(image: Tensor) -> int:
    channels = image.shape[-3]
    if channels not in (1, 3):
        raise TypeError(
            f"Input image tensor permitted channel values are 1 or 3, but found {channels}"
        )
    return channels


@functional
def adjust_brightness(inpt: Any, brightness_factor: float) -> Any:
    """Multiply by the factor: 0 is black, 1 changes nothing."""


@kernel(adjust_brightness, Tensor, Image)
def adjust_brightness_image(image: Tensor, brightness_factor: float) -> Tensor:
    """`adjust_brightness` for images."""
    _checked(image, "brightness_factor", brightness_factor)

    def brighten(array: np.ndarray) -> np.ndarray:
        work = A.working(array)
        product = work * work.dtype.type(brightness_factor)
        return A.clipped(product, A.white(array.dtype), array.dtype)

    return apply(image, brighten)


@functional
def adjust_saturation(inpt: Any, saturation_factor: float) -> Any:
    """Mix with the gray image: 0 is gray, 1 changes nothing."""


def _gray_of(array: np.ndarray) -> np.ndarray:
    """Gray as floats, whole numbers for integers."""
    gray = A.luma(array) if array.shape[-3] == 3 else A.working(array)
    return gray if A.is_float(array.dtype) else np.floor(gray)


@kernel(adjust_saturation, Tensor, Image)
def adjust_saturation_image(image: Tensor, saturation_factor: float) -> Tensor:
    """`adjust_saturation` for images."""
    if _checked(image, "saturation_factor", saturation_factor) == 1:
        return image
    return apply(image, lambda a: A.blend(a, _gray_of(a), saturation_factor))


@functional
def adjust_contrast(inpt: Any, contrast_factor: float) -> Any:
    """Mix with the image's mean gray: 0 is that gray, 1 changes nothing."""


@kernel(adjust_contrast, Tensor, Image)
def adjust_contrast_image(image: Tensor, contrast_factor: float) -> Tensor:
    """`adjust_contrast` for images."""
    _checked(image, "contrast_factor", contrast_factor)

    def contrast(array: np.ndarray) -> np.ndarray:
        gray = _gray_of(array)
        mean = gray.mean(axis=(-3, -2, -1), keepdims=True, dtype=np.float64).astype(gray.dtype)
        return A.blend(array, mean, contrast_factor)

    return apply(image, contrast)


@functional
def adjust_sharpness(inpt: Any, sharpness_factor: float) -> Any:
    """Mix with a smoothed image: 0 is smooth, 1 changes nothing, 2 doubles the sharpness."""


@kernel(adjust_sharpness, Tensor, Image)
def adjust_sharpness_image(image: Tensor, sharpness_factor: float) -> Tensor:
    """`adjust_sharpness` for images."""
    channels, height, width = image.shape[-3:]
    if channels not in (1, 3):
        raise TypeError(f"Input image tensor can have 1 or 3 channels, but found {channels}")
    if sharpness_factor < 0:
        raise ValueError(f"sharpness_factor ({sharpness_factor}) is not non-negative.")
    if image.numel() == 0 or height <= 2 or width <= 2:
        return image

    def sharpen(array: np.ndarray) -> np.ndarray:
        work = A.working(array).copy()
        weights = np.full((3, 3), 1.0 / 13.0).astype(work.dtype)
        weights[1, 1] = 5.0 / 13.0
        smooth = A.correlate(work, weights)
        if not A.is_float(array.dtype):
            smooth = np.rint(smooth)
        inner = work[..., 1:-1, 1:-1]
        work[..., 1:-1, 1:-1] = A.fused(inner, 1.0 - sharpness_factor, smooth - inner)
        return A.clipped(work, A.white(array.dtype), array.dtype)

    return apply(image, sharpen)


@functional
def adjust_hue(inpt: Any, hue_factor: float) -> Any:
    """Turn the hue by `hue_factor` of the full circle, in [-0.5, 0.5]."""


@kernel(adjust_hue, Tensor, Image)
def adjust_hue_image(image: Tensor, hue_factor: float) -> Tensor:
    """`adjust_hue` for images."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if _channels(image) == 1 or image.numel() == 0:
        return image

    def turn(array: np.ndarray) -> np.ndarray:
        hue, saturation, value = A.rgb_to_hsv(A.scaled(array, np.dtype(np.float32)))
        hue = np.mod(hue + np.float32(hue_factor), np.float32(1))
        return A.scaled(A.hsv_to_rgb(hue, saturation, value), array.dtype)

    return apply(image, turn)


@functional
def adjust_gamma(inpt: Any, gamma: float, gain: float = 1) -> Any:
    """gain * x ** gamma for x in [0, 1]."""


@kernel(adjust_gamma, Tensor, Image)
def adjust_gamma_image(image: Tensor, gamma: float, gain: float = 1.0) -> Tensor:
    """`adjust_gamma` for images."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")

    def power(array: np.ndarray) -> np.ndarray:
        work = array if A.is_float(array.dtype) else A.scaled(array, np.dtype(np.float32))
        result = work ** work.dtype.type(gamma)
        if gain != 1.0:
            result = np.clip(result * work.dtype.type(gain), 0, 1)
        return A.scaled(result, array.dtype)

    return apply(image, power)


# -- tones -----------------------------------------------------------------------------------------


@functional
def posterize(inpt: Any, bits: int) -> Any:
    """Keep the highest `bits` bits; floats get 2 ** bits levels."""


@kernel(posterize, Tensor, Image)
def posterize_image(image: Tensor, bits: int) -> Tensor:
    """`posterize` for images."""
    if not isinstance(bits, int) or not 0 <= bits <= 8:
        raise TypeError(f"bits must be a positive integer in the range [0, 8], got {bits} instead.")

    def cut(array: np.ndarray) -> np.ndarray:
        number = array.dtype.type
        if A.is_float(array.dtype):
            levels = 1 << bits
            steps = np.clip(np.floor(array * number(levels)), 0, levels - 1)
            return (steps * number(1.0 / levels)).astype(array.dtype)
        present = A.value_bits(array.dtype)
        if bits >= present:
            return array
        return array & number(((1 << bits) - 1) << (present - bits))

    return apply(image, cut)


@functional
def solarize(inpt: Any, threshold: float) -> Any:
    """Invert what is at least `threshold`."""


def _inverted(array: np.ndarray) -> np.ndarray:
    if A.is_float(array.dtype):
        return array.dtype.type(1) - array
    return array ^ array.dtype.type((1 << A.value_bits(array.dtype)) - 1)


@kernel(solarize, Tensor, Image)
def solarize_image(image: Tensor, threshold: float) -> Tensor:
    """`solarize` for images."""
    if threshold > A.white(np.dtype(image.dtype.np)):
        raise TypeError(
            f"Threshold should be less or equal the maximum value of the dtype, but got {threshold}"
        )
    return apply(image, lambda a: np.where(a >= threshold, _inverted(a), a))


@functional
def autocontrast(inpt: Any) -> Any:
    """Stretch every channel to the full range."""


@kernel(autocontrast, Tensor, Image)
def autocontrast_image(image: Tensor) -> Tensor:
    """`autocontrast` for images."""
    _channels(image)
    if image.numel() == 0:
        return image

    def stretch(array: np.ndarray) -> np.ndarray:
        work = A.working(array)
        number, bound = work.dtype.type, A.white(array.dtype)
        low = work.min(axis=(-2, -1), keepdims=True)
        high = work.max(axis=(-2, -1), keepdims=True)
        flat = high == low
        scale = np.where(flat, number(1), (high - low) * number(1.0 / bound))
        shifted = (work - np.where(flat, number(0), low)) / scale
        return A.clipped(shifted, bound, array.dtype)

    return apply(image, stretch)


@functional
def equalize(inpt: Any) -> Any:
    """Even out the histogram of every channel, in 256 steps."""


@kernel(equalize, Tensor, Image)
def equalize_image(image: Tensor) -> Tensor:
    """`equalize` for images."""
    if image.numel() == 0:
        return image

    def even(array: np.ndarray) -> np.ndarray:
        as_bytes = A.scaled(array, np.dtype(np.uint8))
        channels = as_bytes.reshape(-1, *array.shape[-2:])
        done = np.stack([_equalize_channel(c) for c in channels]).reshape(array.shape)
        return A.scaled(done, array.dtype)

    return apply(image, even)


@functional
def invert(inpt: Any) -> Any:
    """White minus the image."""


@kernel(invert, Tensor, Image)
def invert_image(image: Tensor) -> Tensor:
    """`invert` for images."""
    return apply(image, _inverted)


@functional
def permute_channels(inpt: Any, permutation: list[int]) -> Any:
    """Channel k of the result is channel permutation[k]."""


@kernel(permute_channels, Tensor, Image)
def permute_channels_image(image: Tensor, permutation: list[int]) -> Tensor:
    """`permute_channels` for images."""
    order = array_of(permutation) if isinstance(permutation, Tensor) else np.array(permutation)
    channels = image.shape[-3]
    if len(order) != channels:
        raise ValueError(
            f"Length of permutation does not match number of channels: {len(order)} != {channels}"
        )
    if image.numel() == 0:
        return image
    return apply(image, lambda a: np.take(a, order, axis=-3))


@pil_kernel(permute_channels)
def _permute_channels_pil(image: Any, permutation: list[int]) -> Any:
    return to_pil_image(permute_channels_image(pil_to_tensor(image), permutation))


# Videos are images with one more batch dimension, and PIL images go to the first API's functions.
adjust_brightness_video = video_kernel(adjust_brightness, adjust_brightness_image)
adjust_contrast_video = video_kernel(adjust_contrast, adjust_contrast_image)
adjust_gamma_video = video_kernel(adjust_gamma, adjust_gamma_image)
adjust_hue_video = video_kernel(adjust_hue, adjust_hue_image)
adjust_saturation_video = video_kernel(adjust_saturation, adjust_saturation_image)
adjust_sharpness_video = video_kernel(adjust_sharpness, adjust_sharpness_image)
autocontrast_video = video_kernel(autocontrast, autocontrast_image)
equalize_video = video_kernel(equalize, equalize_image)
invert_video = video_kernel(invert, invert_image)
permute_channels_video = video_kernel(permute_channels, permute_channels_image)
posterize_video = video_kernel(posterize, posterize_image)
solarize_video = video_kernel(solarize, solarize_image)

for _functional in (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    autocontrast,
    equalize,
    invert,
    posterize,
    solarize,
):
    pil_kernel(_functional)(getattr(first_api, _functional.__name__))
