"""Colours, tones, sharpness and blur of PIL images and tensors (..., C, H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensors import Tensor, apply
from ._convert import max_value, pil_to_tensor, round_to, to_pil_image
from ._geometry import get_image_num_channels, require_image
from ._resample import mirrored

_LUMA = (0.2989, 0.587, 0.114)


def _check_channels(img: Tensor, permitted: tuple[int, ...] = (1, 3)) -> int:
    channels = get_image_num_channels(img)
    if channels not in permitted:
        raise TypeError(
            f"Input image tensor permitted channel values are {list(permitted)}, "
            f"but found {channels}"
        )
    return channels


def _as_float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.kind in "biu" else array


def _limit(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def _luma(array: np.ndarray) -> np.ndarray:
    """Three channels to one that stays an axis, rounded down for integers."""
    number = _as_float(array).dtype.type
    red, green, blue = (_as_float(array[..., k, :, :]) for k in range(3))
    mixed = number(_LUMA[0]) * red + number(_LUMA[1]) * green + number(_LUMA[2]) * blue
    return mixed.astype(array.dtype)[..., None, :, :]


def _blend(array: np.ndarray, other: np.ndarray, ratio: float) -> np.ndarray:
    work, other = _as_float(array), _as_float(other)
    number = work.dtype.type
    mixed = number(ratio) * work + number(1.0 - ratio) * other
    return np.clip(mixed, 0, number(_limit(array.dtype))).astype(array.dtype)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """0.2989 R + 0.587 G + 0.114 B, in one channel or in three equal ones.

    Raises: ValueError for another number of output channels.
    """
    if not require_image(img):
        return to_grayscale(img, num_output_channels)
    if img.ndim < 3:
        raise TypeError(
            f"Input image tensor should have at least 3 dimensions, but found {img.ndim}"
        )
    channels = _check_channels(img)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")

    def gray(array: np.ndarray) -> np.ndarray:
        one = _luma(array) if channels == 3 else array
        if num_output_channels == 1:
            return one.copy()
        return np.repeat(one, 3, axis=-3)

    return apply(img, gray)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A PIL image in shades of gray, with one channel or three."""
    from PIL import Image

    if require_image(img):
        raise TypeError("Input should be PIL Image")
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    gray = img.convert("L")
    return gray if num_output_channels == 1 else Image.merge("RGB", (gray, gray, gray))


