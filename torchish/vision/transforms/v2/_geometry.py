"""Sizes, crops, borders, flips: fixed ones and random ones."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import transforms as first_api, tv_tensors
from ..._tensors import randint, random
from .._geometry import pair
from .._random_geometry import _draw_box
from . import functional as F
from ._transform import RandomlyApplied, Transform
from ._utils import (
    check_padding,
    check_padding_mode,
    check_sequence,
    fill_for,
    fills,
    has_any,
    query_size,
)
from .functional._borders import border

_TO_SIZE = "Please provide only two dimensions (h, w) for size."


def setup_size(size: Any, message: str = _TO_SIZE) -> Any:
    """(h, w) from one number or a sequence."""
    if isinstance(size, Sequence) and len(size) not in (1, 2):
        raise ValueError(message)
    if not isinstance(size, (int, Sequence)):
        raise TypeError(
            f"size should be an integer or a sequence of integers, but got {type(size)}"
        )
    return pair(size)


class RandomHorizontalFlip(RandomlyApplied):
    """Mirror left and right with probability p."""

    _v1_transform_cls = first_api.RandomHorizontalFlip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.horizontal_flip, inpt)


class RandomVerticalFlip(RandomlyApplied):
    """Mirror top and bottom with probability p."""

    _v1_transform_cls = first_api.RandomVerticalFlip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.vertical_flip, inpt)


class Resize(Transform):
    """Resize to (h, w), or the shorter edge to one number.

    Args:
        size: (h, w), an int, or None to bring the longer edge to `max_size`.
        interpolation: a filter, its name or PIL's number.
        max_size: longest edge allowed, in pixels.
        antialias: for tensors, widen the filter when shrinking as PIL does.
    """

    _v1_transform_cls = first_api.Resize

    def __init__(
        self,
        size: Any,
        interpolation: Any = "bilinear",
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if isinstance(size, int):
            size = [size]
        elif isinstance(size, Sequence) and len(size) in (1, 2):
            size = list(size)
        elif size is not None:
            raise ValueError(
                "size can be an integer, a sequence of one or two integers, or None, "
                f"but got {size} instead."
            )
        elif not isinstance(max_size, int):
            raise ValueError(
                f"max_size must be an integer when size is None, but got {max_size} instead."
            )
        self.size = size
        self.interpolation = interpolation
        self.max_size = max_size
        self.antialias = antialias

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.resize,
            inpt,
            self.size,
            interpolation=self.interpolation,
            max_size=self.max_size,
            antialias=self.antialias,
        )


class CenterCrop(Transform):
    """The middle of an image; what it lacks is black. It cuts, it does not resize."""

    _v1_transform_cls = first_api.CenterCrop

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = setup_size(size)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.center_crop, inpt, output_size=self.size)


class RandomResizedCrop(Transform):
    """A part of random size and place, resized to `size`.

    Args:
        scale: range of the part's area, as a share of the image's.
        ratio: range of width / height before resizing.
    """

    _v1_transform_cls = first_api.RandomResizedCrop

    def __init__(
        self,
        size: Any,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = "bilinear",
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = setup_size(size)
        for name, value in (("Scale", scale), ("Ratio", ratio)):
            if not isinstance(value, Sequence) or len(value) != 2:
                raise TypeError(f"{name} should be a sequence of two floats.")
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=2)
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        for _ in range(10):
            area, aspect = _draw_box(height * width, self.scale, self.ratio)
            w = round(math.sqrt(area * aspect))
            h = round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = randint(0, height - h + 1)
                left = randint(0, width - w + 1)
                return {"top": top, "left": left, "height": h, "width": w}
        w, h = width, height
        if width / height < min(self.ratio):
            h = round(w / min(self.ratio))
        elif width / height > max(self.ratio):
            w = round(h * max(self.ratio))
        return {"top": (height - h) // 2, "left": (width - w) // 2, "height": h, "width": w}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.resized_crop,
            inpt,
            **params,
            size=self.size,
            interpolation=self.interpolation,
            antialias=self.antialias,
        )


class PassesThrough(Transform):
    """Base of transforms that warn where they leave boxes, points and masks alone."""

    def _call_kernel(
        self, functional: Callable[..., Any], inpt: Any, *args: Any, **kwargs: Any
    ) -> Any:
        alone = (tv_tensors.BoundingBoxes, tv_tensors.KeyPoints, tv_tensors.Mask)
        if isinstance(inpt, alone):
            warnings.warn(
                f"{type(self).__name__}() is currently passing through inputs of type "
                f"tv_tensors.{type(inpt).__name__}. This will likely change in the future.",
                stacklevel=2,
            )
        return super()._call_kernel(functional, inpt, *args, **kwargs)


class FiveCrop(PassesThrough):
    """A tuple of the four corners and the middle."""

    _v1_transform_cls: Any = first_api.FiveCrop

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = setup_size(size)

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        if has_any(flat_inputs, tv_tensors.BoundingBoxes, tv_tensors.Mask):
            raise TypeError(
                f"BoundingBoxes'es and Mask's are not supported by {type(self).__name__}()"
            )

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.five_crop, inpt, self.size)


class TenCrop(FiveCrop):
    """A tuple of the five crops of an image and of its mirror image."""

    _v1_transform_cls: Any = first_api.TenCrop

    def __init__(self, size: Any, vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.ten_crop, inpt, self.size, vertical_flip=self.vertical_flip)


class Pad(Transform):
    """Add a border of [all], [x, y] or [left, top, right, bottom] pixels.

    Args:
        fill: a number, one for each channel, or a dictionary of these by type of input.
        padding_mode: "constant", "edge", "reflect" or "symmetric".
    """

    _v1_transform_cls = first_api.Pad

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        check_padding(padding)
        check_padding_mode(padding_mode)
        self.padding = padding if isinstance(padding, int) else list(padding)
        self.fill = fill
        self._fill = fills(fill)
        self.padding_mode = padding_mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        fill = fill_for(self._fill, type(inpt))
        return self._call_kernel(
            F.pad, inpt, padding=self.padding, fill=fill, padding_mode=self.padding_mode
        )


class RandomZoomOut(RandomlyApplied):
    """Put the image somewhere on a larger canvas, with probability p.

    Args:
        side_range: range of the factor by which the canvas is larger.
    Source: SSD: Single Shot MultiBox Detector (Liu et al. 2016).
    """

    def __init__(
        self, fill: Any = 0, side_range: Sequence[float] = (1.0, 4.0), p: float = 0.5
    ) -> None:
        super().__init__(p=p)
        self.fill = fill
        self._fill = fills(fill)
        check_sequence(side_range, "side_range", (2,))
        self.side_range = side_range
        if side_range[0] < 1.0 or side_range[0] > side_range[1]:
            raise ValueError(f"Invalid side range provided {side_range}.")

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        factor = between(self.side_range)
        canvas_width, canvas_height = int(width * factor), int(height * factor)
        left = int(single(canvas_width - width) * single(random()))
        top = int(single(canvas_height - height) * single(random()))
        return {
            "padding": [left, top, canvas_width - (left + width), canvas_height - (top + height)]
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.pad, inpt, **params, fill=fill_for(self._fill, type(inpt)))


def single(number: float) -> Any:
    """A number in single precision: what comes of a drawn tensor's arithmetic."""
    return np.float32(number)


