"""Muon."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._autograd.interop import wrap_host
from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import RuleOptimizer, run, zeros_like
from ._rules import Coefficient, mixed, narrow, packed, widened

__all__ = ["Muon"]

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def _orthogonal(x: Any, coefficients: Any, steps: int, eps: Any) -> Any:
    """Newton-Schulz iteration towards the nearest orthogonal matrix.

    In bfloat16 as in torch, whose sums of products are rounded once, from float32.
    """
    a, b, c = coefficients
    wide = jnp.float32

    def product(p: Any, q: Any) -> Any:
        return jnp.matmul(p, q, preferred_element_type=wide)

    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    norm = jnp.sqrt(jnp.sum(jnp.square(x.astype(wide)))).astype(x.dtype)
    x = x / jnp.maximum(norm, eps.astype(x.dtype))
    for _ in range(steps):
        gram = product(x, x.T).astype(x.dtype)
        update = (b * gram.astype(wide) + c * product(gram, gram)).astype(x.dtype)
        x = (a * x.astype(wide) + product(update, x)).astype(x.dtype)
    return x.T if tall else x


@op("none", into=("internal",), out=False, differentiable=False)
def muon_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    momentum_buffer: Tensors,
    lr: Scalar,
    weight_decay: Scalar,
    momentum: Scalar,
    eps: Scalar,
    nesterov: bool,
    ns_coefficients: Any,
    ns_steps: int,
    ratios: Any,
) -> Any:
    """`b = momentum b + (1 - momentum) g`; `p` moves along `b` made orthogonal."""
    old = (params, momentum_buffer)
    params, grads, buffers = widened(params, grads, momentum_buffer)
    keep = Coefficient(momentum)
    buffers = mixed(buffers, grads, keep)
    updates = mixed(buffers, grads, keep) if nesterov else buffers
    shrink = 1 - Coefficient(lr) * Coefficient(weight_decay)
    moved = []
    for p, u, ratio in zip(params, updates, ratios, strict=True):
        x = _orthogonal(u.astype(jnp.bfloat16), ns_coefficients, ns_steps, eps)
        moved.append(shrink * p - (Coefficient(lr) * ratio) * narrow(x, p))
    return packed([moved, buffers], old)


class Muon(RuleOptimizer):
    """Momentum whose step is made orthogonal by a Newton-Schulz iteration; matrices only.

    Args:
        params: two-dimensional parameters, or groups.
        lr: learning rate.
        weight_decay: `p *= 1 - lr weight_decay`.
        momentum: how slowly the mean gradient changes.
        nesterov: mix the gradient into it once more.
        ns_coefficients, ns_steps, eps: of the iteration.
        adjust_lr_fn: `'original'` or `'match_rms_adamw'`: how the rate follows the shape.

    Source: https://kellerjordan.github.io/posts/muon/
    """

    _counters: dict[str, float] = {}  # noqa: RUF012 - never changed

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = _COEFFICIENTS,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for param in group["params"]:
                if param.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with "
                        f"size: {param.size()}"
                    )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def _init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        if param.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": zeros_like(param)}

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        if group["ns_steps"] >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        made = run(
            internal.muon_step,
            wrap_host(np.zeros((), np.float64)),
            *lists,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            eps=group["eps"],
            nesterov=group["nesterov"],
            ns_coefficients=tuple(group["ns_coefficients"]),
            ns_steps=group["ns_steps"],
            ratios=tuple(_ratio(p, group["adjust_lr_fn"]) for p in lists[0]),
        )
        return made, {}


def _ratio(param: Tensor, adjust: str | None) -> float:
    rows, cols = param.shape
    if adjust == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, cols))
    return math.sqrt(max(1, rows / cols))
