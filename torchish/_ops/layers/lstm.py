"""The recurrence of an LSTM, all steps after the input projection, as a primitive and its gradient.

    gates = act(inputs[t] + h[t-1] w^T),  c[t] = f c[t-1] + i g,  h[t] = o tanh(c[t])

Shapes: inputs (T, N, 4H) in the order i, f, g, o; h, c (N, H); w (4H, H). What is kept for the
gradient are the activated gates and the cells, and the weight's gradient is one product over all
steps.

Source: Hochreiter & Schmidhuber, 1997; Gers et al., 2000 (the forget gate).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._interpret.table import Array, Run, rule
from ..conv import onednn
from .recurrence import before, gradient, last_of, order, recurrence


def _scan_forward(inputs: Any, h: Any, c: Any, w: Any, *, reverse: bool) -> list[Any]:
    def step(carry: Any, x: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(x + h @ w.T, 4, -1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        c = f * c + i * g
        h = o * jnp.tanh(c)
        return (h, c), (h, c, jnp.concatenate((i, f, g, o), -1))

    return list(lax.scan(step, (h, c), inputs, reverse=reverse)[1])


def _scan_backward(
    gates: Any, cells: Any, c: Any, w: Any, d_outs: Any, d_h: Any, d_c: Any, *, reverse: bool
) -> list[Any]:
    def step(carry: Any, at: Any) -> Any:
        d_h, d_c = carry
        gates, cell, last, d_out = at
        i, f, g, o = jnp.split(gates, 4, -1)
        t, d_h = jnp.tanh(cell), d_h + d_out
        d_c = d_c + d_h * o * (1 - t * t)
        d_gates = jnp.concatenate(
            (
                d_c * g * i * (1 - i), d_c * last * f * (1 - f), d_c * i * (1 - g * g),
                d_h * t * o * (1 - o),
            ), -1,
        )  # fmt: skip
        return (d_gates @ w, d_c * f), d_gates

    along = (gates, cells, before(cells, c, reverse), d_outs)
    (d_h, d_c), d_inputs = lax.scan(step, (d_h, d_c), along, reverse=not reverse)
    return [d_inputs, d_h, d_c]


def _states(inputs: Any, h: Any, c: Any, w: Any) -> list[tuple[int, ...]]:
    outs = (inputs.shape[0], *c.shape)
    return [outs, outs, inputs.shape]


def _gradients(gates: Any, cells: Any, c: Any, *rest: Any) -> list[tuple[int, ...]]:
    return [gates.shape, c.shape, c.shape]


_forward = recurrence("lstm", _scan_forward, onednn.LSTM, _states)
_backward = gradient("lstm_gradient", _scan_backward, onednn.LSTM_GRADIENT, _gradients)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recur(reverse: bool, inputs: Any, h: Any, c: Any, w: Any) -> tuple[Any, Any, Any]:
    """All hidden states, the last one and the last cell."""
    return _recur(reverse, inputs, h, c, w)[0]


def _recur(reverse: bool, inputs: Any, h: Any, c: Any, w: Any) -> Any:
    outs, cells, gates = _forward.bind(inputs, h, c, w, reverse=reverse)
    return (outs, last_of(outs, reverse), last_of(cells, reverse)), (outs, cells, gates, h, c, w)


def _recur_gradient(reverse: bool, saved: Any, cotangents: Any) -> Any:
    outs, cells, gates, h, c, w = saved
    d_inputs, d_h, d_c = _backward.bind(gates, cells, c, w, *cotangents, reverse=reverse)
    d_w = jnp.einsum("tng,tnh->gh", d_inputs, before(outs, h, reverse))
    return d_inputs, d_h, d_c, d_w


recur.defvjp(_recur, _recur_gradient)


# --- in numpy -------------------------------------------------------------------------------------


@rule("lstm")
def _numpy_forward(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    from ..._interpret.elementwise import scipy_function

    reverse, size, expit = params["reverse"], outs[0].shape[-1], scipy_function("expit")

    def run(inputs: Array, h: Array, c: Array, w: Array) -> list[Array]:
        made = [np.empty(o.shape, o.dtype) for o in outs]
        for t in order(len(inputs), reverse):
            h_now, c_now, gates = (x[t] for x in made)
            np.matmul(h, w.T, out=gates)
            gates += inputs[t]
            i, f, g, o = (gates[:, k * size : (k + 1) * size] for k in range(4))
            for part in (i, f, o):
                expit(part, out=part)
            np.tanh(g, out=g)
            np.multiply(f, c, out=c_now)
            c_now += i * g
            np.multiply(o, np.tanh(c_now), out=h_now)
            h, c = h_now, c_now
        return made

    return run


@rule("lstm_gradient")
def _numpy_backward(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    reverse, size = params["reverse"], ins[1].shape[-1]

    def run(
        gates: Array, cells: Array, c: Array, w: Array, d_outs: Array, d_h: Array, d_c: Array
    ) -> list[Array]:
        made = np.empty(outs[0].shape, outs[0].dtype)
        steps = order(len(gates), reverse)
        for k in range(len(steps) - 1, -1, -1):
            t = steps[k]
            i, f, g, o = (gates[t][:, k * size : (k + 1) * size] for k in range(4))
            last = c if k == 0 else cells[steps[k - 1]]
            tanh, d_h = np.tanh(cells[t]), d_h + d_outs[t]
            d_c = d_c + d_h * o * (1 - tanh * tanh)
            parts = (
                d_c * g * i * (1 - i), d_c * last * f * (1 - f), d_c * i * (1 - g * g),
                d_h * tanh * o * (1 - o),
            )  # fmt: skip
            np.concatenate(parts, -1, out=made[t])
            d_h, d_c = made[t] @ w, d_c * f
        return [made, d_h, d_c]

    return run
