"""Random rotations, affine and projective maps, elastic deformations, crops that keep boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL.Image import Image as PILImage

from ...._tensor.tensor import Tensor
from ... import transforms as first_api, tv_tensors
from ..._tensors import array_of, randint, random, tensor_of, uniform
from .. import _resample
from .._elastic import random_displacement
from .._random_geometry import _angle_range
from . import functional as F
from ._geometry import single
from ._transform import RandomlyApplied, Transform
from ._utils import (
    check_sequence,
    fill_for,
    fills,
    get_bounding_boxes,
    has_all,
    has_any,
    is_pure_tensor,
    query_size,
    two_numbers,
)
from .functional._boxes import convert


class RandomRotation(Transform):
    """Turn by an angle drawn from `degrees`: a range, or x for [-x, x]."""

    _v1_transform_cls = first_api.RandomRotation

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = "nearest",
        expand: bool = False,
        center: list[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = _angle_range(degrees, "degrees")
        self.interpolation = interpolation
        self.expand = expand
        self.fill = fill
        self._fill = fills(fill)
        if center is not None:
            check_sequence(center, "center", (2,))
        self.center = center

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"angle": uniform(self.degrees[0], self.degrees[1])}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.rotate,
            inpt,
            **params,
            interpolation=self.interpolation,
            expand=self.expand,
            center=self.center,
            fill=fill_for(self._fill, type(inpt)),
        )


class RandomAffine(Transform):
    """Turn, move, scale and shear by random amounts.

    Args:
        degrees: range of the angle, or x for [-x, x].
        translate: largest moves, as shares of the width and height.
        scale: range of the factor.
        shear: range of the angle along x, or four numbers for x and y.
    """

    _v1_transform_cls = first_api.RandomAffine

    def __init__(
        self,
        degrees: Any,
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: Any = None,
        interpolation: Any = "nearest",
        fill: Any = 0,
        center: list[float] | None = None,
    ) -> None:
        super().__init__()
        self.degrees = _angle_range(degrees, "degrees")
        if translate is not None:
            check_sequence(translate, "translate", (2,))
            if not all(0.0 <= t <= 1.0 for t in translate):
                raise ValueError("translation values should be between 0 and 1")
        self.translate = translate
        if scale is not None:
            check_sequence(scale, "scale", (2,))
            if any(s <= 0 for s in scale):
                raise ValueError("scale values should be positive")
        self.scale = scale
        self.shear = None if shear is None else _angle_range(shear, "shear", (2, 4))
        self.interpolation = interpolation
        self.fill = fill
        self._fill = fills(fill)
        if center is not None:
            check_sequence(center, "center", (2,))
        self.center = center

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        angle, translate, scale, shear = first_api.RandomAffine.get_params(
            self.degrees, self.translate, self.scale, self.shear, [width, height]
        )
        return {"angle": angle, "translate": translate, "scale": scale, "shear": shear}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.affine,
            inpt,
            **params,
            interpolation=self.interpolation,
            fill=fill_for(self._fill, type(inpt)),
            center=self.center,
        )


class RandomPerspective(RandomlyApplied):
    """Look at the image from an angle, with probability p."""

    _v1_transform_cls = first_api.RandomPerspective

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = "bilinear",
        fill: Any = 0,
    ) -> None:
        super().__init__(p=p)
        if not 0 <= distortion_scale <= 1:
            raise ValueError("Argument distortion_scale value should be between 0 and 1")
        self.distortion_scale = distortion_scale
        self.interpolation = interpolation
        self.fill = fill
        self._fill = fills(fill)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        points = first_api.RandomPerspective.get_params(width, height, self.distortion_scale)
        return {"coefficients": _resample.perspective_coefficients(*points)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.perspective,
            inpt,
            startpoints=None,
            endpoints=None,
            fill=fill_for(self._fill, type(inpt)),
            interpolation=self.interpolation,
            **params,
        )


class ElasticTransform(Transform):
    """Deform by smooth noise, as if seen through moving water.

    Args:
        alpha: strength of the displacement, in pixels, or (x, y).
        sigma: smoothness, in pixels, or (x, y).
    """

    _v1_transform_cls = first_api.ElasticTransform

    def __init__(
        self,
        alpha: Any = 50.0,
        sigma: Any = 5.0,
        interpolation: Any = "bilinear",
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha = two_numbers(alpha, "alpha")
        self.sigma = two_numbers(sigma, "sigma")
        self.interpolation = interpolation
        self.fill = fill
        self._fill = fills(fill)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        size = query_size(flat_inputs)
        return {"displacement": random_displacement(self.alpha, self.sigma, size, F.gaussian_blur)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.elastic,
            inpt,
            **params,
            fill=fill_for(self._fill, type(inpt)),
            interpolation=self.interpolation,
        )


class RandomIoUCrop(Transform):
    """Crop so that some box overlaps enough with the part; boxes whose middle is lost become empty.

    Args:
        min_scale, max_scale: range of the part's sides, as shares of the image's.
        min_aspect_ratio, max_aspect_ratio: range of its width / height.
        sampler_options: overlaps to draw from; from 1.0 on the sample stays as it is.
        trials: tries before another overlap is drawn.
    Raises: TypeError for samples without an image or without boxes.
    Source: SSD: Single Shot MultiBox Detector (Liu et al. 2016).
    """

    def __init__(
        self,
        min_scale: float = 0.3,
        max_scale: float = 1.0,
        min_aspect_ratio: float = 0.5,
        max_aspect_ratio: float = 2.0,
        sampler_options: list[float] | None = None,
        trials: int = 40,
    ) -> None:
        super().__init__()
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.min_aspect_ratio = min_aspect_ratio
        self.max_aspect_ratio = max_aspect_ratio
        default = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
        self.options = default if sampler_options is None else sampler_options
        self.trials = trials

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        images = (PILImage, tv_tensors.Image, is_pure_tensor)
        if not (has_all(flat_inputs, tv_tensors.BoundingBoxes) and has_any(flat_inputs, *images)):
            raise TypeError(
                f"{type(self).__name__}() requires input sample to contain tensor or PIL images "
                "and bounding boxes. Sample can also contain masks."
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = query_size(flat_inputs)
        given = get_bounding_boxes(flat_inputs)
        corners = tv_tensors.BoundingBoxFormat.XYXY
        boxes = convert(array_of(given.as_subclass(Tensor)), given.format, corners)
        while True:
            wanted = self.options[randint(0, len(self.options))]
            if wanted >= 1.0:
                return {}
            for _ in range(self.trials):
                place = self._draw(height, width)
                if place is None:
                    continue
                inside = _centred_in(boxes, place)
                if inside.any() and _overlap(boxes[inside], place).max() >= wanted:
                    top, left, bottom, right = place
                    return {
                        "top": top,
                        "left": left,
                        "height": bottom - top,
                        "width": right - left,
                        "is_within_crop_area": tensor_of(inside),
                    }

    def _draw(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """Top, left, bottom and right of a part, or None if its shape will not do."""
        across, along = (
            single(self.min_scale) + single(self.max_scale - self.min_scale) * single(random())
            for _ in range(2)
        )
        new_width, new_height = int(single(width) * across), int(single(height) * along)
        aspect = new_width / new_height
        if not self.min_aspect_ratio <= aspect <= self.max_aspect_ratio:
            return None
        left = int(single(width - new_width) * single(random()))
        top = int(single(height - new_height) * single(random()))
        if new_width == 0 or new_height == 0:
            return None
        return top, left, top + new_height, left + new_width

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not params:
            return inpt
        place = {name: params[name] for name in ("top", "left", "height", "width")}
        output = self._call_kernel(F.crop, inpt, **place)
        if isinstance(output, tv_tensors.BoundingBoxes):
            kept = array_of(params["is_within_crop_area"])[:, None]
            numbers = array_of(output.as_subclass(Tensor))
            emptied = tensor_of(np.where(kept, numbers, numbers.dtype.type(0)), like=output)
            output = tv_tensors.wrap(emptied, like=output)
        return output


def _centred_in(boxes: np.ndarray, place: tuple[int, int, int, int]) -> np.ndarray:
    top, left, bottom, right = place
    half = 0.5 if boxes.dtype.kind in "iu" else boxes.dtype.type(0.5)
    x, y = half * (boxes[:, 0] + boxes[:, 2]), half * (boxes[:, 1] + boxes[:, 3])
    return (left < x) & (x < right) & (top < y) & (y < bottom)


def _overlap(boxes: np.ndarray, place: tuple[int, int, int, int]) -> np.ndarray:
    """Intersection over union of boxes with one part."""
    top, left, bottom, right = place
    work = boxes if boxes.dtype.kind not in "iu" else boxes.astype(np.float32)
    part = np.array([left, top, right, bottom], work.dtype)
    sides = np.minimum(work[:, 2:], part[2:]) - np.maximum(work[:, :2], part[:2])
    common = np.clip(sides, 0, None).prod(1)
    areas = (work[:, 2:] - work[:, :2]).prod(1)
    return common / (areas + (part[2:] - part[:2]).prod() - common)
