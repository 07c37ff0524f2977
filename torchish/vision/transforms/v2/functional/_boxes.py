"""Arrays of boxes: formats, and clamping to the canvas. Nothing here changes its argument."""

from __future__ import annotations

import numpy as np

from ....tv_tensors import BoundingBoxFormat as Format, is_rotated_bounding_format


def is_float(boxes: np.ndarray) -> bool:
    """Whether coordinates may have fractions."""
    return boxes.dtype.kind not in "biu"


def _half(numbers: np.ndarray) -> np.ndarray:
    return numbers / numbers.dtype.type(2) if is_float(numbers) else numbers // 2


def _radians(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of degrees."""
    turn = degrees * degrees.dtype.type(np.pi) / degrees.dtype.type(180)
    return np.cos(turn), np.sin(turn)


# -- formats without an angle: corners are what all of them can become ----------------------------


def _xywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[..., :2], boxes[..., 2:] + boxes[..., :2]], -1)


def _xyxy_to_xywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], -1)


def _xywh_to_cxcywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[..., :2] + _half(boxes[..., 2:]), boxes[..., 2:]], -1)


def _cxcywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    # Integers are halved exactly and both corners cut afterwards.
    work = boxes if is_float(boxes) else boxes.astype(np.float32)
    near = work[..., :2] - work[..., 2:] / work.dtype.type(2)
    return np.concatenate([near, near + work[..., 2:]], -1).astype(boxes.dtype)


def _cxcywh_to_xywh(boxes: np.ndarray) -> np.ndarray:
    if not is_float(boxes):
        return _xyxy_to_xywh(_cxcywh_to_xyxy(boxes))
    near = boxes[..., :2] - boxes[..., 2:] / boxes.dtype.type(2)
    return np.concatenate([near, boxes[..., 2:]], -1)


def _xyxy_to_cxcywh(boxes: np.ndarray) -> np.ndarray:
    extent = boxes[..., 2:] - boxes[..., :2]
    center = _half(boxes[..., :2] * boxes.dtype.type(2) + extent)
    return np.concatenate([center, extent], -1)


# -- formats with an angle: XYWHR is what all of them can become -----------------------------------


def _shifted_along(boxes: np.ndarray, sign: int) -> np.ndarray:
    """Move x, y by half the width and height along the box's own axes."""
    half = np.abs(boxes[..., 2:4] / boxes.dtype.type(-2))
    cos, sin = _radians(boxes[..., 4])
    step_x = half[..., 0] * cos + half[..., 1] * sin
    step_y = half[..., 1] * cos - half[..., 0] * sin
    moved = boxes.copy()
    moved[..., 0] += sign * step_x
    moved[..., 1] += sign * step_y
    return moved


def _xywhr_to_xyxyxyxy(boxes: np.ndarray) -> np.ndarray:
    x, y, width, height = (boxes[..., k] for k in range(4))
    cos, sin = _radians(boxes[..., 4])
    along_x, along_y = width * cos, -width * sin
    down_x, down_y = height * sin, height * cos
    corners = [
        x, y,
        x + along_x, y + along_y,
        x + (along_x + down_x), y + (along_y + down_y),
        x + down_x, y + down_y,
    ]  # fmt: skip
    return np.stack(corners, -1)


def _xyxyxyxy_to_xywhr(boxes: np.ndarray) -> np.ndarray:
    work = boxes if boxes.dtype in (np.float32, np.float64) else boxes.astype(np.float32)
    number = work.dtype.type
    first, second, third = work[..., 0:2], work[..., 2:4], work[..., 4:6]
    along, down = second - first, third - second
    angle = np.arctan2(-along[..., 1], along[..., 0]) / number(np.pi) * number(180)
    width = np.sqrt(along[..., 0] ** 2 + along[..., 1] ** 2)
    height = np.sqrt(down[..., 0] ** 2 + down[..., 1] ** 2)
    result = np.stack([first[..., 0], first[..., 1], width, height, angle], -1)
    return result.astype(boxes.dtype)


_TO_COMMON = {
    Format.XYXY: lambda b: b,
    Format.XYWH: _xywh_to_xyxy,
    Format.CXCYWH: _cxcywh_to_xyxy,
    Format.XYWHR: lambda b: b,
    Format.CXCYWHR: lambda b: _shifted_along(b, -1),
    Format.XYXYXYXY: _xyxyxyxy_to_xywhr,
}
_FROM_COMMON = {
    Format.XYXY: lambda b: b,
    Format.XYWH: _xyxy_to_xywh,
    Format.CXCYWH: _xyxy_to_cxcywh,
    Format.XYWHR: lambda b: b,
    Format.CXCYWHR: lambda b: _shifted_along(b, 1),
    Format.XYXYXYXY: _xywhr_to_xyxyxyxy,
}
# Without the way over corners, which rounds integers differently.
_DIRECT = {
    (Format.XYWH, Format.CXCYWH): _xywh_to_cxcywh,
    (Format.CXCYWH, Format.XYWH): _cxcywh_to_xywh,
}


def convert(boxes: np.ndarray, old: Format, new: Format) -> np.ndarray:
    """Boxes in another format.

    Raises: ValueError between formats with and without an angle.
    """
    if old == new:
        return boxes
    if is_rotated_bounding_format(old) != is_rotated_bounding_format(new):
        raise ValueError("Cannot convert between rotated and unrotated bounding boxes.")
    if (old, new) in _DIRECT:
        return _DIRECT[old, new](boxes)
    return _FROM_COMMON[new](_TO_COMMON[old](boxes))


def upright(points: np.ndarray) -> np.ndarray:
    """Rectangles (N, 8) around parallelograms (N, 8), on their longer side."""
    work = points if points.dtype in (np.float32, np.float64) else points.astype(np.float32)
    number = work.dtype.type
    x1, y1, x2, y2, x3, y3, x4, y4 = (work[..., k] for k in range(8))
    cx, cy = (x1 + x3) / number(2), (y1 + y3) / number(2)
    side = np.sqrt((x2 - x1) ** 2 + (y2 - y1) ** 2)
    rise = np.sqrt((x4 - x1) ** 2 + (y4 - y1) ** 2)
    angle_side = np.arctan2(y1 - y2, x2 - x1)
    angle_rise = np.arctan2(y1 - y4, x4 - x1)
    between = angle_side - angle_rise
    quarter = number(np.pi / 2)
    sign = np.where(between > quarter, number(-1), number(1))
    cos, sin = np.cos(between), np.sin(between)
    width = np.where(side < rise, side * sin, side + rise * cos * sign)
    height = np.where(side > rise, rise * sin, rise + side * cos * sign)
    angle = np.where(rise > side, angle_rise + quarter, angle_side)
    cos, sin = np.cos(angle), np.sin(angle)
    half_w, half_h = width / number(2), height / number(2)
    corners = []
    for right, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        corners.append(cx + number(right) * half_w * cos + number(down) * half_h * sin)
        corners.append(cy - number(right) * half_w * sin + number(down) * half_h * cos)
    return np.stack(corners, -1).astype(points.dtype)


# -- clamping --------------------------------------------------------------------------------------


def clamp(
    boxes: np.ndarray, format: Format, canvas_size: tuple[int, int], mode: str | None
) -> np.ndarray:
    """Boxes within the canvas; mode None leaves them as they are."""
    if mode is None:
        return boxes.copy()
    if is_rotated_bounding_format(format):
        return _clamp_rotated(boxes, format, canvas_size, mode)
    work = boxes if is_float(boxes) else boxes.astype(np.float32)
    corners = convert(work, format, Format.XYXY).copy()
    corners[..., 0::2] = np.clip(corners[..., 0::2], 0, canvas_size[1])
    corners[..., 1::2] = np.clip(corners[..., 1::2], 0, canvas_size[0])
    return convert(corners, Format.XYXY, format).astype(boxes.dtype)


def _clamp_rotated(
    boxes: np.ndarray, format: Format, canvas_size: tuple[int, int], mode: str
) -> np.ndarray:
    """Clamp against one edge, turn by a quarter, and so on for all four.

    A box is turned so that its leftmost corner comes first; the first edge is then x = 0.
    """
    shape = boxes.shape
    out = convert(boxes, format, Format.XYXYXYXY).reshape(-1, 8).copy()
    original = out.copy()
    height, width = canvas_size
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(4):
            order = _leftmost_first(out)
            out, original = (np.take_along_axis(b, order, 1) for b in (out, original))
            out = _clamp_left(out, original, (height, width), mode)
            out, original = (np.take_along_axis(b, order, 1) for b in (out, original))
            out, original = (_quarter_turn(b, width) for b in (out, original))
            height, width = width, height
    return convert(out, Format.XYXYXYXY, format).reshape(shape)


def _leftmost_first(boxes: np.ndarray) -> np.ndarray:
    """Indices (N, 8) that bring the leftmost corner to the front (the upper one of two)."""
    x, y = boxes[:, 0::2], boxes[:, 1::2]
    tall = np.abs(y).max(1, keepdims=True)
    wide = np.abs(x).max(1, keepdims=True)
    score = y / tall + x / wide * boxes.dtype.type(100)
    # A NaN counts as the smallest, as in torch.
    start = np.where(np.isnan(score).any(1), np.isnan(score).argmax(1), score.argmin(1))
    return (2 * start[:, None] + np.arange(8)) % 8


def _quarter_turn(boxes: np.ndarray, width: int) -> np.ndarray:
    turned = np.empty_like(boxes)
    turned[:, 0::2] = boxes[:, 1::2]
    turned[:, 1::2] = boxes.dtype.type(width) - boxes[:, 0::2]
    return turned


def _lines(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and intercept (N, 4) of each side."""
    x, y = boxes[:, 0::2], boxes[:, 1::2]
    slope = (np.roll(y, -1, 1) - y) / (np.roll(x, -1, 1) - x)
    return slope, y - slope * x


def _crossings(slope: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Corners (N, 8) where each side meets the one before it."""
    x = -(intercept - np.roll(intercept, 1, 1)) / (slope - np.roll(slope, 1, 1))
    return np.stack([x, slope * x + intercept], -1).reshape(-1, 8)


def _between(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(x, low), high)


def _clamp_left(
    boxes: np.ndarray, original: np.ndarray, canvas_size: tuple[int, int], mode: str
) -> np.ndarray:
    slope, _ = _lines(boxes)
    x, y = boxes[:, 0::2], boxes[:, 1::2]
    moved = _crossings(slope, _clamped_intercepts(boxes, original, canvas_size, mode))
    cut = boxes.copy()
    cut[:, [0, 6]] = np.maximum(cut[:, [0, 6]], 0)

    def level(i: int, j: int) -> np.ndarray:
        return np.isclose(y[:, i], y[:, j])

    sticks_out = (x[:, 0] < 0) & ~np.isnan(moved).any(1)
    upright_ = level(0, 1) | level(2, 3)
    gone = (x <= 0).all(1) | level(0, 3) | level(1, 2)
    gone |= upright_ & np.isclose(x[:, 0], x[:, 1])
    for where, what in ((sticks_out, moved), (upright_, cut), (gone, np.zeros_like(cut))):
        boxes = np.where(where[:, None], what, boxes)
    return boxes


def _clamped_intercepts(
    boxes: np.ndarray, original: np.ndarray, canvas_size: tuple[int, int], mode: str
) -> np.ndarray:
    """Where the sides may meet the edge x = 0, without growing the box."""
    (a1, a2, a3, a4), (b1, b2, b3, b4) = (part.T for part in _lines(boxes))
    m1, m2, m3, m4 = _lines(original)[1].T
    number = boxes.dtype.type
    height, width = (number(n) for n in canvas_size)
    first = _between(_between(b2, b1, b3), number(0), height)
    last = _between(_between(b3, b2, b4), number(0), height)
    if mode == "hard":
        first = last = (first + last) / number(2)
        reach = [
            first * a2 / a1,
            b3 * a2 / a3,
            (a1 - a2) * width + first,
            (a3 - a2) * width + b3,
        ]
        b2 = np.minimum(np.max(reach, 0), b2)
        reach = [
            height * (1 - a3 / a4) + last * a3 / a4,
            height * (1 - a3 / a2) + b2 * a3 / a2,
            (a2 - a3) * width + b2,
            (a4 - a3) * width + last,
        ]
        b3 = np.maximum(np.min(reach, 0), b3)
        first = last = _between(_between(first, m1, m3), m2, m4)
    else:
        first, last = _between(first, m1, m3), _between(last, m2, m4)
    return np.stack([first, _between(b2, m2, m4), _between(b3, m1, m3), last], 1)
