"""The recurrence of a GRU, all steps after the input projection, as a primitive and its gradient.

    hidden = h[t-1] w^T + b
    r, z = sigmoid(inputs + hidden),  n = tanh(inputs_n + r hidden_n),  h[t] = n + z (h[t-1] - n)

Shapes: inputs (T, N, 3H) in the order r, z, n; h (N, H); w (3H, H); b (3H). What is kept for the
gradient are the activated r, z, n and hidden_n; the gradients of w and b are one product and one
sum over all steps.

Source: Cho et al., 2014, with the reset gate after the product, as in cuDNN.
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


def _scan_forward(inputs: Any, h: Any, w: Any, b: Any, *, reverse: bool) -> list[Any]:
    def step(h: Any, x: Any) -> Any:
        x_r, x_z, x_n = jnp.split(x, 3, -1)
        h_r, h_z, h_n = jnp.split(h @ w.T + b, 3, -1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * h_n)
        h = n + z * (h - n)
        return h, (h, jnp.concatenate((r, z, n, h_n), -1))

    return list(lax.scan(step, h, inputs, reverse=reverse)[1])


def _scan_backward(
    gates: Any, outs: Any, h: Any, w: Any, d_outs: Any, d_h: Any, *, reverse: bool
) -> list[Any]:
    def step(d_h: Any, at: Any) -> Any:
        gates, last, d_out = at
        r, z, n, h_n = jnp.split(gates, 4, -1)
        d_h = d_h + d_out
        d_n = d_h * (1 - z) * (1 - n * n)
        d_r, d_z = d_n * h_n * r * (1 - r), d_h * (last - n) * z * (1 - z)
        d_hidden = jnp.concatenate((d_r, d_z, d_n * r), -1)
        return d_h * z + d_hidden @ w, (jnp.concatenate((d_r, d_z, d_n), -1), d_hidden)

    along = (gates, before(outs, h, reverse), d_outs)
    d_h, (d_inputs, d_hiddens) = lax.scan(step, d_h, along, reverse=not reverse)
    return [d_inputs, d_hiddens, d_h]


def _states(inputs: Any, h: Any, w: Any, b: Any) -> list[tuple[int, ...]]:
    steps, (batch, size) = inputs.shape[0], h.shape
    return [(steps, batch, size), (steps, batch, 4 * size)]


def _gradients(gates: Any, outs: Any, h: Any, *rest: Any) -> list[tuple[int, ...]]:
    steps, batch, size = outs.shape
    return [(steps, batch, 3 * size), (steps, batch, 3 * size), h.shape]


_forward = recurrence("gru", _scan_forward, onednn.GRU, _states)
_backward = gradient("gru_gradient", _scan_backward, onednn.GRU_GRADIENT, _gradients)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recur(reverse: bool, inputs: Any, h: Any, w: Any, b: Any) -> tuple[Any, Any]:
    """All hidden states and the last one."""
    return _recur(reverse, inputs, h, w, b)[0]


def _recur(reverse: bool, inputs: Any, h: Any, w: Any, b: Any) -> Any:
    outs, gates = _forward.bind(inputs, h, w, b, reverse=reverse)
    return (outs, last_of(outs, reverse)), (outs, gates, h, w)


def _recur_gradient(reverse: bool, saved: Any, cotangents: Any) -> Any:
    outs, gates, h, w = saved
    d_inputs, d_hiddens, d_h = _backward.bind(gates, outs, h, w, *cotangents, reverse=reverse)
    d_w = jnp.einsum("tng,tnh->gh", d_hiddens, before(outs, h, reverse))
    return d_inputs, d_h, d_w, d_hiddens.sum((0, 1))


recur.defvjp(_recur, _recur_gradient)


# --- in numpy -------------------------------------------------------------------------------------


@rule("gru")
def _numpy_forward(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    from ..._interpret.elementwise import scipy_function

    reverse, size, expit = params["reverse"], outs[0].shape[-1], scipy_function("expit")

    def run(inputs: Array, h: Array, w: Array, b: Array) -> list[Array]:
        made = [np.empty(o.shape, o.dtype) for o in outs]
        for t in order(len(inputs), reverse):
            h_now, gates = (x[t] for x in made)
            hidden = h @ w.T + b
            both, n, h_n = gates[:, : 2 * size], gates[:, 2 * size : 3 * size], gates[:, 3 * size :]
            np.add(inputs[t][:, : 2 * size], hidden[:, : 2 * size], out=both)
            expit(both, out=both)
            h_n[...] = hidden[:, 2 * size :]
            np.multiply(both[:, :size], h_n, out=n)
            n += inputs[t][:, 2 * size :]
            np.tanh(n, out=n)
            np.multiply(both[:, size:], h - n, out=h_now)
            h_now += n
            h = h_now
        return made

    return run


@rule("gru_gradient")
def _numpy_backward(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    reverse, size = params["reverse"], ins[1].shape[-1]

    def run(
        gates: Array, outs_: Array, h: Array, w: Array, d_outs: Array, d_h: Array
    ) -> list[Array]:
        d_inputs, d_hiddens = (np.empty(o.shape, o.dtype) for o in outs[:2])
        steps = order(len(gates), reverse)
        for k in range(len(steps) - 1, -1, -1):
            t = steps[k]
            r, z, n, h_n = (gates[t][:, j * size : (j + 1) * size] for j in range(4))
            last, d_h = h if k == 0 else outs_[steps[k - 1]], d_h + d_outs[t]
            d_n = d_h * (1 - z) * (1 - n * n)
            d_r, d_z = d_n * h_n * r * (1 - r), d_h * (last - n) * z * (1 - z)
            np.concatenate((d_r, d_z, d_n), -1, out=d_inputs[t])
            np.concatenate((d_r, d_z, d_n * r), -1, out=d_hiddens[t])
            d_h = d_h * z + d_hiddens[t] @ w
        return [d_inputs, d_hiddens, d_h]

    return run
