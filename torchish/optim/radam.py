"""Rectified Adam."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import (
    RuleOptimizer,
    check_betas,
    check_lr,
    check_not_negative,
)
from ._rules import Coefficient, decayed, mixed, mixed_squares, moved, packed, widened

__all__ = ["RAdam"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def radam_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    exp_avg: Tensors,
    exp_avg_sq: Tensors,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    decoupled: bool,
    maximize: bool,
) -> Any:
    """Adam with a rectified adaptive rate, plain momentum while that is undefined."""
    old = (params, exp_avg, exp_avg_sq)
    params, grads, mean, square = widened(params, grads, *old[1:])
    params, grads = decayed(
        params, grads, lr, weight_decay, decays=decays, decoupled=decoupled, maximize=maximize
    )
    mean = mixed(mean, grads, Coefficient(beta1))
    square = mixed_squares(square, grads, Coefficient(beta2))
    first, second = 1 - beta1**count, 1 - beta2**count
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * count * beta2**count / second
    tractable = rho > 5.0
    # the unused branch must stay finite
    safe = jnp.where(tractable, rho, 6.0)
    ratio = (safe - 4) * (safe - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * safe)
    factor, epsilon = Coefficient(jnp.sqrt(ratio * second)), Coefficient(eps)
    updates = [
        m / Coefficient(first) * jnp.where(tractable, factor / (jnp.sqrt(v) + epsilon), 1)
        for m, v in zip(mean, square, strict=True)
    ]
    return packed([moved(params, updates, lr), mean, square], old)


class RAdam(RuleOptimizer):
    """Adam with `p -= lr r l m / (1 - b1^t)`, or `p -= lr m / (1 - b1^t)` in the first steps.

    `l = sqrt(1 - b2^t) / (sqrt(v) + eps)`;
    `r^2 = (n - 4) (n - 2) N / ((N - 4) (N - 2) n)` with `N = 2 / (1 - b2) - 1` and
    `n = N - 2 t b2^t / (1 - b2^t)`, used where `n > 5`.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        betas: `(b1, b2)`.
        eps: added to the root.
        weight_decay: `g += weight_decay p`.
        decoupled_weight_decay: `p *= 1 - lr weight_decay` instead.
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
        decoupled = group["decoupled_weight_decay"]
        return self._moments(internal.radam_step, group, numbers, *lists, decoupled=decoupled)
