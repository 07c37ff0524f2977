"""Adamax."""

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
from ._rules import Coefficient, mixed, moved, oriented, packed, widened

__all__ = ["Adamax"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def adamax_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    exp_avg: Tensors,
    exp_inf: Tensors,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """`m = b1 m + (1 - b1) g`, `u = max(b2 u, |g| + eps)`, `p -= lr m / (1 - b1^t) / u`."""
    old = (params, exp_avg, exp_inf)
    params, grads, mean, top = widened(params, grads, *old[1:])
    grads = oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    b1, b2, epsilon = Coefficient(beta1), Coefficient(beta2), Coefficient(eps)
    mean = mixed(mean, grads, b1)
    top = [jnp.maximum(b2 * u, jnp.abs(g) + epsilon) for u, g in zip(top, grads, strict=True)]
    updates = [m / (1 - b1**count) / u for m, u in zip(mean, top, strict=True)]
    return packed([moved(params, updates, lr), mean, top], old)


class Adamax(RuleOptimizer):
    """`m = b1 m + (1 - b1) g`, `u = max(b2 u, |g| + eps)`, `p -= lr m / (1 - b1^t) / u`.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        betas: `(b1, b2)`.
        eps: added to the gradient's size.
        weight_decay: `g += weight_decay p`.
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
        return self._moments(internal.adamax_step, group, numbers, *lists)