def between(range_: Sequence[float]) -> Any:
    """A number drawn evenly from a range, in single precision."""
    low, high = range_
    return single(low) + single(random()) * single(high - low)


class RandomCrop(Transform):
    """A part of the given size at a random place, after adding a border if one is given.

    Raises: ValueError if the image is smaller than the part.
    """

    _v1_transform_cls = first_api.RandomCrop

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = setup_size(size)
        if padding is not None:
            check_padding(padding)
        if pad_if_needed or padding is not None:
            check_padding_mode(padding_mode)
        # left, right, top, bottom: the order that this attribute has in torchvision
        self.padding = [border(padding)[k] for k in (0, 2, 1, 3)] if padding else None
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self._fill = fills(fill)
        self.padding_mode = padding_mode

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        left, right, top, bottom = self.padding or (0, 0, 0, 0)
        crop_height, crop_width = self.size
        if self.pad_if_needed:
            more_y = max(crop_height - (height + top + bottom), 0)
            more_x = max(crop_width - (width + left + right), 0)
            left, right, top, bottom = left + more_x, right + more_x, top + more_y, bottom + more_y
        height, width = height + top + bottom, width + left + right
        if height < crop_height or width < crop_width:
            padded = "padded " if self.padding is not None else ""
            raise ValueError(
                f"Required crop size {(crop_height, crop_width)} is larger than {padded}input "
                f"image size {(height, width)}."
            )
        crop_top = randint(0, height - crop_height + 1) if height > crop_height else 0
        crop_left = randint(0, width - crop_width + 1) if width > crop_width else 0
        padding = [left, top, right, bottom]
        return {
            "needs_crop": height > crop_height or width > crop_width,
            "top": crop_top,
            "left": crop_left,
            "height": crop_height,
            "width": crop_width,
            "needs_pad": any(padding),
            "padding": padding,
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["needs_pad"]:
            fill = fill_for(self._fill, type(inpt))
            inpt = self._call_kernel(
                F.pad, inpt, padding=params["padding"], fill=fill, padding_mode=self.padding_mode
            )
        if params["needs_crop"]:
            place = {name: params[name] for name in ("top", "left", "height", "width")}
            inpt = self._call_kernel(F.crop, inpt, **place)
        return inpt


class _Resizing(Transform):
    """Base of transforms that draw a size."""

    interpolation: Any
    antialias: bool | None

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.resize,
            inpt,
            size=params["size"],
            interpolation=self.interpolation,
            antialias=self.antialias,
        )


class ScaleJitter(_Resizing):
    """Resize to fit `target_size`, times a random factor.

    Source: Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation (Ghiasi
    et al. 2020).
    """

    def __init__(
        self,
        target_size: tuple[int, int],
        scale_range: tuple[float, float] = (0.1, 2.0),
        interpolation: Any = "bilinear",
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.target_size = target_size
        self.scale_range = scale_range
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        factor = between(self.scale_range)
        fit = min(self.target_size[1] / height, self.target_size[0] / width)
        ratio = single(fit) * factor
        return {"size": (int(single(height) * ratio), int(single(width) * ratio))}


class RandomShortestSize(_Resizing):
    """Resize the shorter edge to one of `min_size`, the longer one to `max_size` at most."""

    def __init__(
        self,
        min_size: Any,
        max_size: int | None = None,
        interpolation: Any = "bilinear",
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.min_size = [min_size] if isinstance(min_size, int) else list(min_size)
        self.max_size = max_size
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        ratio = self.min_size[randint(0, len(self.min_size))] / min(height, width)
        if self.max_size is not None:
            ratio = min(ratio, self.max_size / max(height, width))
        return {"size": (int(height * ratio), int(width * ratio))}


class RandomResize(_Resizing):
    """Resize the shorter edge to a number drawn from range(min_size, max_size)."""

    def __init__(
        self,
        min_size: int,
        max_size: int,
        interpolation: Any = "bilinear",
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.min_size = min_size
        self.max_size = max_size
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"size": [randint(self.min_size, self.max_size)]}
