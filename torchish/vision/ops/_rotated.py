"""IoU of rotated rectangles: the area of the polygon in which two rectangles meet."""

from __future__ import annotations

import numpy as np


def _corners(boxes: np.ndarray) -> np.ndarray:
    """(..., 5) of centre, size and angle in degrees to corners (..., 4, 2), in order."""
    angle = np.deg2rad(boxes[..., 4])
    cos, sin = np.cos(angle), np.sin(angle)
    half_w, half_h = boxes[..., 2] / 2, boxes[..., 3] / 2
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    dx, dy = signs[:, 0] * half_w[..., None], signs[:, 1] * half_h[..., None]
    x = boxes[..., 0, None] + dx * cos[..., None] + dy * sin[..., None]
    y = boxes[..., 1, None] - dx * sin[..., None] + dy * cos[..., None]
    return np.stack([x, y], -1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _within(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which points (P, 4, 2) lie in the rectangles (P, 4, 2), borders included."""
    origin = corners[:, None, 0]
    along, across = corners[:, None, 1] - origin, corners[:, None, 3] - origin
    at = points - origin
    u, v = (at * along).sum(-1), (at * across).sum(-1)
    uu, vv = (along * along).sum(-1), (across * across).sum(-1)
    slack_u, slack_v = 1e-9 * uu, 1e-9 * vv
    return (u >= -slack_u) & (u <= uu + slack_u) & (v >= -slack_v) & (v <= vv + slack_v)


def _crossings(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the sides meet: points (P, 16, 2) and which of them exist."""
    a, b = first[:, :, None], second[:, None]
    da = np.roll(first, -1, 1)[:, :, None] - a
    db = np.roll(second, -1, 1)[:, None] - b
    turn = _cross(da, db)
    parallel = np.abs(turn) < 1e-14
    turn = np.where(parallel, 1.0, turn)
    s, t = _cross(b - a, db) / turn, _cross(b - a, da) / turn
    real = ~parallel & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
    points = a + s[..., None] * da
    return points.reshape(len(first), 16, 2), real.reshape(len(first), 16)


def _area(points: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Area of the convex polygons whose corners are the real points (P, n, 2), in any order."""
    number = np.maximum(real.sum(1), 1)[:, None]
    middle = np.where(real[..., None], points, 0).sum(1) / number
    # Points that do not exist are moved to the first real one: they add no area.
    first = points[np.arange(len(points)), real.argmax(1)]
    points = np.where(real[..., None], points, first[:, None]) - middle[:, None]
    order = np.argsort(np.arctan2(points[..., 1], points[..., 0]), axis=1)
    points = np.take_along_axis(points, order[..., None], 1)
    area = np.abs(_cross(points, np.roll(points, -1, 1)).sum(1)) / 2
    return np.where(real.sum(1) > 2, area, 0.0)


def iou(boxes1: np.ndarray, boxes2: np.ndarray) -> np.ndarray:
    """IoU of each pair, (N, M); 0 where a box has no area."""
    n, m = len(boxes1), len(boxes2)
    first = np.repeat(boxes1.astype(np.float64), m, 0)
    second = np.tile(boxes2.astype(np.float64), (n, 1))
    shift = (first[:, :2] + second[:, :2]) / 2
    first[:, :2] -= shift
    second[:, :2] -= shift
    a, b = _corners(first), _corners(second)
    crossings, real = _crossings(a, b)
    points = np.concatenate([crossings, a, b], 1)
    inter = _area(points, np.concatenate([real, _within(a, b), _within(b, a)], 1))
    area1, area2 = first[:, 2] * first[:, 3], second[:, 2] * second[:, 3]
    union = area1 + area2 - inter
    valid = (area1 >= 1e-14) & (area2 >= 1e-14)
    return np.where(valid, inter / np.where(valid, union, 1.0), 0.0).reshape(n, m)
