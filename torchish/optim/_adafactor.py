"""Adafactor."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from .._autograd.interop import wrap_host
from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import Member, RuleOptimizer, count_of, counter, run
from ._rules import Coefficient, mixed, packed, widened

__all__ = ["Adafactor"]


def _rms(x: Any) -> Any:
    return jnp.sqrt(jnp.mean(x * x))


@op("none", into=("internal",), out=False, differentiable=False)
def adafactor_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    row_var: Tensors,
    col_var: Tensors,
    variance: Tensors,
    lr: Scalar,
    beta2_decay: Scalar,
    eps1: Scalar,
    eps2: Scalar,
    d: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """`p -= max(eps2, rms(p)) min(lr, t^-0.5) u / max(1, rms(u) / d)`, `u = g / sqrt(v)`.

    Parameters with state in `row_var` and `col_var` keep only the means of `g^2` along the
    last two dims; those with state in `variance` keep all of it. Either kind alone is given.
    """
    old = (params, row_var, col_var, variance)
    params, grads, rows, cols, full = widened(params, grads, *old[1:])
    if maximize:
        grads = [-g for g in grads]
    keep = Coefficient(1 - count**beta2_decay)
    rate = jnp.minimum(lr, 1 / jnp.sqrt(count))  # type: ignore[arg-type]  # an array here
    floor = Coefficient(eps1)
    squares = [g * g for g in grads]
    if rows:
        rows = mixed(rows, [jnp.mean(s, -1, keepdims=True) for s in squares], keep)
        cols = mixed(cols, [jnp.mean(s, -2, keepdims=True) for s in squares], keep)
        estimates = [
            r * c / jnp.maximum(jnp.mean(r, -2, keepdims=True), floor.in_dtype_of(r))
            for r, c in zip(rows, cols, strict=True)
        ]
    else:
        full = mixed(full, squares, keep)
        estimates = full
    moved = []
    for p, g, v in zip(params, grads, estimates, strict=True):
        u = g / jnp.sqrt(jnp.maximum(v, (floor * floor).in_dtype_of(v)))
        size = Coefficient(rate).in_dtype_of(p) * jnp.maximum(eps2.astype(p.dtype), _rms(p))
        clip = jnp.maximum(jnp.ones_like(size), _rms(u) / d.astype(p.dtype))
        if decays:
            p = (1 - Coefficient(lr) * Coefficient(weight_decay)) * p
        moved.append(p - size / clip * u)
    return packed([moved, rows, cols, full], old)


class Adafactor(RuleOptimizer):
    """Adam-like steps relative to the size of the parameters, with factored second moments.

    `R, C`: running means of `g^2` along the last two dims, weight `t^beta2_decay` for the new
    one; `v = R C / mean(R)`; `u = g / sqrt(v)`;
    `p -= max(eps2, rms(p)) min(lr, t^-0.5) u / max(1, rms(u) / d)`.

    Args:
        params: parameters or groups.
        lr: the largest relative step.
        beta2_decay: exponent of the weight of new squares.
        eps: `(eps1, eps2)`: floors of `sqrt(v)` (None: the dtype's epsilon) and of `rms(p)`.
        d: the largest root mean square of `u`.
        weight_decay: `p *= 1 - lr weight_decay` first.
        maximize: go up instead of down.

    Source: Shazeer & Stern, 2018.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        if param.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        shape = tuple(param.shape)
        shapes = {"variance": shape}
        if len(shape) > 1:
            shapes = {
                "row_var": (*shape[:-1], 1),
                "col_var": (*shape[:-2], 1, shape[-1]),
            }
        zeros = {
            name: wrap_host(np.zeros(size, param.dtype.np), param.device)
            for name, size in shapes.items()
        }
        return {"step": counter(0.0), **zeros}

    def _step_batch(
        self, group: dict[str, Any], numbers: dict[str, float], members: list[Member]
    ) -> None:
        # vectors and matrices keep different state
        for slots in (("variance",), ("row_var", "col_var")):
            chosen = [member for member in members if slots[0] in member[2]]
            if chosen:
                self._chosen = slots
                super()._step_batch(group, numbers, chosen)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self._chosen

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        params, grads, *state = lists
        eps1, eps2 = group["eps"]
        if eps1 is None:
            import torchish

            eps1 = torchish.finfo(params[0].dtype).eps
        made = run(
            internal.adafactor_step,
            count_of(numbers),
            params,
            grads,
            *(([], [], *state) if len(state) == 1 else (*state, [])),
            lr=group["lr"],
            beta2_decay=group["beta2_decay"],
            eps1=eps1,
            eps2=eps2,
            d=group["d"],
            weight_decay=group["weight_decay"],
            decays=group["weight_decay"] != 0,
            maximize=group["maximize"],
        )
        return made, {"step": numbers["step"] + 1}
