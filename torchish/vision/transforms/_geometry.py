"""Sizes, crops, borders, flips and warps of PIL images and tensors (..., C, H, W)."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._basics.errors import not_supported
from ..._ops.movement.pad import check_reflection
from .._tensors import Tensor, apply, array_of, tensor_of
from . import _resample
from ._convert import is_image_tensor, is_pil_image
from ._modes import PIL_NUMBERS, InterpolationMode, interpolation_mode

BILINEAR = InterpolationMode.BILINEAR
NEAREST = InterpolationMode.NEAREST
_ON_TENSORS = {
    "resize": ("nearest", "nearest-exact", "bilinear", "bicubic"),
    "warp": ("nearest", "bilinear"),
    "elastic": ("nearest", "bilinear", "bicubic"),
}


def require_image(img: Any) -> bool:
    """Whether `img` is a tensor; raises TypeError if it is neither that nor a PIL image."""
    if isinstance(img, Tensor):
        if not is_image_tensor(img):
            raise TypeError("Tensor is not a torch image.")
        return True
    if not is_pil_image(img):
        raise TypeError(f"img should be PIL Image. Got {type(img)}")
    return False


def _tensor_mode(img: Tensor, mode: InterpolationMode, use: str) -> str:
    if use == "resize" and mode is InterpolationMode.LANCZOS:
        raise ValueError("Lanczos mode requires antialias=True")
    if use == "resize" and mode.value not in _ON_TENSORS[use]:
        raise not_supported(f"resizing tensors by {mode.value}", "a PIL image, or bilinear")
    if mode.value not in _ON_TENSORS[use]:
        raise ValueError(f"Interpolation mode '{mode.value}' is unsupported with Tensor input")
    return mode.value


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width."""
    if isinstance(img, Tensor):
        if not is_image_tensor(img):
            raise TypeError("Tensor is not a torch image.")
        return [1 if img.ndim == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]
    if not is_pil_image(img):
        raise TypeError(f"Unexpected type {type(img)}")
    width, height = img.size
    return [len(img.getbands()), height, width]


def get_image_size(img: Any) -> list[int]:
    """Width and height."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """Number of channels."""
    return get_dimensions(img)[0]


# -- size ------------------------------------------------------------------------------------------


def _resized(height: int, width: int, size: Sequence[int], max_size: int | None) -> list[int]:
    if len(size) == 2:
        return [size[0], size[1]]
    return list(_resample.size_by_edge(height, width, size, max_size))


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: Any = BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Resize to `size`: height and width, or one number for the shorter edge.

    Raises: TypeError for other inputs and for filters that only PIL images have, ValueError for
    sizes of other than one or two numbers.
    """
    mode = interpolation_mode(interpolation)
    if isinstance(size, int):
        size = [size]
    elif not isinstance(size, Sequence):
        raise TypeError(f"Size should be int or sequence. Got {type(size)}")
    if len(size) not in (1, 2):
        raise ValueError(
            "Size must be an int or a 1 or 2 element tuple/list, not a "
            f"{len(size)} element tuple/list"
        )
    if max_size is not None and len(size) != 1:
        raise ValueError(
            "max_size should only be passed if size specifies the length of the smaller edge, "
            "i.e. size should be an int or a sequence of length 1 in torchscript mode."
        )
    is_tensor = require_image(img)
    _, height, width = get_dimensions(img)
    target = _resized(height, width, size, max_size)
    if is_tensor:
        if [height, width] == target:
            return img
        name = _tensor_mode(img, mode, "resize")
        shape = (target[0], target[1])
        return apply(img, lambda a: _resample.resize_array(a, shape, name, bool(antialias)))
    if [height, width] == target:
        return img
    return img.resize((target[1], target[0]), PIL_NUMBERS[mode])


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part of that place and size; what lies outside the image is zero."""
    if not require_image(img):
        return img.crop((left, top, left + width, top + height))
    _, full_height, full_width = get_dimensions(img)
    bottom, right = top + height, left + width
    if left >= 0 and top >= 0 and right <= full_width and bottom <= full_height:
        return _part(img, top, bottom, left, right)
    border = [
        max(-left + min(0, right), 0),
        max(-top + min(0, bottom), 0),
        max(right - max(full_width, left), 0),
        max(bottom - max(full_height, top), 0),
    ]
    return pad(_part(img, max(top, 0), bottom, max(left, 0), right), border, fill=0)


def _part(img: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    return apply(
        img, lambda a: a[..., top:bottom, left:right], lambda t: t[..., top:bottom, left:right]
    )


def pair(size: Any) -> Any:
    """A size as (height, width); one number stands for both."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    return size


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The middle of the image, with a black border where the image is smaller."""
    require_image(img)
    _, height, width = get_dimensions(img)
    crop_height, crop_width = pair(output_size)
    if crop_width > width or crop_height > height:
        more_x, more_y = max(crop_width - width, 0), max(crop_height - height, 0)
        img = pad(img, [more_x // 2, more_y // 2, (more_x + 1) // 2, (more_y + 1) // 2], fill=0)
        _, height, width = get_dimensions(img)
        if crop_width == width and crop_height == height:
            return img
    top = round((height - crop_height) / 2.0)
    left = round((width - crop_width) / 2.0)
    return crop(img, top, left, crop_height, crop_width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Any = BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize`."""
    part = crop(img, top, left, height, width)
    return resize(part, size, interpolation, antialias=antialias)


