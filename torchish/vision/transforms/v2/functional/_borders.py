"""Borders and crops."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....._tensor.tensor import Tensor
from ...._tensors import apply
from ....tv_tensors import BoundingBoxes, BoundingBoxFormat as Format, Image, KeyPoints, Mask
from ... import functional as first_api
from ..._geometry import _pad_array
from ..._modes import InterpolationMode
from . import _boxes
from ._flips import horizontal_flip_image, vertical_flip_image
from ._meta import on_array
from ._resize import (
    _resize_pil,
    resize_bounding_boxes,
    resize_image,
    resize_keypoints,
    resize_mask,
)
from ._utils import functional, kernel, mask_kernel, pil_kernel, video_kernel

Size = tuple[int, int]

# -- borders ---------------------------------------------------------------------------------------


@functional
def pad(inpt: Any, padding: list[int], fill: Any = None, padding_mode: str = "constant") -> Any:
    """Add a border of [all], [x, y] or [left, top, right, bottom] pixels; negative ones cut off."""


def border(padding: Any) -> list[int]:
    """Left, top, right and bottom.

    Raises: TypeError for other types, ValueError for other lengths.
    """
    if isinstance(padding, int):
        return [padding] * 4
    if not isinstance(padding, (tuple, list)):
        raise TypeError(
            f"`padding` should be an integer or tuple or list of integers, but got {padding}"
        )
    if len(padding) not in (1, 2, 4):
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element tuple or list. Found {len(padding)}"
        )
    return list(padding) * (4 // len(padding))


@kernel(pad, Tensor, Image)
def pad_image(
    image: Tensor, padding: list[int], fill: Any = None, padding_mode: str = "constant"
) -> Tensor:
    """`pad` for images."""
    edges = border(padding)
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(
            "`padding_mode` should be either `'constant'`, `'edge'`, `'reflect'` or "
            f"`'symmetric'`, but got `'{padding_mode}'`."
        )
    if isinstance(fill, (tuple, list)) and len(fill) == 1:
        fill = fill[0]
    if not isinstance(fill, (tuple, list)):
        number = 0 if fill is None else fill
        return apply(image, lambda a: _pad_array(a, edges, padding_mode, 2, number))
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported if fill is not scalar")
    return apply(image, lambda a: _pad_colored(a, edges, fill))


def _pad_colored(array: np.ndarray, edges: list[int], fill: Any) -> np.ndarray:
    padded = np.array(_pad_array(array, edges, "constant", 2, 0))
    color = np.array(fill, np.float64).astype(array.dtype).reshape(-1, 1, 1)
    left, top, right, bottom = edges
    rows, columns = padded.shape[-2:]
    for part in (
        (slice(0, max(top, 0)), slice(None)),
        (slice(None), slice(0, max(left, 0))),
        (slice(rows - max(bottom, 0), rows), slice(None)),
        (slice(None), slice(columns - max(right, 0), columns)),
    ):
        padded[(..., *part)] = color
    return padded


@pil_kernel(pad)
def _pad_pil(image: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    return first_api.pad(image, padding, fill, padding_mode)


@kernel(pad, Mask)
def pad_mask(
    mask: Tensor, padding: list[int], fill: Any = None, padding_mode: str = "constant"
) -> Tensor:
    """`pad` for masks; the fill is one number."""
    if isinstance(fill, (tuple, list)):
        raise ValueError("Non-scalar fill value is not supported")
    flat = mask.ndim < 3
    result = pad_image(mask.unsqueeze(0) if flat else mask, padding, fill, padding_mode)
    return result.squeeze(0) if flat else result


def _widened(canvas_size: Size, edges: list[int]) -> Size:
    left, top, right, bottom = edges
    return canvas_size[0] + top + bottom, canvas_size[1] + left + right


@kernel(pad, KeyPoints)
def pad_keypoints(
    keypoints: Tensor, canvas_size: Size, padding: list[int], padding_mode: str = "constant"
) -> tuple[Tensor, Size]:
    """`pad` for points, and their new canvas."""
    if padding_mode != "constant":
        raise ValueError(
            f"Padding mode '{padding_mode}' is not supported with KeyPoints "
            "(supported modes are constant)"
        )
    edges = border(padding)
    shift = np.array(edges[:2])
    return on_array(keypoints, lambda a: a + shift.astype(a.dtype)), _widened(canvas_size, edges)


def _shifted(boxes: np.ndarray, format: Format, x: int, y: int) -> np.ndarray:
    """Boxes moved by whole pixels."""
    count = {Format.XYXY: 4, Format.XYXYXYXY: 8}.get(format, 2)
    shift = np.zeros(boxes.shape[-1], boxes.dtype)
    shift[:count] = np.tile([x, y], count // 2)
    return boxes + shift


@kernel(pad, BoundingBoxes)
def pad_bounding_boxes(
    bounding_boxes: Tensor,
    format: Format,
    canvas_size: Size,
    padding: list[int],
    padding_mode: str = "constant",
    clamping_mode: str | None = "soft",
) -> tuple[Tensor, Size]:
    """`pad` for boxes, and their new canvas."""
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported with bounding boxes")
    edges = border(padding)
    canvas = _widened(canvas_size, edges)

    def move(array: np.ndarray) -> np.ndarray:
        shifted = _shifted(array, format, edges[0], edges[1])
        return _boxes.clamp(shifted, format, canvas, clamping_mode)

    return on_array(bounding_boxes, move), canvas


# -- crops -----------------------------------------------------------------------------------------


@functional
def crop(inpt: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part of that place and size; what lies outside the image is zero."""


