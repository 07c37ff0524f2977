"""1 - distance IoU.

Source: Zheng et al., "Distance-IoU Loss" (2019).
"""

from __future__ import annotations

from typing import Any

from . import _losses
from ._utils import reduced


def distance_box_iou_loss(
    boxes1: Any, boxes2: Any, reduction: str = "none", eps: float = 1e-7
) -> Any:
    """1 - IoU + (distance of the centres / enclosing diagonal)^2, for pairs of boxes (N, 4)."""
    boxes1, boxes2 = _losses.prepared(boxes1, boxes2)
    return reduced(_losses.distance(boxes1, boxes2, eps)[0], reduction)
