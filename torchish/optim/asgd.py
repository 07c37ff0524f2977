"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import RuleOptimizer, check_lr, check_not_negative, count_of, run
from ._rules import Coefficient, oriented, packed, widened

__all__ = ["ASGD"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def asgd_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    ax: Tensors,
    eta: Scalar,
    mu: Scalar,
    lambd: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """`p = (1 - lambd eta) p - eta g`, `ax += mu (p - ax)`."""
    old = (params, ax)
    params, grads, average = widened(params, grads, ax)
    grads = oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    rate, weight = Coefficient(eta), Coefficient(mu)
    shrink = 1 - Coefficient(lambd) * rate
    params = [shrink * p - rate * g for p, g in zip(params, grads, strict=True)]
    average = [
        jnp.where(mu == 1, p, a + weight * (p - a)) for a, p in zip(average, params, strict=True)
    ]
    return packed([params, average], old)


class ASGD(RuleOptimizer):
    """`p = (1 - lambd eta) p - eta g`, with the average `ax` of `p` over steps after `t0`.

    Args:
        params: parameters or groups.
        lr: the first `eta`, a number or a one-element tensor.
        lambd: decay term.
        alpha: `eta = lr / (1 + lambd lr t)^alpha`.
        t0: the step at which averaging starts.
        weight_decay: `g += weight_decay p`.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one program.

    Source: Polyak & Juditsky, 1992.
    """

    _counters = {"step": 0.0, "eta": 0.0, "mu": 1.0}  # noqa: RUF012 - never changed

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("ax",)

    def _first_counter(self, name: str, group: dict[str, Any]) -> float:
        return float(group["lr"]) if name == "eta" else self._counters[name]

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        made = run(
            internal.asgd_step,
            count_of(numbers),
            *lists,
            eta=numbers["eta"],
            mu=numbers["mu"],
            lambd=group["lambd"],
            weight_decay=group["weight_decay"],
            decays=group["weight_decay"] != 0,
            maximize=group["maximize"],
        )
        t, lr = numbers["step"] + 1, float(group["lr"])
        eta = lr / (1 + group["lambd"] * lr * t) ** group["alpha"]
        return made, {"step": t, "eta": eta, "mu": 1 / max(1, t - group["t0"])}
