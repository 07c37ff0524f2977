"""1 - generalized IoU.

Source: Rezatofighi et al., "Generalized Intersection over Union" (2019).
"""

from __future__ import annotations

from typing import Any

from . import _losses
from ._utils import reduced


def generalized_box_iou_loss(
    boxes1: Any, boxes2: Any, reduction: str = "none", eps: float = 1e-7
) -> Any:
    """1 - IoU + (enclosing - union) / enclosing, for pairs of boxes (N, 4) of corners."""
    boxes1, boxes2 = _losses.prepared(boxes1, boxes2)
    inter, union = _losses.inter_union(boxes1, boxes2)
    around = _losses.enclosing(boxes1, boxes2).prod(-1)
    loss = 1 - inter / (union + eps) + (around - union) / (around + eps)
    return reduced(loss, reduction)
