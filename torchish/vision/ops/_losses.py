"""Parts of the losses of boxes: pairs (..., 4) of corners, one to one."""

from __future__ import annotations

from typing import Any

import torchish

from ._utils import FLOATS


def prepared(*boxes: Any) -> list[Any]:
    """The boxes in at least single precision."""
    return [b if b.dtype in FLOATS else b.float() for b in boxes]


def area(boxes: Any) -> Any:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def inter_union(boxes1: Any, boxes2: Any) -> tuple[Any, Any]:
    """Areas of intersection and union; pairs that do not meet get no gradient of the former."""
    low = torchish.max(boxes1[..., :2], boxes2[..., :2])
    high = torchish.min(boxes1[..., 2:], boxes2[..., 2:])
    sides = high - low
    meet = (sides > 0).all(-1)
    inter = torchish.where(meet, sides[..., 0] * sides[..., 1], 0.0)
    return inter, area(boxes1) + area(boxes2) - inter


def enclosing(boxes1: Any, boxes2: Any) -> Any:
    """Sides of the smallest box around each pair."""
    high = torchish.max(boxes1[..., 2:], boxes2[..., 2:])
    return high - torchish.min(boxes1[..., :2], boxes2[..., :2])


def distance(boxes1: Any, boxes2: Any, eps: float) -> tuple[Any, Any]:
    """1 - IoU + (distance of the centres / enclosing diagonal)^2, and the IoU."""
    inter, union = inter_union(boxes1, boxes2)
    iou = inter / (union + eps)
    diagonal = (enclosing(boxes1, boxes2) ** 2).sum(-1) + eps
    centre1, centre2 = ((b[..., :2] + b[..., 2:]) / 2 for b in (boxes1, boxes2))
    return 1 - iou + ((centre1 - centre2) ** 2).sum(-1) / diagonal, iou
