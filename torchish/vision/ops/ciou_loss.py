"""1 - complete IoU.

Source: Zheng et al., "Distance-IoU Loss" (2019).
"""

from __future__ import annotations

import math
from typing import Any

import torchish

from . import _losses
from ._utils import reduced


def complete_box_iou_loss(
    boxes1: Any, boxes2: Any, reduction: str = "none", eps: float = 1e-7
) -> Any:
    """The distance IoU loss + alpha v, where v compares the proportions of a pair (N, 4).

    v = 4 / pi^2 (atan(w1 / h1) - atan(w2 / h2))^2,  alpha = v / (1 - IoU + v + eps)
    """
    boxes1, boxes2 = _losses.prepared(boxes1, boxes2)
    loss, iou = _losses.distance(boxes1, boxes2, 1e-7)
    angle1, angle2 = (
        torchish.atan((b[..., 2] - b[..., 0]) / (b[..., 3] - b[..., 1])) for b in (boxes1, boxes2)
    )
    v = (4 / math.pi**2) * (angle2 - angle1) ** 2
    with torchish.no_grad():
        alpha = v / (1 - iou + v + eps)
    return reduced(loss + alpha * v, reduction)
