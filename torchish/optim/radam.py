"""Rectified Adam."""

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

__all__ = ["RAdam"]


class RAdam(RuleOptimizer):
    """Adam with ``p -= lr r l m / (1 - b1^t)``, or ``p -= lr m / (1 - b1^t)`` in the first steps.

    ``l = sqrt(1 - b2^t) / (sqrt(v) + eps)``;
    ``r^2 = (n - 4) (n - 2) N / ((N - 4) (N - 2) n)`` with ``N = 2 / (1 - b2) - 1`` and
    ``n = N - 2 t b2^t / (1 - b2^t)``, used where ``n > 5``.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        betas: ``(b1, b2)``.
        eps: added to the root.
        weight_decay: ``g += weight_decay p``.
        decoupled_weight_decay: ``p *= 1 - lr weight_decay`` instead.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one program.

    Source: Liu et al., 2019.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        beta1, beta2 = group["betas"]
        made = run(
            internal.radam_step,
            count_of(numbers),
            *lists,
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            decoupled=group["decoupled_weight_decay"],
            **options_of(group),
        )
        return made, {"step": numbers["step"] + 1}