def five_crop(img: Any, size: Any) -> tuple[Any, ...]:
    """The four corners and the middle."""
    size = pair(size)
    _, height, width = get_dimensions(img)
    crop_height, crop_width = size
    if crop_width > width or crop_height > height:
        raise ValueError(f"Requested crop size {size} is bigger than input size {(height, width)}")
    down, across = height - crop_height, width - crop_width
    corners = [(0, 0), (0, across), (down, 0), (down, across)]
    parts = [crop(img, top, left, crop_height, crop_width) for top, left in corners]
    return (*parts, center_crop(img, [crop_height, crop_width]))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image and of its mirror image."""
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


# -- borders and flips -----------------------------------------------------------------------------


def parse_fill(fill: Any, img: Any, name: str = "fillcolor") -> dict[str, Any]:
    """PIL's keyword for the colour outside, one number for each channel."""
    channels = get_image_num_channels(img)
    fill = 0 if fill is None else fill
    if isinstance(fill, (int, float)) and channels > 1:
        fill = (fill,) * channels
    if isinstance(fill, (list, tuple)):
        fill = tuple(fill) * channels if len(fill) == 1 else tuple(fill)
        if len(fill) != channels:
            raise ValueError(
                "The number of elements in 'fill' does not match the number of channels of the "
                f"image ({len(fill)} != {channels})"
            )
    if img.mode != "F":
        fill = tuple(int(x) for x in fill) if isinstance(fill, tuple) else int(fill)
    return {name: fill}


