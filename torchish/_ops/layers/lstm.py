"""The recurrence of an LSTM, all steps after the input projection, as a primitive and its gradient.

    gates = act(inputs[t] + h[t-1] w^T),  c[t] = f c[t-1] + i g,  h[t] = o tanh(c[t])

Shapes: inputs (T, N, 4H) in the order i, f, g, o; h, c (N, H); w (4H, H). What is kept for the
gradient are the activated gates and the cells, and the weight's gradient is one product over all
steps. Two primitives, not a scan in place: on the CPU they are one call into the optional package
torchish-cpu (a scan of XLA's runs its small products on one thread), numpy runs them as plain
loops, and everywhere else, and in derivatives of higher order, they are `lax.scan`.

Source: Hochreiter & Schmidhuber, 1997; Gers et al., 2000 (the forget gate).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching

from ..._interpret.table import Array, Run, rule
from ..conv import onednn
from ..shared.primitives import define


def before(x: Any, first: Any, reverse: bool) -> Any:
    """What stood before each step: `first` at the recurrence's beginning, then `x`."""
    steps, start = x.shape[0], lax.expand_dims(first, (0,))
    kept = lax.slice_in_dim(x, 1, steps) if reverse else lax.slice_in_dim(x, 0, steps - 1)
    return lax.concatenate((kept, start) if reverse else (start, kept), 0)


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


def _native(target: str, results: Sequence[int], scan: Any) -> Callable[..., Any]:
    """The lowering on the CPU: results have the avals of the operands at those positions."""

    def lowered(*operands: Any, reverse: bool) -> list[Any]:
        if operands[0].dtype != jnp.float32 or 0 in operands[0].shape or not onednn.is_wanted():
            return scan(*operands, reverse=reverse)  # type: ignore[no-any-return]
        call = jax.ffi.ffi_call(target, _results(operands, results))
        return list(call(*operands, reverse=np.int64(reverse)))

    return lowered


def _results(operands: Sequence[Any], results: Sequence[int]) -> list[Any]:
    """Avals of the results: -1 stands for all hidden states, (T, N, H)."""
    steps, (batch, size) = operands[0].shape[0], operands[2].shape
    made = []
    for k in results:
        shape = (steps, batch, size) if k < 0 else operands[k].shape
        made.append(jax.ShapeDtypeStruct(shape, operands[0].dtype))
    return made


def _define(name: str, scan: Any, target: str, results: Sequence[int]) -> Any:
    def shapes(*avals: Any, reverse: bool) -> list[Any]:
        made = _results(avals, results)
        return [avals[0].update(shape=r.shape, weak_type=False) for r in made]

    primitive = define(
        name, shapes, scan, _native(target, results, scan), static=["reverse"], several=True,
        around=onednn.portable,
    )  # fmt: skip

    def batch(args: Any, dims: Any, *, reverse: bool) -> Any:
        return jax.vmap(partial(scan, reverse=reverse), in_axes=dims)(*args), [0] * len(results)

    def jvp(primals: Any, tangents: Any, *, reverse: bool) -> Any:
        given = tuple(ad.instantiate_zeros(t) for t in tangents)
        return jax.jvp(partial(scan, reverse=reverse), tuple(primals), given)

    batching.primitive_batchers[primitive] = batch
    ad.primitive_jvps[primitive] = jvp
    return primitive


_forward = _define("lstm", _scan_forward, onednn.LSTM, (-1, -1, 0))
_backward = _define("lstm_gradient", _scan_backward, onednn.LSTM_GRADIENT, (0, 2, 2))


def _transposed(cts: Any, *operands: Any, reverse: bool) -> list[Any]:
    """The transpose of the gradient, which is linear in its last three operands: tangents."""
    known, incoming = operands[:4], operands[4:]
    at = [k for k, x in enumerate(incoming) if ad.is_undefined_primal(x)]

    def linear(*given: Any) -> list[Any]:
        parts = [jnp.zeros_like(x) if k not in at else None for k, x in enumerate(incoming)]
        for k, x in zip(at, given, strict=True):
            parts[k] = x
        return _scan_backward(*known, *parts, reverse=reverse)

    structs = [jax.ShapeDtypeStruct(incoming[k].aval.shape, incoming[k].aval.dtype) for k in at]
    pulled = jax.linear_transpose(linear, *structs)([ad.instantiate_zeros(ct) for ct in cts])
    made: list[Any] = [None] * len(operands)
    for k, x in zip(at, pulled, strict=True):
        made[4 + k] = x
    return made


ad.primitive_transposes[_backward] = _transposed


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recur(reverse: bool, inputs: Any, h: Any, c: Any, w: Any) -> tuple[Any, Any, Any]:
    """All hidden states, the last one and the last cell."""
    return _recur(reverse, inputs, h, c, w)[0]


def _recur(reverse: bool, inputs: Any, h: Any, c: Any, w: Any) -> Any:
    outs, cells, gates = _forward.bind(inputs, h, c, w, reverse=reverse)
    last = 0 if reverse else outs.shape[0] - 1
    ends = [lax.index_in_dim(x, last, 0, keepdims=False) for x in (outs, cells)]
    return (outs, *ends), (outs, cells, gates, h, c, w)


def _recur_gradient(reverse: bool, saved: Any, cotangents: Any) -> Any:
    outs, cells, gates, h, c, w = saved
    d_inputs, d_h, d_c = _backward.bind(gates, cells, c, w, *cotangents, reverse=reverse)
    d_w = jnp.einsum("tng,tnh->gh", d_inputs, before(outs, h, reverse))
    return d_inputs, d_h, d_c, d_w


recur.defvjp(_recur, _recur_gradient)


# --- in numpy -------------------------------------------------------------------------------------


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


@rule("lstm")
def _numpy_forward(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    from ..._interpret.elementwise import scipy_function

    reverse, size, expit = params["reverse"], outs[0].shape[-1], scipy_function("expit")

    def run(inputs: Array, h: Array, c: Array, w: Array) -> list[Array]:
        made = [np.empty(o.shape, o.dtype) for o in outs]
        for t in _order(len(inputs), reverse):
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
        order = _order(len(gates), reverse)
        for k in range(len(order) - 1, -1, -1):
            t = order[k]
            i, f, g, o = (gates[t][:, k * size : (k + 1) * size] for k in range(4))
            last = c if k == 0 else cells[order[k - 1]]
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
