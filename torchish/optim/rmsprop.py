"""RMSprop."""

from __future__ import annotations

from typing import Any

from torchish._core.values import Value
from torchish._ops.registry import internal
from torchish._tensor.tensor import Tensor

from ._rule import RuleOptimizer, check_lr, check_not_negative, count_of, options_of, run

__all__ = ["RMSprop"]


class RMSprop(RuleOptimizer):
    """``v = alpha v + (1 - alpha) g^2``, ``p -= lr g / (sqrt(v) + eps)``.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        alpha: how slowly ``v`` changes.
        eps: added to the root.
        weight_decay: ``g += weight_decay p``.
        momentum: how much of the last step is kept.
        centered: subtract the square of the mean gradient from ``v``.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one program.

    Source: Hinton, 2012; centered: Graves, 2013.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if group["momentum"] > 0 else ()
        centered = ("grad_avg",) if group["centered"] else ()
        return ("square_avg", *momentum, *centered)

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        named = dict(zip(self._slots(group), lists[2:], strict=True))
        made = run(
            internal.rmsprop_step,
            count_of(numbers),
            *lists[:2],
            named["square_avg"],
            named.get("momentum_buffer", []),
            named.get("grad_avg", []),
            alpha=group["alpha"],
            eps=group["eps"],
            momentum=group["momentum"],
            **options_of(group),
        )
        return made, {"step": numbers["step"] + 1}
