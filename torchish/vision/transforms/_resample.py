"""Tensor resizing and warping on arrays, with the arithmetic of `interpolate` and `grid_sample`."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..._ops.movement.pad import check_reflection
from ._convert import round_to


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    x = np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


_FILTERS = {"bilinear": _triangle, "bicubic": lambda x: _cubic(x, -0.5), "lanczos": _lanczos}


@lru_cache(maxsize=64)
def _weights(source: int, target: int, mode: str, antialias: bool) -> np.ndarray:
    """A matrix (target, source) whose rows mix source pixels into one target pixel."""
    scale = source / target
    centers = (np.arange(target) + 0.5) * scale
    if mode in ("nearest", "nearest-exact"):
        # In single precision, as `interpolate` counts: whole numbers may fall to either side.
        half = np.float32(0.5 if mode == "nearest-exact" else 0.0)
        picks = (np.arange(target, dtype=np.float32) + half) * np.float32(scale)
        index = np.minimum(np.floor(picks).astype(np.int64), source - 1)
        return np.eye(source)[index]
    radius = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}[mode]
    if antialias:
        stretch = max(scale, 1.0)
        first = np.maximum((centers - radius * stretch + 0.5).astype(np.int64), 0)
        last = np.minimum((centers + radius * stretch + 0.5).astype(np.int64), source)
        pixels = np.arange(source)
        offsets = (pixels[None, :] - centers[:, None] + 0.5) / stretch
        rows = _FILTERS[mode](offsets)
        rows = np.where((pixels >= first[:, None]) & (pixels < last[:, None]), rows, 0.0)
        return rows / rows.sum(1, keepdims=True)
    reach = int(radius)
    rows = np.zeros((target, source))
    places = centers - 0.5
    if mode == "bilinear":
        places = np.maximum(places, 0.0)
    base = np.floor(places).astype(np.int64)
    for tap in range(1 - reach, reach + 1):
        distance = places - (base + tap)
        weight = _triangle(distance) if mode == "bilinear" else _cubic(distance, -0.75)
        column = np.clip(base + tap, 0, source - 1)  # the border is repeated
        np.add.at(rows, (np.arange(target), column), weight)
    return rows


def resize_array(array: np.ndarray, size: tuple[int, int], mode: str, antialias: bool) -> Any:
    """Resize the last two dimensions as torchvision resizes tensors."""
    height, width = size
    dtype = array.dtype
    if mode in ("nearest", "nearest-exact"):
        rows = _weights(array.shape[-2], height, mode, False).argmax(1)
        columns = _weights(array.shape[-1], width, mode, False).argmax(1)
        return array[..., rows[:, None], columns]
    work = array if dtype in (np.float32, np.float64) else array.astype(np.float32)
    down = _weights(array.shape[-2], height, mode, antialias).astype(work.dtype)
    across = _weights(array.shape[-1], width, mode, antialias).astype(work.dtype)
    result = down @ (work @ across.T)
    if mode == "bicubic" and dtype == np.uint8:
        result = np.clip(result, 0, 255)
    return round_to(result, dtype)


def resize_pixels(array: np.ndarray, size: tuple[int, int], mode: str, antialias: bool) -> Any:
    """Resize as the second API does: bytes in whole numbers, as `interpolate` has them."""
    if array.dtype != np.uint8 or mode.startswith("nearest"):
        return resize_array(array, size, mode, antialias)
    across = _in_whole_numbers(array, size[1], mode, antialias)
    down = _in_whole_numbers(across.swapaxes(-1, -2), size[0], mode, antialias)
    return np.ascontiguousarray(down.swapaxes(-1, -2))


def _in_whole_numbers(array: np.ndarray, size: int, mode: str, antialias: bool) -> np.ndarray:
    """Resize the last axis of bytes with weights of 16 bits, rounding once.

    As many bits go to the fraction as leave the largest weight below 2 ** 15.
    """
    source = array.shape[-1]
    if source == size:
        return array
    weights = _weights(source, size, mode, antialias)
    largest, bits = weights.max(), 0
    while bits < 22 and int(0.5 + largest * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    scaled = weights * (1 << bits)
    whole = np.trunc(scaled + np.where(scaled < 0, -0.5, 0.5))
    # Sums stay far below 2 ** 53: floats are exact here, and their matrix product is fast.
    sums = (array.astype(np.float64) @ whole.T).astype(np.int64)
    return np.clip((sums + (1 << (bits - 1))) >> bits, 0, 255).astype(np.uint8)


def mirrored(array: np.ndarray, x: int, y: int) -> np.ndarray:
    """With a border of x columns and y rows on each side; RuntimeError if they are too many."""
    check_reflection((1, *array.shape)[-4:], (x, x, y, y))
    return np.pad(array, [(0, 0)] * (array.ndim - 2) + [(y, y), (x, x)], mode="reflect")


def _taps(places: np.ndarray, mode: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Neighbouring pixels along one axis and their weights."""
    if mode == "nearest":
        return [(np.rint(places).astype(np.int64), np.ones_like(places))]
    base = np.floor(places)
    part = places - base
    index = base.astype(np.int64)
    if mode == "bilinear":
        return [(index, 1 - part), (index + 1, part)]
    weights = [_cubic(part - tap, -0.75).astype(places.dtype) for tap in (-1, 0, 1, 2)]
    return [(index + tap, weight) for tap, weight in zip((-1, 0, 1, 2), weights, strict=True)]


