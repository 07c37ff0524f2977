"""Formats of boxes: each has one function to, and one from, the format that its family shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torchish

Convert = Callable[[Any], Any]


def _xywh_to_xyxy(boxes: Any) -> Any:
    x, y, w, h = boxes.unbind(-1)
    return torchish.stack((x, y, x + w, y + h), dim=-1)


def _xyxy_to_xywh(boxes: Any) -> Any:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torchish.stack((x1, y1, x2 - x1, y2 - y1), dim=-1)


def _cxcywh_to_xyxy(boxes: Any) -> Any:
    cx, cy, w, h = boxes.unbind(-1)
    return torchish.stack((cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h), dim=-1)


def _xyxy_to_cxcywh(boxes: Any) -> Any:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torchish.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)


def _turned(angle: Any) -> tuple[Any, Any]:
    radians = angle * math.pi / 180.0
    return torchish.cos(radians), torchish.sin(radians)


def _cxcywhr_to_xywhr(boxes: Any) -> Any:
    cx, cy, w, h, r = boxes.unbind(-1)
    cos, sin = _turned(r)
    x = cx - w / 2 * cos - h / 2 * sin
    y = cy - h / 2 * cos + w / 2 * sin
    return torchish.stack((x, y, w, h, r), dim=-1)


def _xywhr_to_cxcywhr(boxes: Any) -> Any:
    x, y, w, h, r = boxes.unbind(-1)
    cos, sin = _turned(r)
    cx = x + w / 2 * cos + h / 2 * sin
    cy = y - w / 2 * sin + h / 2 * cos
    return torchish.stack((cx, cy, w, h, r), dim=-1)


def _xywhr_to_xyxyxyxy(boxes: Any) -> Any:
    x, y, w, h, r = boxes.unbind(-1)
    cos, sin = _turned(r)
    x2, y2 = x + w * cos, y - w * sin
    x4, y4 = x + h * sin, y + h * cos
    return torchish.stack((x, y, x2, y2, x2 + h * sin, y2 + h * cos, x4, y4), dim=-1)


def _xyxyxyxy_to_xywhr(boxes: Any) -> Any:
    x1, y1, x2, y2, x3, y3, _, _ = boxes.unbind(-1)
    angle = torchish.atan2(y1 - y2, x2 - x1) * 180 / math.pi
    w = ((x2 - x1) ** 2 + (y1 - y2) ** 2).sqrt()
    h = ((x3 - x2) ** 2 + (y3 - y2) ** 2).sqrt()
    return torchish.stack((x1, y1, w, h, angle), dim=-1)


def _whole(function: Convert) -> Convert:
    """Whole numbers stay whole: the result is rounded to the boxes' dtype."""

    def convert(boxes: Any) -> Any:
        found = function(boxes)
        return found if boxes.is_floating_point() else found.round().to(boxes.dtype)

    return convert


# To and from the shared format: "xyxy" without an angle, "xywhr" with one.
_TO: dict[str, Convert] = {
    "xywh": _xywh_to_xyxy,
    "cxcywh": _cxcywh_to_xyxy,
    "cxcywhr": _whole(_cxcywhr_to_xywhr),
    "xyxyxyxy": _whole(_xyxyxyxy_to_xywhr),
}
_FROM: dict[str, Convert] = {
    "xywh": _xyxy_to_xywh,
    "cxcywh": _xyxy_to_cxcywh,
    "cxcywhr": _whole(_xywhr_to_cxcywhr),
    "xyxyxyxy": _whole(_xywhr_to_xyxyxyxy),
}


def convert(boxes: Any, in_fmt: str, out_fmt: str) -> Any:
    """Boxes of one format in another of the same family."""
    if in_fmt in _TO:
        boxes = _TO[in_fmt](boxes)
    return _FROM[out_fmt](boxes) if out_fmt in _FROM else boxes
