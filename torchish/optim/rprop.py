"""Resilient backpropagation."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import RuleOptimizer, check_lr, count_of, run
from ._rules import oriented, packed, widened

__all__ = ["Rprop"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def rprop_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    prev: Tensors,
    step_size: Tensors,
    eta_minus: Scalar,
    eta_plus: Scalar,
    smallest: Scalar,
    largest: Scalar,
    maximize: bool,
) -> Any:
    """Each step grows while its gradient keeps its sign, shrinks (and pauses) when it turns."""
    old = (params, prev, step_size)
    params, grads, before, sizes = widened(params, grads, prev, step_size)
    grads = oriented(grads, params, 0.0, decays=False, maximize=maximize)
    kept, moved, resized = [], [], []
    for p, g, b, s in zip(params, grads, before, sizes, strict=True):
        sign = jnp.sign(g * b)
        numbers = (eta_plus, eta_minus, smallest, largest)
        up, down, low, high = [x.astype(p.dtype) for x in numbers]
        factor = jnp.where(sign > 0, up, jnp.where(sign < 0, down, jnp.ones_like(up)))
        s = jnp.clip(s * factor, low, high)
        g = jnp.where(sign < 0, jnp.zeros_like(g), g)
        moved.append(p - jnp.sign(g) * s)
        kept.append(g)
        resized.append(s)
    return packed([moved, kept, resized], old)


class Rprop(RuleOptimizer):
    """Steps whose sizes follow only the signs of the gradients.

    A size grows by `etas[1]` while the sign stays, shrinks by `etas[0]` when it turns (then the
    parameter rests one step), and stays within `step_sizes`.

    Args:
        params: parameters or groups.
        lr: the first size, a number or a one-element tensor.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one program.

    Source: Riedmiller & Braun, 1993.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("prev", "step_size")

    def _fill(self, name: str, group: dict[str, Any]) -> float:
        return float(group["lr"]) if name == "step_size" else 0.0

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        eta_minus, eta_plus = group["etas"]
        smallest, largest = group["step_sizes"]
        made = run(
            internal.rprop_step,
            count_of(numbers),
            *lists,
            eta_minus=eta_minus,
            eta_plus=eta_plus,
            smallest=smallest,
            largest=largest,
            maximize=group["maximize"],
        )
        return made, {"step": numbers["step"] + 1}