def sample_array(
    array: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    mode: str,
    fill: Any = None,
    from_fill: bool = False,
) -> np.ndarray:
    """Read images (..., C, H, W) at the pixel coordinates x and y (h, w); outside is `fill`.

    Coordinates count from the centre of the first pixel. `from_fill` mixes as the second API does,
    which rounds differently.
    """
    dtype = array.dtype
    height, width = array.shape[-2:]
    work = array.astype(x.dtype)
    result = np.zeros((*array.shape[:-2], *np.broadcast_shapes(x.shape, y.shape)), x.dtype)
    covered = np.zeros(result.shape[-2:], x.dtype)
    for row, row_weight in _taps(y, mode):
        for column, column_weight in _taps(x, mode):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = np.where(inside, row_weight * column_weight, x.dtype.type(0))
            result += work[..., row.clip(0, height - 1), column.clip(0, width - 1)] * weight
            covered += weight
    if fill is not None:
        numbers = fill if isinstance(fill, (tuple, list)) else [fill]
        if len(numbers) not in (1, array.shape[-3] if array.ndim > 2 else 1):
            raise RuntimeError(
                f"The expanded size of the tensor ({array.shape[-3]}) must match the existing size "
                f"({len(numbers)}) at non-singleton dimension 1"
            )
        color = np.array(numbers, x.dtype).reshape(-1, 1, 1)
        if mode == "nearest":
            result = np.where(covered < 0.5, color, result)
        elif from_fill:
            result = (result - color) * covered + color
        else:
            result = result * covered + (1 - covered) * color
    return round_to(result, dtype)


def inverse_affine(
    center: Any, angle: float, translate: Any, scale: float, shear: Any
) -> list[float]:
    """The six numbers that map output to input coordinates, for degrees counted clockwise.

    The forward map is T(translate) C R(angle) S(scale) Sh(shear) C^-1, with C the move to `center`.
    """
    rot = math.radians(angle)
    across, up = (math.radians(s) for s in shear)
    lean = (math.cos(rot - up), math.sin(rot - up))
    # The columns of R Sh; its determinant is 1, so that the inverse needs no division by it.
    a, c = (part / math.cos(up) for part in lean)
    b, d = (
        turned - part * math.tan(across) / math.cos(up)
        for turned, part in zip((-math.sin(rot), math.cos(rot)), lean, strict=True)
    )
    moved = [-at - by for at, by in zip(center, translate, strict=True)]
    numbers: list[float] = []
    for row, at in zip(((d, -b), (-c, a)), center, strict=True):
        x, y = (entry / scale for entry in row)
        numbers += [x, y, x * moved[0] + y * moved[1] + at]
    return numbers


