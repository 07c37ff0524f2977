"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._autograd.gradients import with_gradients
from .._autograd.interop import wrap_host
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import (
    RuleOptimizer,
    assign,
    check_flags,
    check_lr,
    kind_of,
    options_of,
    run,
    zeros_like,
)
from ._rules import Coefficient, moved, oriented, packed, widened

__all__ = ["SGD"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def sgd_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    momentum_buffer: Tensors,
    lr: Scalar,
    momentum: Scalar,
    dampening: Scalar,
    weight_decay: Scalar,
    decays: bool,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> Any:
    """`b = momentum b + (1 - dampening) g`, `p -= lr b`; the first `b` is `g`."""
    import optax

    old = (params, momentum_buffer)
    params, grads, buffers = widened(params, grads, momentum_buffer)
    grads = oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    if not buffers:
        return packed([moved(params, grads, lr)], old[:1])
    factor = Coefficient(momentum)
    if first:
        buffers = grads
    else:
        share = 1 - Coefficient(dampening)
        state = optax.TraceState(trace=buffers)
        buffers, _ = optax.trace(decay=factor).update([share * g for g in grads], state)
    updates = buffers
    if nesterov:
        updates = [g + factor * b for g, b in zip(grads, buffers, strict=True)]
    return packed([moved(params, updates, lr), buffers], old)


class SGD(RuleOptimizer):
    """`b = momentum b + (1 - dampening) g`, `p -= lr b`.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        momentum: how much of the last step is kept.
        dampening: how much of the gradient is left out of `b`.
        weight_decay: `g += weight_decay p`.
        nesterov: step by `g + momentum b`.
        maximize: go up instead of down.
        foreach, fused: accepted; every step is one program.

    Source: https://pytorch.org/docs/stable/generated/torch.optim.SGD.html
    """

    _counters: dict[str, float] = {}  # noqa: RUF012 - never changed

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_flags(fused, foreach, differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _step_group(self, group: dict[str, Any]) -> None:
        batches: dict[tuple[Any, ...], list[tuple[Tensor, Tensor]]] = {}
        for param, grad in with_gradients(group["params"]):
            first = False
            if group["momentum"] != 0:
                state = self.state[param]
                if state.get("momentum_buffer") is None:
                    # without dampening, zeros lead to the same first step
                    state["momentum_buffer"] = zeros_like(param)
                    first = group["dampening"] != 0
            batches.setdefault((*kind_of(param), first), []).append((param, grad))
        for (_, _, first), members in batches.items():
            params, grads = ([member[i] for member in members] for i in range(2))
            buffers = []
            if group["momentum"] != 0:
                buffers = [self.state[param]["momentum_buffer"] for param in params]
            made = run(
                internal.sgd_step,
                wrap_host(np.zeros((), np.float64)),
                params,
                grads,
                buffers,
                momentum=group["momentum"],
                dampening=group["dampening"],
                nesterov=group["nesterov"],
                first=first,
                **options_of(group),
            )
            assign([*params, *buffers], made)
