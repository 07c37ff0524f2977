"""Elastic deformation: every pixel is read a little way off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...nn import Module
from .._tensors import Tensor, apply, array_of, tensor_of, uniforms
from . import _resample
from ._color import gaussian_blur
from ._convert import is_pil_image, pil_to_tensor, to_pil_image
from ._geometry import _tensor_mode, get_dimensions
from ._modes import InterpolationMode, interpolation_mode


def elastic_transform(
    img: Any,
    displacement: Tensor,
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Read pixel (x, y) at (x, y) + displacement, in units of half the image.

    Args:
        displacement: (1, H, W, 2), x first.
    Raises: TypeError for other types, ValueError for another shape.
    """
    mode = interpolation_mode(interpolation)
    if not isinstance(displacement, Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    if is_pil_image(img):
        tensor = elastic_transform(pil_to_tensor(img), displacement, mode, fill)
        return to_pil_image(tensor, mode=img.mode)
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    _, height, width = get_dimensions(img)
    if tuple(displacement.shape) != (1, height, width, 2):
        raise ValueError(
            f"Argument displacement shape should be {(1, height, width, 2)}, "
            f"but given {displacement.shape}"
        )
    name = _tensor_mode(img, mode, "elastic")
    x, y = _resample.displaced_coordinates(array_of(displacement)[0])
    return apply(img, lambda a: _resample.sample_array(a, x, y, name, fill))


def random_displacement(
    alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int], blur: Any
) -> Tensor:
    """Noise in [-1, 1], smoothed by sigma and scaled to alpha pixels: (1, H, W, 2)."""
    height, width = size
    shifts = []
    for k, extent in enumerate((width, height)):
        noise = tensor_of(uniforms((1, 1, height, width)) * np.float32(2) - np.float32(1))
        if sigma[k] > 0.0:
            count = int(8 * sigma[k] + 1)
            count += count % 2 == 0
            noise = blur(noise, [count, count], list(sigma))
        shifts.append(array_of(noise) * np.float32(alpha[k]) / np.float32(extent))
    return tensor_of(np.concatenate(shifts, 1).transpose(0, 2, 3, 1))


def _pair_of_floats(value: Any, name: str) -> Any:
    if not isinstance(value, (float, Sequence)):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    if isinstance(value, float):
        return [value, value]
    if len(value) != 2:
        raise ValueError(f"If {name} is a sequence its length should be 2. Got {len(value)}")
    for element in value:
        if not isinstance(element, float):
            raise TypeError(f"{name} should be a sequence of floats. Got {type(element)}")
    return value


class ElasticTransform(Module):
    """Deform by smooth noise, as if seen through moving water.

    Args:
        alpha: strength of the displacement, in pixels, or (x, y).
        sigma: smoothness, in pixels, or (x, y).
        fill: colour of the outside: a number, or one for each channel.
    """

    def __init__(
        self,
        alpha: Any = 50.0,
        sigma: Any = 5.0,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha = _pair_of_floats(alpha, "alpha")
        self.sigma = _pair_of_floats(sigma, "sigma")
        if isinstance(interpolation, int):
            interpolation = interpolation_mode(interpolation)
        self.interpolation = interpolation
        if isinstance(fill, (int, float)):
            fill = [float(fill)]
        elif isinstance(fill, (list, tuple)):
            fill = [float(f) for f in fill]
        else:
            raise TypeError(
                f"fill should be int or float or a list or tuple of them. Got {type(fill)}"
            )
        self.fill = fill

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> Tensor:
        """Draw the displacement (1, H, W, 2)."""
        return random_displacement(alpha, sigma, size, gaussian_blur)

    def forward(self, tensor: Any) -> Any:
        _, height, width = get_dimensions(tensor)
        displacement = self.get_params(self.alpha, self.sigma, [height, width])
        return elastic_transform(tensor, displacement, self.interpolation, self.fill)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(alpha={self.alpha}, sigma={self.sigma}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
