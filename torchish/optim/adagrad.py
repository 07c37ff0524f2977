"""Adagrad."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import (
    RuleOptimizer,
    check_flags,
    check_lr,
    check_not_negative,
    count_of,
    options_of,
    run,
)
from ._rules import Coefficient, moved, oriented, packed, widened

__all__ = ["Adagrad"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def adagrad_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    sum: Tensors,
    lr: Scalar,
    lr_decay: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """`s += g^2`, `p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)`."""
    old = (params, sum)
    params, grads, total = widened(params, grads, sum)
    grads = oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    epsilon = Coefficient(eps)
    total = [s + g * g for s, g in zip(total, grads, strict=True)]
    updates = [g / (jnp.sqrt(s) + epsilon) for g, s in zip(grads, total, strict=True)]
    return packed([moved(params, updates, lr / (1 + (count - 1) * lr_decay)), total], old)


class Adagrad(RuleOptimizer):
    """`s += g^2`, `p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)`.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        lr_decay: how fast the rate falls.
        weight_decay: `g += weight_decay p`.
        initial_accumulator_value: what `s` starts with.
        eps: added to the root.
        maximize: go up instead of down.
        foreach, fused: accepted; every step is one program.

    Source: Duchi et al., 2011.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_not_negative(
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        check_flags(fused, foreach, differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param].update(self._init_state(param, group))

    def share_memory(self) -> None:
        """Moves the sums to shared memory."""
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["sum"].share_memory_()

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _fill(self, name: str, group: dict[str, Any]) -> float:
        return group["initial_accumulator_value"]

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        made = run(
            internal.adagrad_step,
            count_of(numbers),
            *lists,
            lr_decay=group["lr_decay"],
            eps=group["eps"],
            **options_of(group),
        )
        return made, {"step": numbers["step"] + 1}