def _check_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def _enhance(img: Any, kind: str, factor: float) -> Any:
    from PIL import ImageEnhance

    return getattr(ImageEnhance, kind)(img).enhance(factor)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Multiply by the factor: 0 is black, 1 changes nothing."""
    if not require_image(img):
        return _enhance(img, "Brightness", brightness_factor)
    _check_factor("brightness_factor", brightness_factor)
    _check_channels(img)
    return apply(img, lambda a: _blend(a, np.zeros_like(a), brightness_factor))


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Mix with the image's mean gray: 0 is that gray, 1 changes nothing."""
    if not require_image(img):
        return _enhance(img, "Contrast", contrast_factor)
    _check_factor("contrast_factor", contrast_factor)
    channels = _check_channels(img)

    def contrast(array: np.ndarray) -> np.ndarray:
        gray = _as_float(_luma(array) if channels == 3 else array)
        mean = gray.mean(axis=(-3, -2, -1), keepdims=True, dtype=np.float64).astype(gray.dtype)
        return _blend(array, mean, contrast_factor)

    return apply(img, contrast)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Mix with the gray image: 0 is gray, 1 changes nothing."""
    if not require_image(img):
        return _enhance(img, "Color", saturation_factor)
    _check_factor("saturation_factor", saturation_factor)
    if _check_channels(img) == 1:
        return img
    return apply(img, lambda a: _blend(a, _luma(a), saturation_factor))


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Turn the hue by `hue_factor` of the full circle, in [-0.5, 0.5]."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if require_image(img):
        if _check_channels(img) == 1:
            return img
        return apply(img, lambda a: _turn_hue(a, hue_factor))
    from PIL import Image

    if img.mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    turned = np.array(hue, np.uint8) + np.int32(hue_factor * 255).astype(np.uint8)  # wraps
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert(img.mode)


def _turn_hue(array: np.ndarray, amount: float) -> np.ndarray:
    one = np.float32(1)
    scale = np.float32(_limit(array.dtype))
    image = array.astype(np.float32) / scale
    red, green, blue = (image[..., k, :, :] for k in range(3))
    high, low = image.max(-3), image.min(-3)
    gray = high == low
    spread = high - low
    saturation = spread / np.where(gray, one, high)
    divisor = np.where(gray, one, spread)
    to_red, to_green, to_blue = ((high - c) / divisor for c in (red, green, blue))
    hue = np.where(
        high == red,
        to_blue - to_green,
        np.where(
            high == green, np.float32(2) + to_red - to_blue, np.float32(4) + to_green - to_red
        ),
    )
    hue = np.fmod(hue / np.float32(6) + one, one)
    hue = np.mod(hue + np.float32(amount), one)

    sector = np.floor(hue * np.float32(6))
    part = hue * np.float32(6) - sector
    index = sector.astype(np.int32) % 6
    p = np.clip(high * (one - saturation), 0, 1)
    q = np.clip(high * (one - saturation * part), 0, 1)
    t = np.clip(high * (one - saturation * (one - part)), 0, 1)
    channels = [
        np.choose(index, choices)
        for choices in (
            [high, q, p, p, t, high],
            [t, high, high, q, p, p],
            [p, p, t, high, high, q],
        )
    ]
    result = np.stack(channels, -3)
    if array.dtype.kind in "iu":
        return (result * np.float32(scale + 1.0 - 1e-3)).astype(array.dtype)
    return result.astype(array.dtype)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * x ** gamma for x in [0, 1]."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    if not require_image(img):
        table = [int((255 + 1 - 1e-3) * gain * pow(x / 255.0, gamma)) for x in range(256)]
        return img.convert("RGB").point(table * 3).convert(img.mode)
    _check_channels(img)

    def power(array: np.ndarray) -> np.ndarray:
        limit = _limit(array.dtype)
        unit = _as_float(array)
        number = unit.dtype.type
        if array.dtype.kind in "iu":
            unit = unit / number(limit)
        result = np.clip(number(gain) * unit ** number(gamma), 0, 1)
        if array.dtype.kind in "iu":
            result = result * number(limit + 1.0 - 1e-3)
        return result.astype(array.dtype)

    return apply(img, power)


# -- blur and sharpness ----------------------------------------------------------------------------


def _blur_arguments(kernel_size: Any, sigma: Any) -> tuple[list[int], list[float]]:
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(
            f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}"
        )
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(sizes)}")
    for size in sizes:
        if size % 2 == 0 or size < 0:
            raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    if not isinstance(sigma, (int, float, list, tuple)):
        raise TypeError(f"sigma should be either float or sequence of floats. Got {type(sigma)}")
    sigmas = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else [float(s) for s in sigma]
    if len(sigmas) == 1:
        sigmas = sigmas * 2
    if len(sigmas) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(sigmas)}")
    for number in sigmas:
        if number <= 0.0:
            raise ValueError(f"sigma should have positive values. Got {sigmas}")
    return sizes, sigmas


def _bell(size: int, sigma: float, dtype: Any) -> np.ndarray:
    half = (size - 1) * 0.5
    x = np.linspace(-half, half, size).astype(dtype)
    density = np.exp(dtype(-0.5) * (x / dtype(sigma)) ** 2)
    return density / density.sum()


def _weigh(padded: np.ndarray, kernel: np.ndarray, height: int, width: int) -> np.ndarray:
    """Correlate the last two axes with a small kernel (rows, columns), without a border."""
    result = np.zeros((*padded.shape[:-2], height, width), padded.dtype)
    for row, column in np.ndindex(*kernel.shape):
        window = padded[..., row : row + height, column : column + width]
        result += kernel[row, column] * window
    return result


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """Blur with a bell of odd sizes [x, y]; sigma defaults to 0.15 size + 0.35.

    Raises: TypeError and ValueError for sizes and sigmas that do not fit.
    """
    sizes, sigmas = _blur_arguments(kernel_size, sigma)
    if not require_image(img):
        return to_pil_image(gaussian_blur(pil_to_tensor(img), sizes, sigmas), mode=img.mode)

    def blur(array: np.ndarray) -> np.ndarray:
        work = _as_float(array)
        kernel_x, kernel_y = (
            _bell(n, s, work.dtype.type) for n, s in zip(sizes, sigmas, strict=True)
        )
        padded = mirrored(work, sizes[0] // 2, sizes[1] // 2)
        mixed = _weigh(padded, kernel_y[:, None] * kernel_x[None, :], *array.shape[-2:])
        return round_to(mixed, array.dtype)

    return apply(img, blur)


def _soften(array: np.ndarray) -> np.ndarray:
    """A 3 x 3 mean with weight 5 in the middle; the border stays as it is."""
    work = _as_float(array)
    kernel = np.ones((3, 3), work.dtype)
    kernel[1, 1] = 5
    kernel /= kernel.sum()
    height, width = array.shape[-2] - 2, array.shape[-1] - 2
    result = array.copy()
    result[..., 1:-1, 1:-1] = round_to(_weigh(work, kernel, height, width), array.dtype)
    return result


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """Mix with a smoothed image: 0 is smooth, 1 changes nothing, 2 doubles the sharpness."""
    if not require_image(img):
        return _enhance(img, "Sharpness", sharpness_factor)
    _check_factor("sharpness_factor", sharpness_factor)
    _check_channels(img)
    if img.shape[-1] <= 2 or img.shape[-2] <= 2:
        return img
    return apply(img, lambda a: _blend(a, _soften(a), sharpness_factor))


# -- tones -----------------------------------------------------------------------------------------


def invert(img: Any) -> Any:
    """White minus the image."""
    if not require_image(img):
        from PIL import ImageOps

        return ImageOps.invert(img)
    _check_channels(img)
    white = max_value(img.dtype)
    return apply(img, lambda a: a.dtype.type(white) - a)


def posterize(img: Any, bits: int) -> Any:
    """Keep the highest `bits` bits of every byte."""
    if not require_image(img):
        from PIL import ImageOps

        return ImageOps.posterize(img, bits)
    _check_channels(img)
    if str(img.dtype) != "torch.uint8":
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")
    mask = np.uint8(256 - 2 ** (8 - bits))
    return apply(img, lambda a: a & mask)


def solarize(img: Any, threshold: float) -> Any:
    """Invert what is at least `threshold`."""
    if not require_image(img):
        from PIL import ImageOps

        return ImageOps.solarize(img, threshold)  # type: ignore[arg-type]
    _check_channels(img)
    white = max_value(img.dtype)
    if threshold > white:
        raise TypeError("Threshold should be less than bound of img.")
    return apply(img, lambda a: np.where(a >= threshold, a.dtype.type(white) - a, a))


def autocontrast(img: Any) -> Any:
    """Stretch every channel to the full range."""
    if not require_image(img):
        from PIL import ImageOps

        return ImageOps.autocontrast(img)
    _check_channels(img)

    def stretch(array: np.ndarray) -> np.ndarray:
        work = _as_float(array)
        limit = work.dtype.type(_limit(array.dtype))
        low = work.min(axis=(-2, -1), keepdims=True)
        high = work.max(axis=(-2, -1), keepdims=True)
        flat = high == low
        # A number over a tensor is, in PyTorch, the number times the reciprocal.
        scale = np.where(flat, work.dtype.type(1), limit * (1 / np.where(flat, limit, high - low)))
        shifted = (work - np.where(flat, work.dtype.type(0), low)) * scale
        return np.clip(shifted, 0, limit).astype(array.dtype)

    return apply(img, stretch)


def equalize(img: Any) -> Any:
    """Even out the histogram of every channel of an image of bytes."""
    if not require_image(img):
        from PIL import ImageOps

        return ImageOps.equalize(img)
    _check_channels(img)
    if str(img.dtype) != "torch.uint8":
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")

    def even(array: np.ndarray) -> np.ndarray:
        channels = array.reshape(-1, *array.shape[-2:])
        return np.stack([_equalize_channel(c) for c in channels]).reshape(array.shape)

    return apply(img, even)


def _equalize_channel(channel: np.ndarray) -> np.ndarray:
    histogram = np.bincount(channel.ravel(), minlength=256)
    used = histogram[histogram != 0]
    step = used[:-1].sum() // 255
    if step == 0:
        return channel
    table = (np.cumsum(histogram) + step // 2) // step
    table = np.clip(np.concatenate([[0], table[:-1]]), 0, 255)
    return table.astype(np.uint8)[channel]
