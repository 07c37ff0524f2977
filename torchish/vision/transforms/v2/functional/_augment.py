"""Erased boxes and JPEG's losses."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ....._basics import dtypes
from ....._tensor.tensor import Tensor
from ...._codecs import decode_bytes, encode_image
from ...._tensors import apply
from ....tv_tensors import Image
from ... import functional as first_api
from ..._convert import pil_to_tensor, to_pil_image
from ._utils import functional, kernel, pil_kernel, video_kernel


@functional
def erase(inpt: Any, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Any:
    """Put `v` (C, h, w or broadcast to it) at row i, column j."""


@kernel(erase, Tensor, Image)
def erase_image(
    image: Tensor, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False
) -> Tensor:
    """`erase` for images."""
    return first_api.erase(image, i, j, h, w, v, inplace)


@pil_kernel(erase)
def _erase_pil(image: Any, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Any:
    return to_pil_image(erase_image(pil_to_tensor(image), i, j, h, w, v, True), mode=image.mode)


@functional
def jpeg(image: Any, quality: int) -> Any:
    """Encode as JPEG of this quality (1 to 100) and decode again."""


@kernel(jpeg, Tensor, Image)
def jpeg_image(image: Tensor, quality: int) -> Tensor:
    """`jpeg` for images (..., 1 or 3, H, W) of bytes."""
    if image.dtype is not dtypes.uint8:
        raise RuntimeError("Input tensor dtype should be uint8")
    if image.shape[-3] not in (1, 3):
        raise RuntimeError(f"The number of channels should be 1 or 3, got: {image.shape[-3]}")

    def press(array: np.ndarray) -> np.ndarray:
        if array.size == 0:
            return array.copy()
        pictures = array.reshape(-1, *array.shape[-3:])
        done = [decode_bytes(encode_image(one, "JPEG", quality=quality)) for one in pictures]
        return np.stack(done).reshape(array.shape)

    return apply(image, press)


@pil_kernel(jpeg)
def _jpeg_pil(image: Any, quality: int) -> Any:
    from PIL import Image as pil

    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return pil.open(file).copy()


erase_video = video_kernel(erase, erase_image)
jpeg_video = video_kernel(jpeg, jpeg_image)
