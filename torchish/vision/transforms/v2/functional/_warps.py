"""Affine maps, rotations and projective maps of images, masks, boxes and points."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....._tensor.tensor import Tensor
from ...._tensors import apply
from ....tv_tensors import BoundingBoxes, BoundingBoxFormat, Image, KeyPoints
from ....tv_tensors._kinds import is_rotated_bounding_format
from ... import _resample
from ..._geometry import parse_fill
from ..._modes import PIL_NUMBERS, InterpolationMode
from . import _boxes, _grids
from ._interpolation import check_interpolation
from ._meta import on_array
from ._utils import functional, kernel, mask_kernel, pil_kernel, video_kernel

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR
Points = Callable[[np.ndarray], np.ndarray]


# -- what all of them do to boxes and points -------------------------------------------------------


def moved_boxes(
    boxes: Tensor,
    format: BoundingBoxFormat,
    canvas_size: tuple[int, int],
    mode: str | None,
    move: Points,
    whole: bool = False,
) -> Tensor:
    """Boxes around their moved corners, clamped to the canvas.

    `whole` takes the corners of boxes of integers as integers.
    """
    rotated = is_rotated_bounding_format(format)
    common = BoundingBoxFormat.XYXYXYXY if rotated else BoundingBoxFormat.XYXY

    def around(array: np.ndarray) -> np.ndarray:
        work = array if _boxes.is_float(array) else array.astype(np.float32)
        corners = _boxes.convert(array if whole else work, format, common).astype(work.dtype)
        corners = corners.reshape(-1, 8 if rotated else 4)
        if not rotated:
            corners = corners[:, [0, 1, 2, 1, 2, 3, 0, 3]]
        moved = move(corners.reshape(-1, 2)).astype(work.dtype).reshape(-1, 8)
        if rotated:
            made = _boxes.upright(moved)
        else:
            places = moved.reshape(-1, 4, 2)
            made = np.concatenate([places.min(1), places.max(1)], 1)
        inside = _boxes.clamp(made, common, canvas_size, mode)
        return _boxes.convert(inside, common, format).reshape(array.shape)

    return on_array(boxes, around)


def moved_points(points: Tensor, move: Points) -> Tensor:
    """Points (..., 2) after `move` of (N, 2) floats."""

    def moved(array: np.ndarray) -> np.ndarray:
        work = array if _boxes.is_float(array) else array.astype(np.float32)
        return move(work.reshape(-1, 2)).reshape(array.shape)

    return on_array(points, moved)


def _affine_arguments(
    angle: Any, translate: Any, scale: float, shear: Any, center: Any
) -> tuple[float, list[float], list[float], list[float] | None]:
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
    both: Any = [shear, 0.0] if isinstance(shear, numbers.Number) else list(shear)  # type: ignore[arg-type]
    if len(both) == 1:
        both = both * 2
    if len(both) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {both}")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    middle = None if center is None else [float(c) for c in center]
    return float(angle), [float(t) for t in translate], both, middle


class _AffineMap:
    """An affine map of a canvas, for points; with `expand`, onto a canvas that holds all of it."""

    def __init__(
        self,
        canvas_size: Sequence[int],
        angle: Any,
        translate: Any,
        scale: float,
        shear: Any,
        center: Any,
        expand: bool = False,
    ) -> None:
        angle, translate, shear, center = _affine_arguments(angle, translate, scale, shear, center)
        height, width = canvas_size
        middle = [width * 0.5, height * 0.5] if center is None else center
        forward = _grids.affine_matrix(middle, angle, translate, scale, shear, inverted=False)
        self.matrix = np.array(forward).reshape(2, 3)
        self.canvas_size = (height, width)
        self.corners: np.ndarray | None = None
        if expand:
            back = _grids.affine_matrix(middle, angle, translate, scale, shear)
            new_width, new_height = _resample.turned_size(back, width, height)
            self.canvas_size = (new_height, new_width)
            self.corners = np.array([[0, 0], [0, height], [width, height], [width, 0]])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        moved = self._moved(points)
        if self.corners is not None:
            moved = moved - self._moved(self.corners.astype(points.dtype)).min(0)
        return moved

    def _moved(self, points: np.ndarray) -> np.ndarray:
        across, down = self.matrix.astype(points.dtype)
        x, y = points[:, 0], points[:, 1]
        moved = [x * row[0] + y * row[1] + row[2] for row in (across, down)]
        return np.stack(moved, 1)


# -- affine ----------------------------------------------------------------------------------------


@functional
def affine(
    inpt: Any,
    angle: float,
    translate: list[float],
    scale: float,
    shear: list[float],
    interpolation: Any = NEAREST,
    fill: Any = None,
    center: list[float] | None = None,
) -> Any:
    """Turn clockwise, move, scale and shear, keeping the size; angles are degrees."""


@kernel(affine, Tensor, Image)
def affine_image(
    image: Tensor,
    angle: float,
    translate: list[float],
    scale: float,
    shear: list[float],
    interpolation: Any = NEAREST,
    fill: Any = None,
    center: list[float] | None = None,
) -> Tensor:
    """`affine` for images."""
    mode = check_interpolation(interpolation).value
    angle, translate, shear, center = _affine_arguments(angle, translate, scale, shear, center)
    size = image.shape[-2:]
    middle = _from_middle(center, size)
    matrix = _grids.affine_matrix(middle, angle, translate, scale, shear)
    _grids.check_warp(image, mode, fill)
    grid = _grids.affine_grid(matrix, size, size, _grids.grid_dtype(image))
    return _grids.warp(image, grid, mode, fill)


def _from_middle(center: Sequence[float] | None, size: Sequence[int]) -> list[float]:
    return [0.0, 0.0] if center is None else [center[0] - size[1] * 0.5, center[1] - size[0] * 0.5]


@pil_kernel(affine)
def _affine_pil(
    image: Any,
    angle: float,
    translate: list[float],
    scale: float,
    shear: list[float],
    interpolation: Any = NEAREST,
    fill: Any = None,
    center: list[float] | None = None,
) -> Any:
    from PIL import Image as pil

    mode = check_interpolation(interpolation)
    arguments: Any = _affine_arguments(angle, translate, scale, shear, center)
    degrees, moves, shears, middle = arguments
    if middle is None:
        middle = [image.width * 0.5, image.height * 0.5]
    matrix = _grids.affine_matrix(middle, degrees, moves, scale, shears)
    number, outside = PIL_NUMBERS[mode], parse_fill(fill, image)
    return image.transform(image.size, pil.Transform.AFFINE, matrix, number, **outside)


@kernel(affine, KeyPoints)
def affine_keypoints(
    keypoints: Tensor,
    canvas_size: tuple[int, int],
    angle: float,
    translate: list[float],
    scale: float,
    shear: list[float],
    center: list[float] | None = None,
) -> tuple[Tensor, tuple[int, int]]:
    """`affine` for points, and their canvas."""
    move = _AffineMap(canvas_size, angle, translate, scale, shear, center)
    return moved_points(keypoints, move), canvas_size


@kernel(affine, BoundingBoxes)
def affine_bounding_boxes(
    bounding_boxes: Tensor,
    format: BoundingBoxFormat,
    canvas_size: tuple[int, int],
    angle: float,
    translate: list[float],
    scale: float,
    shear: list[float],
    center: list[float] | None = None,
    clamping_mode: str | None = "soft",
) -> Tensor:
    """`affine` for boxes."""
    if bounding_boxes.numel() == 0:
        return bounding_boxes
    move = _AffineMap(canvas_size, angle, translate, scale, shear, center)
    return moved_boxes(bounding_boxes, format, canvas_size, clamping_mode, move)


# -- rotations -------------------------------------------------------------------------------------


@functional
def rotate(
    inpt: Any,
    angle: float,
    interpolation: Any = NEAREST,
    expand: bool = False,
    center: list[float] | None = None,
    fill: Any = None,
) -> Any:
    """Turn counter-clockwise by `angle` degrees about `center` (default: the middle)."""


@kernel(rotate, Tensor, Image)
def rotate_image(
    image: Tensor,
    angle: float,
    interpolation: Any = NEAREST,
    expand: bool = False,
    center: list[float] | None = None,
    fill: Any = None,
) -> Tensor:
    """`rotate` for images; quarter turns move pixels exactly where they fit."""
    angle = angle % 360
    size = image.shape[-2:]
    quarters = angle / 90
    if center is None and quarters in (0, 1, 2, 3):
        turns = int(quarters)
        if turns % 2 == 0 or expand or size[0] == size[1]:
            return apply(
                image,
                lambda a: np.rot90(a, turns, (-2, -1)),
                lambda t: t.rot90(turns, (-2, -1)),
            )
    mode = check_interpolation(interpolation).value
    matrix = _grids.affine_matrix(_from_middle(center, size), -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    _grids.check_warp(image, mode, fill)
    out: Any = size
    if expand:
        width, height = _resample.turned_size(matrix, size[1], size[0])
        out = (height, width)
    grid = _grids.affine_grid(matrix, size, out, _grids.grid_dtype(image))
    return _grids.warp(image, grid, mode, fill)


@pil_kernel(rotate)
def _rotate_pil(
    image: Any,
    angle: float,
    interpolation: Any = NEAREST,
    expand: bool = False,
    center: list[float] | None = None,
    fill: Any = None,
) -> Any:
    mode = check_interpolation(interpolation)
    outside = parse_fill(fill, image)
    return image.rotate(angle, PIL_NUMBERS[mode], expand, center, **outside)


@kernel(rotate, KeyPoints)
def rotate_keypoints(
    keypoints: Tensor,
    canvas_size: tuple[int, int],
    angle: float,
    expand: bool = False,
    center: list[float] | None = None,
) -> tuple[Tensor, tuple[int, int]]:
    """`rotate` for points, and their new canvas."""
    if keypoints.numel() == 0:
        return keypoints, canvas_size
    move = _AffineMap(canvas_size, -angle, [0.0, 0.0], 1.0, [0.0, 0.0], center, expand)
    return moved_points(keypoints, move), move.canvas_size


@kernel(rotate, BoundingBoxes)
def rotate_bounding_boxes(
    bounding_boxes: Tensor,
    format: BoundingBoxFormat,
    canvas_size: tuple[int, int],
    angle: float,
    expand: bool = False,
    center: list[float] | None = None,
    clamping_mode: str | None = "soft",
) -> tuple[Tensor, tuple[int, int]]:
    """`rotate` for boxes, and their new canvas."""
    if bounding_boxes.numel() == 0:
        return bounding_boxes, canvas_size
    move = _AffineMap(canvas_size, -angle, [0.0, 0.0], 1.0, [0.0, 0.0], center, expand)
    made = moved_boxes(bounding_boxes, format, move.canvas_size, clamping_mode, move)
    return made, move.canvas_size


# -- projective maps -------------------------------------------------------------------------------


@functional
def perspective(
    inpt: Any,
    startpoints: list[list[int]] | None,
    endpoints: list[list[int]] | None,
    interpolation: Any = BILINEAR,
    fill: Any = None,
    coefficients: list[float] | None = None,
) -> Any:
    """The projective map that takes four points [x, y] to four others, or one by its numbers."""


def _coefficients(startpoints: Any, endpoints: Any, coefficients: Any) -> Any:
    if coefficients is not None:
        if startpoints is not None and endpoints is not None:
            raise ValueError(
                "The startpoints/endpoints and the coefficients shouldn't be defined concurrently."
            )
        if len(coefficients) != 8:
            raise ValueError("Argument coefficients should have 8 float values")
        return coefficients
    if startpoints is None or endpoints is None:
        raise ValueError(
            "Either the startpoints/endpoints or the coefficients must have non `None` values."
        )
    return _resample.perspective_coefficients(startpoints, endpoints)


@kernel(perspective, Tensor, Image)
def perspective_image(
    image: Tensor,
    startpoints: list[list[int]] | None,
    endpoints: list[list[int]] | None,
    interpolation: Any = BILINEAR,
    fill: Any = None,
    coefficients: list[float] | None = None,
) -> Tensor:
    """`perspective` for images."""
    known = _coefficients(startpoints, endpoints, coefficients)
    mode = check_interpolation(interpolation).value
    _grids.check_warp(image, mode, fill)
    grid = _grids.perspective_grid(known, image.shape[-2:], _grids.grid_dtype(image))
    return _grids.warp(image, grid, mode, fill)


@pil_kernel(perspective)
def _perspective_pil(
    image: Any,
    startpoints: list[list[int]] | None,
    endpoints: list[list[int]] | None,
    interpolation: Any = BILINEAR,
    fill: Any = None,
    coefficients: list[float] | None = None,
) -> Any:
    from PIL import Image as pil

    known = _coefficients(startpoints, endpoints, coefficients)
    number = PIL_NUMBERS[check_interpolation(interpolation)]
    outside = parse_fill(fill, image)
    return image.transform(image.size, pil.Transform.PERSPECTIVE, known, number, **outside)


def _projection(coefficients: Sequence[float], what: str) -> Points:
    """The inverse of the map from output to input, for points (N, 2)."""
    a, b, c, d, e, f, g, h = coefficients
    determinant = a * e - b * d
    if determinant == 0:
        raise RuntimeError(
            f"Provided perspective_coeffs {coefficients} can not be inverted to transform {what}. "
            f"Denominator is zero, denom={determinant}"
        )
    top = [[e - f * h, c * h - b, b * f - c * e], [f * g - d, a - c * g, c * d - a * f]]
    below = [d * h - e * g, b * g - a * h]

    def move(points: np.ndarray) -> np.ndarray:
        dtype = points.dtype
        matrix = (np.array(top) / determinant).astype(dtype)
        depth = points @ (np.array(below) / determinant).astype(dtype) + dtype.type(1)
        return (points @ matrix[:, :2].T + matrix[:, 2]) / depth[:, None]

    return move


@kernel(perspective, KeyPoints)
def perspective_keypoints(
    keypoints: Tensor,
    canvas_size: tuple[int, int],
    startpoints: list[list[int]] | None,
    endpoints: list[list[int]] | None,
    coefficients: list[float] | None = None,
) -> Tensor:
    """`perspective` for points."""
    if keypoints.numel() == 0:
        return keypoints
    known = _coefficients(startpoints, endpoints, coefficients)
    return moved_points(keypoints, _projection(known, "keypoints"))


@kernel(perspective, BoundingBoxes)
def perspective_bounding_boxes(
    bounding_boxes: Tensor,
    format: BoundingBoxFormat,
    canvas_size: tuple[int, int],
    startpoints: list[list[int]] | None,
    endpoints: list[list[int]] | None,
    coefficients: list[float] | None = None,
    clamping_mode: str | None = "soft",
) -> Tensor:
    """`perspective` for boxes."""
    if bounding_boxes.numel() == 0:
        return bounding_boxes
    known = _coefficients(startpoints, endpoints, coefficients)
    move = _projection(known, "bounding boxes")
    return moved_boxes(bounding_boxes, format, canvas_size, clamping_mode, move, whole=True)


affine_video = video_kernel(affine, affine_image)
affine_mask = mask_kernel(affine, affine_image, interpolation=NEAREST)
rotate_video = video_kernel(rotate, rotate_image)
rotate_mask = mask_kernel(rotate, rotate_image, interpolation=NEAREST)
perspective_video = video_kernel(perspective, perspective_image)
perspective_mask = mask_kernel(perspective, perspective_image, interpolation=NEAREST)