def size_by_edge(height: int, width: int, size: Any, longest: int | None) -> tuple[int, int]:
    """Height and width once the shorter edge is `size[0]`; the longer one is at most `longest`."""
    short, long = min(height, width), max(height, width)
    new_short, new_long = size[0], int(size[0] * long / short)
    if longest is not None:
        if longest <= size[0]:
            raise ValueError(
                f"max_size = {longest} must be strictly greater than the requested "
                f"size for the smaller edge size = {size}"
            )
        if new_long > longest:
            new_short, new_long = int(longest * new_short / new_long), longest
    return (new_long, new_short) if width <= height else (new_short, new_long)


def turned_size(matrix: list[float], width: int, height: int) -> tuple[int, int]:
    """Width and height that hold all of an image after the affine map."""
    half_w, half_h = 0.5 * width, 0.5 * height
    corners = [(-half_w, -half_h), (-half_w, half_h), (half_w, half_h), (half_w, -half_h)]
    points = np.array([(*corner, 1.0) for corner in corners], np.float32)
    moved = points @ np.array(matrix, np.float32).reshape(2, 3).T
    middle = np.array([half_w, half_h], np.float32)
    step = np.float32(1e-4)  # a coordinate a rounding error past a pixel must not add one
    high = np.ceil(np.trunc((moved.max(0) + middle) / step) * step)
    low = np.floor(np.trunc((moved.min(0) + middle) / step) * step)
    return int(high[0] - low[0]), int(high[1] - low[1])


def _centers(count: int, start: float) -> np.ndarray:
    return np.linspace(start, start + count - 1, count, dtype=np.float32)


def affine_coordinates(
    matrix: list[float], width: int, height: int, out_width: int, out_height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Input pixel coordinates of each output pixel; the matrix turns about the image's middle."""
    x = _centers(out_width, -out_width * 0.5 + 0.5)[None, :]
    y = _centers(out_height, -out_height * 0.5 + 0.5)[:, None]
    m = np.array(matrix, np.float32)
    half_w, half_h = np.float32(0.5 * width), np.float32(0.5 * height)
    grid_x = x * (m[0] / half_w) + y * (m[1] / half_w) + m[2] / half_w
    grid_y = x * (m[3] / half_h) + y * (m[4] / half_h) + m[5] / half_h
    return pixels(grid_x, width), pixels(grid_y, height)


def perspective_coordinates(
    coefficients: list[float], width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Input pixel coordinates of each output pixel under a projective map."""
    x = _centers(width, 0.5)[None, :]
    y = _centers(height, 0.5)[:, None]
    c = np.array(coefficients, np.float32)
    half_w, half_h = np.float32(0.5 * width), np.float32(0.5 * height)
    depth = c[6] * x + c[7] * y + np.float32(1)
    grid_x = (x * (c[0] / half_w) + y * (c[1] / half_w) + c[2] / half_w) / depth - np.float32(1)
    grid_y = (x * (c[3] / half_h) + y * (c[4] / half_h) + c[5] / half_h) / depth - np.float32(1)
    return pixels(grid_x, width), pixels(grid_y, height)


def displaced_coordinates(shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Input pixel coordinates where output pixel (row, column) reads `shift` (H, W, 2) away."""
    height, width = shift.shape[:2]

    def still(size: int) -> np.ndarray:
        return np.linspace((1 - size) / size, (size - 1) / size, size).astype(shift.dtype)

    x = still(width)[None, :] + shift[..., 0]
    y = still(height)[:, None] + shift[..., 1]
    return pixels(x, width), pixels(y, height)


def pixels(grid: np.ndarray, size: int) -> np.ndarray:
    """From [-1, 1] across the image to pixel coordinates, rounded once as `grid_sample` does."""
    near = (grid + grid.dtype.type(1)).astype(np.float64)
    return (near * (size / 2) - 0.5).astype(grid.dtype)


def perspective_coefficients(startpoints: Any, endpoints: Any) -> list[float]:
    """The eight numbers of the projective map that takes the four endpoints to the startpoints."""
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solution = np.linalg.solve(np.array(rows, np.float64), np.array(startpoints, float).ravel())
    return solution.astype(np.float32).tolist()
