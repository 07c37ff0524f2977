"""Adadelta."""

from __future__ import annotations

from typing import Any

from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import RuleOptimizer, check_lr, check_not_negative, count_of, options_of, run
from ._rules import Coefficient, moved, oriented, packed, widened

__all__ = ["Adadelta"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def adadelta_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    square_avg: Tensors,
    acc_delta: Tensors,
    lr: Scalar,
    rho: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """`u = sqrt(d + eps) / sqrt(v + eps) g`, running means `v` of `g^2`, `d` of `u^2`."""
    import optax

    old = (params, square_avg, acc_delta)
    params, grads, square, delta = widened(params, grads, *old[1:])
    grads = oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    rule = optax.scale_by_adadelta(rho=Coefficient(rho), eps=Coefficient(eps))
    updates, state = rule.update(grads, optax.ScaleByAdaDeltaState(e_g=square, e_x=delta))
    return packed([moved(params, updates, lr), state.e_g, state.e_x], old)


class Adadelta(RuleOptimizer):
    """`v = rho v + (1 - rho) g^2`, `u = sqrt(d + eps) / sqrt(v + eps) g`,
    `d = rho d + (1 - rho) u^2`, `p -= lr u`.

    Args:
        params: parameters or groups.
        lr: factor of the step, a number or a one-element tensor.
        rho: how slowly `v` and `d` change.
        eps: added under the roots.
        weight_decay: `g += weight_decay p`.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one program.

    Source: Zeiler, 2012.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        made = run(
            internal.adadelta_step,
            count_of(numbers),
            *lists,
            rho=group["rho"],
            eps=group["eps"],
            **options_of(group),
        )
        return made, {"step": numbers["step"] + 1}
