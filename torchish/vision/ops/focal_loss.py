"""The focal loss of logits.

Source: Lin et al., "Focal Loss for Dense Object Detection" (2017).
"""

from __future__ import annotations

from typing import Any

import torchish

from ...nn import functional as F
from ._utils import reduced


def sigmoid_focal_loss(
    inputs: Any,
    targets: Any,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Any:
    """-alpha_t (1 - p_t)^gamma log(p_t), with p = sigmoid(inputs).

    Args:
        targets: 0 or 1 for each logit, as floats.
        alpha: weight of the positives, in [0, 1]; -1 for no weights.
    Raises: ValueError for another alpha or reduction.
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(
            f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore."
        )
    p = torchish.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = loss * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    if reduction == "mean":  # unlike the losses of boxes, the mean of nothing is NaN here
        return loss.mean()
    return reduced(loss, reduction)
