"""Greedy suppression of boxes, on the host: the size of its result depends on the data."""

from __future__ import annotations

import numpy as np

_BLOCK = 64


def _overlaps(first: np.ndarray, others: np.ndarray, limit: np.float64) -> np.ndarray:
    """Whether the IoU of each pair exceeds the limit; boxes are rows x1, y1, x2, y2, area."""
    a, b = first[:, :, None], others[:, None, :]
    width = np.minimum(a[2], b[2])
    width -= np.maximum(a[0], b[0])
    np.maximum(width, 0, out=width)
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    np.maximum(height, 0, out=height)
    width *= height
    union = a[4] + b[4]
    union -= width
    with np.errstate(invalid="ignore", divide="ignore"):
        np.divide(width, union, out=width)
    return width > limit


def suppress(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Indices of the boxes that are kept, by falling score.

    Blocks of the best boxes left are compared with all boxes left; within a block the decisions
    are made one by one, as the definition asks.
    """
    falling = np.where(np.isnan(scores), -np.inf, -scores)  # NaN counts as the greatest
    left = np.argsort(falling, kind="stable")
    columns = boxes.T
    area = (columns[2] - columns[0]) * (columns[3] - columns[1])
    table = np.concatenate([columns, area[None]])[:, left]
    # The comparison is made in double precision whatever the boxes are.
    limit = np.float64(iou_threshold)
    kept = []
    while left.size:
        block = min(_BLOCK, left.size)
        overlap = _overlaps(table[:, :block], table, limit)
        dead = np.zeros(left.size, dtype=bool)
        for i in range(block):
            if not dead[i]:
                kept.append(left[i])
                dead[i + 1 :] |= overlap[i, i + 1 :]
        alive = ~dead
        alive[:block] = False
        left, table = left[alive], table[:, alive]
    return np.array(kept, dtype=np.int64)
