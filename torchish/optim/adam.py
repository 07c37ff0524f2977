"""Adam."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import (
    RuleOptimizer,
    check_betas,
    check_flags,
    check_lr,
    check_not_negative,
)
from ._rules import Coefficient, decayed, mixed, mixed_squares, packed, widened

__all__ = ["Adam"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def adam_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    exp_avg: Tensors,
    exp_avg_sq: Tensors,
    max_exp_avg_sq: Tensors,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    decoupled: bool,
    maximize: bool,
) -> Any:
    """`m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
    `p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)`; amsgrad takes the largest `v`."""
    old = (params, exp_avg, exp_avg_sq, max_exp_avg_sq)
    params, grads, mean, square, largest = widened(params, grads, *old[1:])
    params, grads = decayed(
        params, grads, lr, weight_decay, decays=decays, decoupled=decoupled, maximize=maximize
    )
    # In torch's order of operations: results then agree to the last bit where nothing is fused.
    b1, b2, epsilon = Coefficient(beta1), Coefficient(beta2), Coefficient(eps)
    mean, square = mixed(mean, grads, b1), mixed_squares(square, grads, b2)
    if largest:
        largest = [jnp.maximum(a, b) for a, b in zip(largest, square, strict=True)]
    size = Coefficient(lr / (1 - beta1**count))
    root = Coefficient(jnp.sqrt(1 - beta2**count))
    params = [
        p - size * m / (jnp.sqrt(v) / root.in_dtype_of(v) + epsilon)
        for p, m, v in zip(params, mean, largest or square, strict=True)
    ]
    return packed([params, mean, square, largest], old)


class Adam(RuleOptimizer):
    """`m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
    `p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)`.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        betas: `(b1, b2)`.
        eps: added to the root.
        weight_decay: `g += weight_decay p`.
        amsgrad: use the largest `v` so far.
        maximize: go up instead of down.
        decoupled_weight_decay: `p *= 1 - lr weight_decay` instead (AdamW).
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
        largest: list[Any] = [] if group["amsgrad"] else [[]]
        return self._moments(
            internal.adam_step, group, numbers, *lists, *largest,
            decoupled=group["decoupled_weight_decay"],
        )  # fmt: skip
