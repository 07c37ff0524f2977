"""Sizes of inputs, formats of boxes, clamping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL.Image import Image as PILImage

from ....._tensor.tensor import Tensor
from .... import tv_tensors
from ...._tensors import apply
from ....tv_tensors import BoundingBoxes, BoundingBoxFormat, Image, KeyPoints, Mask
from ... import functional as first_api
from . import _boxes
from ._utils import functional, is_pure_tensor, kernel, pil_kernel, video_kernel


def on_array(tensor: Tensor, change: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """`change` of a tensor's array, in the tensor's dtype."""
    return apply(tensor, lambda a: np.asarray(change(a)).astype(a.dtype, copy=False))


# -- sizes -----------------------------------------------------------------------------------------


@functional
def get_dimensions(inpt: Any) -> Any:
    """Channels, height and width."""


@functional
def get_num_channels(inpt: Any) -> Any:
    """Number of channels."""


@functional
def get_size(inpt: Any) -> Any:
    """Height and width; of boxes and points, those of their canvas."""


@functional
def get_num_frames(inpt: Any) -> Any:
    """Number of frames of a video."""


get_image_num_channels = get_num_channels


def _last(image: Tensor, count: int) -> list[int]:
    shape = list(image.shape[-count:])
    if len(shape) < 2:
        raise TypeError(f"Input tensor should have at least two dimensions, but got {len(shape)}")
    return shape


@kernel(get_dimensions, Tensor, Image, wrap=False)
def get_dimensions_image(image: Tensor) -> list[int]:
    """`get_dimensions` for images."""
    shape = _last(image, 3)
    return shape if len(shape) == 3 else [1, *shape]


@kernel(get_num_channels, Tensor, Image, wrap=False)
def get_num_channels_image(image: Tensor) -> int:
    """`get_num_channels` for images."""
    return get_dimensions_image(image)[0]


@kernel(get_size, Tensor, Image, wrap=False)
def get_size_image(image: Tensor) -> list[int]:
    """`get_size` for images."""
    return _last(image, 2)


@kernel(get_size, Mask, wrap=False)
def get_size_mask(mask: Tensor) -> list[int]:
    """`get_size` for masks."""
    return get_size_image(mask)


@kernel(get_size, BoundingBoxes, wrap=False)
def get_size_bounding_boxes(bounding_box: BoundingBoxes) -> list[int]:
    """`get_size` for boxes."""
    return list(bounding_box.canvas_size)


@kernel(get_size, KeyPoints, wrap=False)
def get_size_keypoints(keypoints: KeyPoints) -> list[int]:
    """`get_size` for points."""
    return list(keypoints.canvas_size)


@kernel(get_num_frames, Tensor, tv_tensors.Video, wrap=False)
def get_num_frames_video(video: Tensor) -> int:
    """`get_num_frames` for videos."""
    return video.shape[-4]


get_dimensions_video = video_kernel(get_dimensions, get_dimensions_image, wrap=False)
get_num_channels_video = video_kernel(get_num_channels, get_num_channels_image, wrap=False)
get_size_video = video_kernel(get_size, get_size_image, wrap=False)
pil_kernel(get_dimensions)(first_api.get_dimensions)
pil_kernel(get_num_channels)(first_api.get_image_num_channels)


@pil_kernel(get_size)
def _get_size_pil(image: PILImage) -> list[int]:
    return [image.height, image.width]


# -- boxes and points ------------------------------------------------------------------------------


def _format(value: Any) -> Any:
    return BoundingBoxFormat[value.upper()] if isinstance(value, str) else value


def convert_boxes(boxes: Tensor, old: Any, new: Any, inplace: bool = False) -> Tensor:
    """Plain boxes in another format."""
    if old == new:
        return boxes
    result = on_array(boxes, lambda a: _boxes.convert(a, old, new))
    if inplace and result.shape == boxes.shape:
        return boxes.copy_(result)
    return result


def convert_bounding_box_format(
    inpt: Any, old_format: Any = None, new_format: Any = None, inplace: bool = False
) -> Any:
    """Boxes in another format.

    Args:
        inpt: BoundingBoxes, or a tensor together with `old_format`.
        old_format, new_format: a BoundingBoxFormat or its name.
        inplace: write the result to the memory of `inpt` where its shape allows.
    Raises: ValueError between formats with and without an angle and for a missing or superfluous
    `old_format`, TypeError for other inputs.
    """
    if new_format is None:
        raise TypeError("convert_bounding_box_format() missing 1 required argument: 'new_format'")
    old_format, new_format = _format(old_format), _format(new_format)
    if is_pure_tensor(inpt):
        if old_format is None:
            raise ValueError("For pure tensor inputs, `old_format` has to be passed.")
        return convert_boxes(inpt, old_format, new_format, inplace)
    if not isinstance(inpt, BoundingBoxes):
        raise TypeError(
            "Input can either be a plain tensor or a bounding box tv_tensor, "
            f"but got {type(inpt)} instead."
        )
    if old_format is not None:
        raise ValueError("For bounding box tv_tensor inputs, `old_format` must not be passed.")
    plain = inpt.as_subclass(Tensor)
    output = convert_boxes(plain, inpt.format, new_format, inplace)
    return tv_tensors.wrap(output, like=inpt, format=new_format)


def clamp_bounding_boxes(
    inpt: Any, format: Any = None, canvas_size: Any = None, clamping_mode: Any = "auto"
) -> Any:
    """Boxes cut at the edges of their canvas.

    Args:
        inpt: BoundingBoxes, or a tensor together with the other three.
        clamping_mode: "soft", "hard", None for no change, or "auto" for that of the boxes.
    Raises: ValueError for other modes and for missing or superfluous arguments, TypeError for other
    inputs.
    """
    if clamping_mode is not None and clamping_mode not in ("soft", "hard", "auto"):
        raise ValueError(f"clamping_mode must be soft, hard, auto or None, got {clamping_mode}")
    if is_pure_tensor(inpt):
        if format is None or canvas_size is None or clamping_mode == "auto":
            raise ValueError(
                "For pure tensor inputs, `format`, `canvas_size` and `clamping_mode` have to be "
                "passed."
            )
        known = _format(format)
        return on_array(inpt, lambda a: _boxes.clamp(a, known, canvas_size, clamping_mode))
    if not isinstance(inpt, BoundingBoxes):
        raise TypeError(
            "Input can either be a plain tensor or a bounding box tv_tensor, "
            f"but got {type(inpt)} instead."
        )
    if format is not None or canvas_size is not None:
        raise ValueError(
            "For bounding box tv_tensor inputs, `format` and `canvas_size` must not be passed."
        )
    mode = inpt.clamping_mode if clamping_mode == "auto" else clamping_mode
    plain = inpt.as_subclass(Tensor)
    output = on_array(plain, lambda a: _boxes.clamp(a, inpt.format, inpt.canvas_size, mode))
    return tv_tensors.wrap(output, like=inpt)


def clamp_keypoints(inpt: Any, canvas_size: Any = None) -> Any:
    """Points moved to the nearest pixel of their canvas.

    Raises: ValueError for a missing or superfluous canvas_size, TypeError for other inputs.
    """
    if is_pure_tensor(inpt):
        if canvas_size is None:
            raise ValueError("For pure tensor inputs, `canvas_size` has to be passed.")
        return _clamp_points(inpt, canvas_size)
    if not isinstance(inpt, KeyPoints):
        raise TypeError(
            "Input can either be a plain tensor or a keypoints tv_tensor, "
            f"but got {type(inpt)} instead."
        )
    if canvas_size is not None:
        raise ValueError("For keypoints tv_tensor inputs, `canvas_size` must not be passed.")
    output = _clamp_points(inpt.as_subclass(Tensor), inpt.canvas_size)
    return tv_tensors.wrap(output, like=inpt)


def _clamp_points(points: Tensor, canvas_size: tuple[int, int]) -> Tensor:
    height, width = canvas_size
    return on_array(points, lambda a: np.clip(a, 0, np.array([width - 1, height - 1])))
