"""Adamax."""

from __future__ import annotations

from typing import Any

from torchish._core.values import Value
from torchish._ops.registry import internal
from torchish._tensor.tensor import Tensor

from ._rule import (
    RuleOptimizer,
    check_betas,
    check_lr,
    check_not_negative,
    count_of,
    options_of,
    run,
)

__all__ = ["Adamax"]


class Adamax(RuleOptimizer):
    """``m = b1 m + (1 - b1) g``, ``u = max(b2 u, |g| + eps)``, ``p -= lr m / (1 - b1^t) / u``.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        betas: ``(b1, b2)``.
        eps: added to the gradient's size.
        weight_decay: ``g += weight_decay p``.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one program.

    Source: Kingma & Ba, 2014.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        beta1, beta2 = group["betas"]
        made = run(
            internal.adamax_step,
            count_of(numbers),
            *lists,
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            **options_of(group),
        )
        return made, {"step": numbers["step"] + 1}