def _border(padding: Any) -> list[int]:
    """Left, top, right and bottom."""
    if not isinstance(padding, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if isinstance(padding, numbers.Number):
        padding = (padding,)
    if len(padding) not in (1, 2, 4):
        raise ValueError(
            "Padding must be an int or a 1, 2, or 4 element tuple, not a "
            f"{len(padding)} element tuple"
        )
    return [int(p) for p in tuple(padding) * (4 // len(padding))]


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Add a border of [all] or [x, y] or [left, top, right, bottom] pixels; negative ones cut off.

    Raises: TypeError for arguments of other types, ValueError for other lengths and modes.
    """
    border = _border(padding)
    if fill is not None and not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate fill arg")
    if not isinstance(padding_mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    if not require_image(img):
        return _pad_pil(img, border, fill, padding_mode)
    if isinstance(fill, (tuple, list)):  # for PIL images only
        raise TypeError("Got inappropriate fill arg")
    number = fill or 0
    return apply(img, lambda a: _pad_array(a, border, padding_mode, 2, number))


def _pad_array(
    array: np.ndarray, border: list[int], mode: Any, channels_before: int, fill: Any = 0
) -> np.ndarray:
    """Pad axes -2 and -1 (channels first) or 0 and 1 (channels_before = 0)."""
    first = array.ndim - 2 if channels_before else 0
    left, top, right, bottom = border
    if mode == "reflect" and channels_before:
        check_reflection((1, *array.shape)[-4:], (left, right, top, bottom))
    cut = [slice(None)] * array.ndim
    cut[first] = slice(max(-top, 0), array.shape[first] - max(-bottom, 0))
    cut[first + 1] = slice(max(-left, 0), array.shape[first + 1] - max(-right, 0))
    widths = [(0, 0)] * array.ndim
    widths[first] = (max(top, 0), max(bottom, 0))
    widths[first + 1] = (max(left, 0), max(right, 0))
    if mode == "constant":
        return np.pad(array[tuple(cut)], widths, mode, constant_values=fill)
    return np.pad(array[tuple(cut)], widths, mode)


def _pad_pil(img: Any, border: list[int], fill: Any, mode: str) -> Any:
    from PIL import Image, ImageOps

    if mode == "constant":
        padded = ImageOps.expand(img, border=tuple(border), **parse_fill(fill, img, "fill"))
    else:
        padded = Image.fromarray(_pad_array(np.asarray(img), border, mode, 0))
    if img.mode == "P":
        padded.putpalette(img.getpalette())
    return padded


def hflip(img: Any) -> Any:
    """Mirror left and right."""
    if require_image(img):
        return apply(img, lambda a: a[..., ::-1], lambda t: t.flip(-1))
    from PIL import Image

    return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(img: Any) -> Any:
    """Mirror top and bottom."""
    if require_image(img):
        return apply(img, lambda a: a[..., ::-1, :], lambda t: t.flip(-2))
    from PIL import Image

    return img.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


# -- warps -----------------------------------------------------------------------------------------


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = NEAREST,
    expand: bool = False,
    center: Sequence[int] | None = None,
    fill: Any = None,
) -> Any:
    """Turn counter-clockwise by `angle` degrees about `center` (default: the middle)."""
    mode = interpolation_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if not require_image(img):
        return img.rotate(angle, PIL_NUMBERS[mode], expand, center, **parse_fill(fill, img))
    name = _tensor_mode(img, mode, "warp")
    _, height, width = get_dimensions(img)
    matrix = _resample.inverse_affine(
        _from_middle(center, width, height), -angle, (0.0, 0.0), 1.0, (0.0, 0.0)
    )
    out = _resample.turned_size(matrix, width, height) if expand else (width, height)
    x, y = _resample.affine_coordinates(matrix, width, height, *out)
    return apply(img, lambda a: _resample.sample_array(a, x, y, name, fill))


def _from_middle(center: Sequence[float] | None, width: int, height: int) -> list[float]:
    if center is None:
        return [0.0, 0.0]
    return [center[0] - width * 0.5, center[1] - height * 0.5]


def affine(
    img: Any,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: Any,
    interpolation: Any = NEAREST,
    fill: Any = None,
    center: Sequence[int] | None = None,
) -> Any:
    """Turn clockwise, move, scale and shear, keeping the size; angles are degrees."""
    mode = interpolation_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (numbers.Number, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if isinstance(shear, numbers.Number):
        shear = (shear, 0.0)
    elif len(shear) == 1:
        shear = (shear[0], shear[0])
    if len(shear) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {list(shear)}")
    is_tensor = require_image(img)
    _, height, width = get_dimensions(img)
    if not is_tensor:
        from PIL import Image

        middle = [width * 0.5, height * 0.5] if center is None else center
        matrix = _resample.inverse_affine(middle, angle, translate, scale, shear)
        return img.transform(
            (width, height),
            Image.Transform.AFFINE,
            matrix,
            PIL_NUMBERS[mode],
            **parse_fill(fill, img),
        )
    name = _tensor_mode(img, mode, "warp")
    middle = _from_middle(center, width, height)
    matrix = _resample.inverse_affine(middle, angle, translate, scale, shear)
    x, y = _resample.affine_coordinates(matrix, width, height, width, height)
    return apply(img, lambda a: _resample.sample_array(a, x, y, name, fill))


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[int]],
    endpoints: Sequence[Sequence[int]],
    interpolation: Any = BILINEAR,
    fill: Any = None,
) -> Any:
    """The projective map that takes four points [x, y] to four others."""
    mode = interpolation_mode(interpolation)
    coefficients = _resample.perspective_coefficients(startpoints, endpoints)
    if not require_image(img):
        from PIL import Image

        return img.transform(
            img.size,
            Image.Transform.PERSPECTIVE,
            coefficients,
            PIL_NUMBERS[mode],
            **parse_fill(fill, img),
        )
    name = _tensor_mode(img, mode, "warp")
    _, height, width = get_dimensions(img)
    x, y = _resample.perspective_coordinates(coefficients, width, height)
    return apply(img, lambda a: _resample.sample_array(a, x, y, name, fill))


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Tensor:
    """Put `v` (C, h, w or broadcast to it) at row i, column j of a tensor."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    if not inplace:
        img = img.clone()
    if v.is_floating_point() and not img.is_floating_point():  # negative noise wraps
        v = tensor_of(array_of(v).astype(np.int64).astype(img.dtype.np), like=img)
    img[..., i : i + h, j : j + w] = v
    return img
