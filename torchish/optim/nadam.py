"""Adam with Nesterov momentum."""

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

__all__ = ["NAdam"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def nadam_step(
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
    grad_share: Scalar,
    mean_share: Scalar,
    decays: bool,
    decoupled: bool,
    maximize: bool,
) -> Any:
    """Adam whose step mixes `grad_share g + mean_share m` over the root of the mean square."""
    old = (params, exp_avg, exp_avg_sq)
    params, grads, mean, square = widened(params, grads, *old[1:])
    params, grads = decayed(
        params, grads, lr, weight_decay, decays=decays, decoupled=decoupled, maximize=maximize
    )
    b2, epsilon = Coefficient(beta2), Coefficient(eps)
    mean = mixed(mean, grads, Coefficient(beta1))
    square = mixed_squares(square, grads, b2)
    of_grad, of_mean = Coefficient(grad_share), Coefficient(mean_share)
    updates = [
        (of_grad * g + of_mean * m) / (jnp.sqrt(v / (1 - b2**count)) + epsilon)
        for g, m, v in zip(grads, mean, square, strict=True)
    ]
    return packed([moved(params, updates, lr), mean, square], old)


class NAdam(RuleOptimizer):
    """Adam whose mean gradient looks one step ahead.

    `mu_t = b1 (1 - 0.96^(t momentum_decay) / 2)`, `M_t = mu_1 ... mu_t`,
    `p -= lr ((1 - mu_t) / (1 - M_t) g + mu_{t+1} / (1 - M_{t+1}) m)
    / (sqrt(v / (1 - b2^t)) + eps)`.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        betas: `(b1, b2)`.
        eps: added to the root.
        weight_decay: `g += weight_decay p`.
        momentum_decay: how fast `mu` reaches `b1`.
        decoupled_weight_decay: `p *= 1 - lr weight_decay` instead.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one program.

    Source: Dozat, 2016.
    """

    _counters = {"step": 0.0, "mu_product": 1.0}  # noqa: RUF012 - never changed

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        check_not_negative(weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        beta1 = group["betas"][0]
        t = numbers["step"] + 1

        def momentum(step: float) -> float:
            return beta1 * (1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"]))

        mu, mu_next = momentum(t), momentum(t + 1)
        product = numbers["mu_product"] * mu
        made, counters = self._moments(
            internal.nadam_step, group, numbers, *lists,
            grad_share=(1.0 - mu) / (1.0 - product),
            mean_share=mu_next / (1.0 - product * mu_next),
            decoupled=group["decoupled_weight_decay"],
        )  # fmt: skip
        return made, {**counters, "mu_product": product}
