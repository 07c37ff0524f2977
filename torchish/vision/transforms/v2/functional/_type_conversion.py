"""Between PIL images, arrays and tensors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ....._tensor.tensor import Tensor
from ...._tensors import tensor_of
from ....tv_tensors import Image
from ... import functional as first_api
from ..._convert import is_pil_image, pil_to_tensor as pil_to_tensor, to_pil_image as to_pil_image


def to_image(inpt: Any) -> Image:
    """A tensor (..., C, H, W), array (H, W[, C]) or PIL image as an Image of the same numbers.

    Raises: TypeError for other inputs.
    """
    if isinstance(inpt, np.ndarray):
        output = tensor_of(np.atleast_3d(inpt).transpose(2, 0, 1).copy())
    elif is_pil_image(inpt):
        output = pil_to_tensor(inpt)
    elif isinstance(inpt, Tensor):
        output = inpt
    else:
        raise TypeError(
            "Input can either be a pure Tensor, a numpy array, or a PIL image, "
            f"but got {type(inpt)} instead."
        )
    return Image(output)


def _deprecated(name: str, instead: str) -> None:
    warnings.warn(
        f"The function `{name}(...)` is deprecated and will be removed in a future release. "
        f"Instead, please use {instead}.",
        stacklevel=3,
    )


def to_tensor(inpt: Any) -> Tensor:
    """The first API's `to_tensor`, with a warning."""
    instead = "`to_image(...)` followed by `to_dtype(..., dtype=torch.float32, scale=True)`"
    _deprecated("to_tensor", instead)
    return first_api.to_tensor(inpt)


def get_image_size(inpt: Any) -> list[int]:
    """Width and height, with a warning."""
    instead = "`get_size(...)` which returns `[h, w]` instead of `[w, h]`"
    _deprecated("get_image_size", instead)
    return first_api.get_image_size(inpt)
