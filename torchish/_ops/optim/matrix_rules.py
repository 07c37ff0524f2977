"""Update rules that treat matrices as matrices: Adafactor and Muon (see optim.py)."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ..registry import Scalar, Tensor, Tensors, op
from .rules import Coefficient, _mixed, _narrow, _packed, _widened


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
    """``p -= max(eps2, rms(p)) min(lr, t^-0.5) u / max(1, rms(u) / d)``, ``u = g / sqrt(v)``.

    Parameters with state in ``row_var`` and ``col_var`` keep only the means of ``g^2`` along the
    last two dims; those with state in ``variance`` keep all of it. Either kind alone is given.
    """
    old = (params, row_var, col_var, variance)
    params, grads, rows, cols, full = _widened(params, grads, *old[1:])
    if maximize:
        grads = [-g for g in grads]
    keep = Coefficient(1 - count**beta2_decay)
    rate = jnp.minimum(lr, 1 / jnp.sqrt(count))
    floor = Coefficient(eps1)
    squares = [g * g for g in grads]
    if rows:
        rows = _mixed(rows, [jnp.mean(s, -1, keepdims=True) for s in squares], keep)
        cols = _mixed(cols, [jnp.mean(s, -2, keepdims=True) for s in squares], keep)
        estimates = [
            r * c / jnp.maximum(jnp.mean(r, -2, keepdims=True), floor.in_dtype_of(r))
            for r, c in zip(rows, cols, strict=True)
        ]
    else:
        full = _mixed(full, squares, keep)
        estimates = full
    moved = []
    for p, g, v in zip(params, grads, estimates, strict=True):
        u = g / jnp.sqrt(jnp.maximum(v, (floor * floor).in_dtype_of(v)))
        size = Coefficient(rate).in_dtype_of(p) * jnp.maximum(eps2.astype(p.dtype), _rms(p))
        clip = jnp.maximum(jnp.ones_like(size), _rms(u) / d.astype(p.dtype))
        if decays:
            p = (1 - Coefficient(lr) * Coefficient(weight_decay)) * p
        moved.append(p - size / clip * u)
    return _packed([moved, rows, cols, full], old)


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
    """``b = momentum b + (1 - momentum) g``; ``p`` moves along ``b`` made orthogonal."""
    old = (params, momentum_buffer)
    params, grads, buffers = _widened(params, grads, momentum_buffer)
    keep = Coefficient(momentum)
    buffers = _mixed(buffers, grads, keep)
    updates = _mixed(buffers, grads, keep) if nesterov else buffers
    shrink = 1 - Coefficient(lr) * Coefficient(weight_decay)
    moved = []
    for p, u, ratio in zip(params, updates, ratios, strict=True):
        x = _orthogonal(u.astype(jnp.bfloat16), ns_coefficients, ns_steps, eps)
        moved.append(shrink * p - (Coefficient(lr) * ratio) * _narrow(x, p))
    return _packed([moved, buffers], old)


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
