"""Adam."""

from __future__ import annotations

from typing import Any

from torchish._core.values import Value
from torchish._ops.registry import internal
from torchish._tensor.tensor import Tensor

from ._rule import (
    RuleOptimizer,
    check_betas,
    check_flags,
    check_lr,
    check_not_negative,
    count_of,
    options_of,
    run,
)

__all__ = ["Adam"]


class Adam(RuleOptimizer):
    """``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``,
    ``p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)``.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        betas: ``(b1, b2)``.
        eps: added to the root.
        weight_decay: ``g += weight_decay p``.
        amsgrad: use the largest ``v`` so far.
        maximize: go up instead of down.
        decoupled_weight_decay: ``p *= 1 - lr weight_decay`` instead (AdamW).
        foreach, fused, capturable: accepted; every step is one program.

    Source: Kingma & Ba, 2014.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError(
                "lr as a Tensor is not supported for capturable=False and foreach=True"
            )
        check_lr(lr)
        check_not_negative(eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        kinds = {float if isinstance(beta, float) else type(beta) for beta in betas}
        if len(kinds) != 1 or not isinstance(betas[0], (float, Tensor)):
            raise ValueError("betas must be either both floats or both Tensors")
        check_flags(fused, foreach, differentiable)
        defaults = {
            "lr": lr,
            "betas": tuple(b.item() if isinstance(b, Tensor) else b for b in betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        extra = ("max_exp_avg_sq",) if group["amsgrad"] else ()
        return ("exp_avg", "exp_avg_sq", *extra)

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        beta1, beta2 = group["betas"]
        made = run(
            internal.adam_step,
            count_of(numbers),
            *lists,
            *([] if group["amsgrad"] else [[]]),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            decoupled=group["decoupled_weight_decay"],
            **options_of(group),
        )
        return made, {"step": numbers["step"] + 1}