@kernel(crop, Tensor, Image)
def crop_image(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """`crop` for images."""
    return first_api.crop(image, top, left, height, width)


pil_kernel(crop)(first_api.crop)


@kernel(crop, KeyPoints)
def crop_keypoints(
    keypoints: Tensor, top: int, left: int, height: int, width: int
) -> tuple[Tensor, Size]:
    """`crop` for points, and their new canvas."""
    shift = np.array([left, top])
    return on_array(keypoints, lambda a: a - shift.astype(a.dtype)), (height, width)


@kernel(crop, BoundingBoxes)
def crop_bounding_boxes(
    bounding_boxes: Tensor,
    format: Format,
    top: int,
    left: int,
    height: int,
    width: int,
    clamping_mode: str | None = "soft",
) -> tuple[Tensor, Size]:
    """`crop` for boxes, and their new canvas."""
    canvas = (height, width)

    def move(array: np.ndarray) -> np.ndarray:
        shifted = _shifted(array, format, -left, -top)
        if format is Format.XYXYXYXY:
            shifted = _boxes.upright(shifted)
        return _boxes.clamp(shifted, format, canvas, clamping_mode)

    return on_array(bounding_boxes, move), canvas


@functional
def center_crop(inpt: Any, output_size: list[int]) -> Any:
    """The middle of an image, with a black border where the image is smaller."""


def _pair(size: Any) -> list[int]:
    if isinstance(size, (int, float)):
        return [int(size)] * 2
    return [size[0], size[0]] if len(size) == 1 else list(size)


def _corner(size: Any, canvas_size: Any) -> dict[str, int]:
    """Place and size of a centred crop."""
    height, width = _pair(size)
    top = round((canvas_size[0] - height) / 2.0)
    left = round((canvas_size[1] - width) / 2.0)
    return {"top": top, "left": left, "height": height, "width": width}


@kernel(center_crop, Tensor, Image)
def center_crop_image(image: Tensor, output_size: list[int]) -> Tensor:
    """`center_crop` for images."""
    size = _pair(output_size)
    if image.numel() == 0:
        return image.reshape([*image.shape[:-2], *size])
    return first_api.center_crop(image, size)


@pil_kernel(center_crop)
def _center_crop_pil(image: Any, output_size: list[int]) -> Any:
    return first_api.center_crop(image, _pair(output_size))


@kernel(center_crop, KeyPoints)
def center_crop_keypoints(
    inpt: Tensor, canvas_size: Size, output_size: list[int]
) -> tuple[Tensor, Size]:
    """`center_crop` for points, and their new canvas."""
    return crop_keypoints(inpt, **_corner(output_size, canvas_size))


@kernel(center_crop, BoundingBoxes)
def center_crop_bounding_boxes(
    bounding_boxes: Tensor,
    format: Format,
    canvas_size: Size,
    output_size: list[int],
    clamping_mode: str | None = "soft",
) -> tuple[Tensor, Size]:
    """`center_crop` for boxes, and their new canvas."""
    place = _corner(output_size, canvas_size)
    return crop_bounding_boxes(bounding_boxes, format, **place, clamping_mode=clamping_mode)


# -- a crop that is resized ------------------------------------------------------------------------


@functional
def resized_crop(
    inpt: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: list[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize`."""


@kernel(resized_crop, Tensor, Image)
def resized_crop_image(
    image: Tensor,
    top: int,
    left: int,
    height: int,
    width: int,
    size: list[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Tensor:
    """`resized_crop` for images."""
    part = crop_image(image, top, left, height, width)
    return resize_image(part, size, interpolation=interpolation, antialias=antialias)


@pil_kernel(resized_crop)
def _resized_crop_pil(
    image: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: list[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    part = first_api.crop(image, top, left, height, width)
    return _resize_pil(part, size, interpolation=interpolation, antialias=antialias)


@kernel(resized_crop, KeyPoints)
def resized_crop_keypoints(
    keypoints: Tensor, top: int, left: int, height: int, width: int, size: list[int]
) -> tuple[Tensor, Size]:
    """`resized_crop` for points, and their new canvas."""
    part, canvas_size = crop_keypoints(keypoints, top, left, height, width)
    return resize_keypoints(part, size=size, canvas_size=canvas_size)


@kernel(resized_crop, BoundingBoxes)
def resized_crop_bounding_boxes(
    bounding_boxes: Tensor,
    format: Format,
    top: int,
    left: int,
    height: int,
    width: int,
    size: list[int],
    clamping_mode: str | None = "soft",
) -> tuple[Tensor, Size]:
    """`resized_crop` for boxes, and their new canvas."""
    part, canvas_size = crop_bounding_boxes(
        bounding_boxes, format, top, left, height, width, clamping_mode=clamping_mode
    )
    return resize_bounding_boxes(
        part, canvas_size=canvas_size, size=size, format=format, clamping_mode=clamping_mode
    )


# -- five and ten crops ----------------------------------------------------------------------------


@functional
def five_crop(inpt: Any, size: list[int]) -> Any:
    """The four corners and the middle."""


@functional
def ten_crop(inpt: Any, size: list[int], vertical_flip: bool = False) -> Any:
    """`five_crop` of the image and of its mirror image."""


@kernel(five_crop, Tensor, Image)
def five_crop_image(image: Tensor, size: list[int]) -> tuple[Tensor, ...]:
    """`five_crop` for images."""
    return first_api.five_crop(image, size)


@kernel(ten_crop, Tensor, Image)
def ten_crop_image(
    image: Tensor, size: list[int], vertical_flip: bool = False
) -> tuple[Tensor, ...]:
    """`ten_crop` for images."""
    mirrored = vertical_flip_image(image) if vertical_flip else horizontal_flip_image(image)
    return five_crop_image(image, size) + five_crop_image(mirrored, size)


pil_kernel(five_crop)(first_api.five_crop)
pil_kernel(ten_crop)(first_api.ten_crop)

pad_video = video_kernel(pad, pad_image)
crop_video = video_kernel(crop, crop_image)
crop_mask = mask_kernel(crop, crop_image)
center_crop_video = video_kernel(center_crop, center_crop_image)
center_crop_mask = mask_kernel(center_crop, center_crop_image)
resized_crop_video = video_kernel(resized_crop, resized_crop_image)
five_crop_video = video_kernel(five_crop, five_crop_image)
ten_crop_video = video_kernel(ten_crop, ten_crop_image)


@kernel(resized_crop, Mask)
def resized_crop_mask(
    mask: Tensor, top: int, left: int, height: int, width: int, size: list[int]
) -> Tensor:
    """`resized_crop` for masks: the nearest pixel."""
    return resize_mask(crop_mask(mask, top, left, height, width), size)
