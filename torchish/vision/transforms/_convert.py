"""PIL images to tensors and back, dtypes, normalisation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._basics import dtypes
from ..._basics.state import process
from .._tensors import Tensor, apply, array_of, tensor_of

if TYPE_CHECKING:
    from PIL.Image import Image

_INT16_MODE = "I;16" if sys.byteorder == "little" else "I;16B"
_ARRAY_TYPES = {"I": np.int32, _INT16_MODE: np.int16, "F": np.float32}
_PERMITTED_MODES = {
    2: ("LA",),
    3: ("RGB", "YCbCr", "HSV"),
    4: ("RGBA", "CMYK", "RGBX"),
}


def is_pil_image(image: Any) -> bool:
    """Whether `image` is one of PIL's."""
    from PIL import Image

    return isinstance(image, Image.Image)


def is_image_tensor(image: Any) -> bool:
    """Whether `image` is a tensor with at least a height and a width."""
    return isinstance(image, Tensor) and image.ndim >= 2


def max_value(dtype: Any) -> int:
    """White in images of this dtype: 1 for floats and bools, the largest integer otherwise."""
    if dtype.is_floating_point or dtype is dtypes.bool_:
        return 1
    return int(np.iinfo(dtype.np).max)


def round_to(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Back from float arithmetic: rounded to even and wrapped where `dtype` is an integer's."""
    if dtype.kind in "iu":
        array = np.rint(array)
    return array.astype(dtype)


def _channels_first(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[:, :, None]
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def to_tensor(pic: Any) -> Tensor:
    """Turn a PIL image or array (H, W[, C]) into a tensor (C, H, W); bytes become floats in [0, 1].

    Raises: TypeError for other inputs, ValueError for arrays of other than 2 or 3 dimensions.
    """
    if not (is_pil_image(pic) or isinstance(pic, np.ndarray)):
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = _channels_first(pic).copy()
    else:
        array = _channels_first(np.array(pic, _ARRAY_TYPES.get(pic.mode, np.uint8)))
        if pic.mode == "1":
            array = array * np.uint8(255)
    if array.dtype == np.uint8:
        float_type = np.dtype(process.default_dtype.np)
        array = array.astype(float_type) / float_type.type(255)
    return tensor_of(array)


def pil_to_tensor(pic: Image) -> Tensor:
    """Turn a PIL image into a tensor (C, H, W) of the same numbers.

    Raises: TypeError if it is not a PIL image.
    """
    if not is_pil_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return tensor_of(_channels_first(np.array(pic)))


def to_pil_image(pic: Any, mode: str | None = None) -> Image:
    """Turn a tensor (C, H, W) or (H, W), or an array (H, W[, C]), into a PIL image.

    Floats are taken as [0, 1], multiplied by 255 and truncated. `mode` is PIL's; by default it
    follows from the number of channels and the dtype.
    Raises: TypeError for other inputs and dtypes, ValueError for shapes and modes that do not fit.
    """
    from PIL import Image

    if isinstance(pic, Tensor):
        array = array_of(pic)
        if array.ndim == 3:
            array = array.transpose(1, 2, 0)
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
    channels = array.shape[2]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")

    if array.dtype.kind not in "biuc" and mode != "F":  # floats, ml_dtypes' too
        with np.errstate(invalid="ignore"):
            array = (array * array.dtype.type(255)).astype(np.int64).astype(np.uint8)
    if channels == 1:
        array = array[:, :, 0]
        fitting = {"uint8": "L", "int16": _INT16_MODE, "int32": "I", "float32": "F"}.get(
            array.dtype.name
        )
        if mode is not None and mode != fitting:
            raise ValueError(
                f"Incorrect mode ({mode}) supplied for input type {np.dtype}. Should be {fitting}"
            )
        mode = fitting
    else:
        permitted = _PERMITTED_MODES[channels]
        if mode is not None and mode not in permitted:
            raise ValueError(f"Only modes {list(permitted)} are supported for {channels}D inputs")
        if mode is None and array.dtype == np.uint8:
            mode = permitted[0]
    if mode is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    return _from_array(Image, np.ascontiguousarray(array), mode)


def _from_array(Image: Any, array: np.ndarray, mode: str) -> Image:
    if mode in ("YCbCr", "HSV", "CMYK", "RGBX", _INT16_MODE):  # the array alone does not say so
        height, width = array.shape[:2]
        return Image.frombytes(mode, (width, height), array.tobytes())
    return Image.fromarray(array)


def convert_image_dtype(image: Tensor, dtype: Any = dtypes.float32) -> Tensor:
    """Change the dtype and rescale, so that white stays white.

    Raises: TypeError if it is not a tensor, RuntimeError where floats cannot hold the integers.
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    if image.dtype is dtype:
        return image
    target = dtype.np
    source_max, target_max = max_value(image.dtype), max_value(dtype)
    if image.dtype.is_floating_point:
        if dtype.is_floating_point:
            return image.to(dtype)
        wide = (dtypes.int32, dtypes.int64) if image.dtype is dtypes.float32 else (dtypes.int64,)
        if dtype in wide:
            raise RuntimeError(
                f"The cast from {image.dtype} to {dtype} cannot be performed safely."
            )
        factor = target_max + 1.0 - 1e-3  # so that 1.0 truncates to the largest integer
        return apply(image, lambda a: (a * a.dtype.type(factor)).astype(target))
    if dtype.is_floating_point:
        return apply(image, lambda a: a.astype(target) / target.type(source_max))
    if source_max > target_max:
        factor = (source_max + 1) // (target_max + 1)
        return apply(image, lambda a: (a // a.dtype.type(factor)).astype(target))
    factor = (target_max + 1) // (source_max + 1)
    return apply(image, lambda a: a.astype(target) * target.type(factor))


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """(x - mean) / std for each channel of a float tensor (..., C, H, W).

    Raises: TypeError for anything but a float tensor, ValueError for fewer than three dimensions
    or a zero in std, RuntimeError if the numbers of channels do not fit.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            "Expected tensor to be a tensor image of size (..., C, H, W). "
            f"Got tensor.size() = {tensor.size()}"
        )
    means = _per_channel(mean, tensor)
    stds = _per_channel(std, tensor)
    if (stds == 0).any():
        raise ValueError(
            f"std evaluated to zero after conversion to {tensor.dtype}, "
            "leading to division by zero."
        )
    result = apply(
        tensor,
        lambda a: (a - means) / stds,
        lambda t: t.sub(tensor_of(means, t)).div(tensor_of(stds, t)),
    )
    return tensor.copy_(result) if inplace else result


def _per_channel(numbers: Any, tensor: Tensor) -> np.ndarray:
    if isinstance(numbers, Tensor):
        numbers = array_of(numbers)
    array = np.array(numbers, dtype=tensor.dtype.np)
    if array.ndim == 1:
        array = array.reshape(-1, 1, 1)
    if array.ndim == 3 and array.shape[0] not in (1, tensor.shape[-3]):
        if tensor.shape[-3] != 1:
            raise RuntimeError(
                f"The size of tensor a ({tensor.shape[-3]}) must match the size of tensor b "
                f"({array.shape[0]}) at non-singleton dimension {tensor.ndim - 3}"
            )
        shape = list(tensor.shape)
        wanted = [*shape[:-3], array.shape[0], *shape[-2:]]
        raise RuntimeError(f"output with shape {shape} doesn't match the broadcast shape {wanted}")
    return array
