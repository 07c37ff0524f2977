"""Recurrent layers: LSTM, GRU and the plain cell, over padded or packed sequences.

The input projection of all steps is one matrix product before the scan. The scan carries only what
recurs; its gradient is written here: a scan backwards gives every step's gate gradients, and the
recurrent weight's gradient is one product over all steps. Differentiating `lax.scan` would add up
that product step by step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..._basics.state import state as modes
from ..registry import OptTensor, Tensor, composite, internal, nnf, op, ops
from . import gru, lstm

State = tuple[Any, ...]
# Types for which all steps of an LSTM or a GRU are one primitive.
_WHOLE = (jnp.dtype(jnp.float32), jnp.dtype(jnp.float64))
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}


def _cell(kind: str, from_input: Any, from_hidden: Any, state: State) -> State:
    """One step after both projections: the new state (h,) or (h, c)."""
    if kind == "lstm":
        i, f, g, o = jnp.split(from_input + from_hidden, 4, -1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    if kind == "gru":
        x_r, x_z, x_n = jnp.split(from_input, 3, -1)
        h_r, h_z, h_n = jnp.split(from_hidden, 3, -1)
        n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
        z = jax.nn.sigmoid(x_z + h_z)
        return (n + z * (state[0] - n),)
    total = from_input + from_hidden
    return (jnp.tanh(total) if kind == "tanh" else jax.nn.relu(total),)


def _masked_cell(kind: str, from_input: Any, from_hidden: Any, state: State, mask: Any) -> State:
    """A step that leaves the state as it is where a packed sequence has ended."""
    new = _cell(kind, from_input, from_hidden, state)
    if mask is None:
        return new
    return tuple(jnp.where(mask, a, b) for a, b in zip(new, state, strict=True))


def _hidden(h: Any, weight: Any, bias: Any) -> Any:
    out = h @ weight.T
    return out if bias is None else out + bias


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _recur(
    kind: str, reverse: bool, inputs: Any, state: State, weight: Any, bias: Any, mask: Any
) -> tuple[Any, State]:
    """All hidden states (T, N, H) and the last state, from projected inputs (T, N, gates H)."""
    return _recur_forward(kind, reverse, inputs, state, weight, bias, mask)[0]


def _recur_forward(
    kind: str, reverse: bool, inputs: Any, state: State, weight: Any, bias: Any, mask: Any
) -> Any:
    def step(carry: State, at: Any) -> tuple[State, Any]:
        x, m = at
        hidden = _hidden(carry[0], weight, bias)
        new = _masked_cell(kind, x, hidden, carry, m)
        return new, (new[0], hidden, carry)

    last, (outs, hiddens, before) = lax.scan(step, state, (inputs, mask), reverse=reverse)
    return (outs, last), (inputs, hiddens, before, weight, bias, mask)


def _recur_backward(kind: str, reverse: bool, saved: Any, cotangents: Any) -> Any:
    inputs, hiddens, before, weight, bias, mask = saved
    d_outs, d_last = cotangents

    def step(carry: State, at: Any) -> tuple[State, Any]:
        x, hidden, state, m, d_out = at
        _, pull = jax.vjp(lambda x, h, s: _masked_cell(kind, x, h, s, m), x, hidden, state)
        d_x, d_hidden, d_state = pull((carry[0] + d_out, *carry[1:]))
        return (d_state[0] + d_hidden @ weight, *d_state[1:]), (d_x, d_hidden)

    d_state, (d_inputs, d_hiddens) = lax.scan(
        step, d_last, (inputs, hiddens, before, mask, d_outs), reverse=not reverse
    )
    d_weight = jnp.einsum("tng,tnh->gh", d_hiddens, before[0])
    d_bias = None if bias is None else d_hiddens.sum((0, 1))
    d_mask = None if mask is None else jnp.zeros(mask.shape, jax.dtypes.float0)
    return d_inputs, d_state, d_weight, d_bias, d_mask


_recur.defvjp(_recur_forward, _recur_backward)


def _recur_projected(
    reverse: bool, inputs: Any, state: State, weight: Any, bias: Any, projection: Any, mask: Any
) -> tuple[Any, State]:
    """The LSTM whose hidden state is projected (proj_size > 0)."""

    def step(carry: State, at: Any) -> tuple[State, Any]:
        x, m = at
        full, c = _cell("lstm", x, _hidden(carry[0], weight, bias), carry)
        new: State = (full @ projection.T, c)
        if m is not None:
            new = tuple(jnp.where(m, a, b) for a, b in zip(new, carry, strict=True))
        return new, new[0]

    last, outs = lax.scan(step, state, (inputs, mask), reverse=reverse)
    return outs, last


def _run_layer(
    kind: str, reverse: bool, x: Any, state: State, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any,
    projection: Any, mask: Any,
) -> tuple[Any, State]:  # fmt: skip
    """x (T, N, in) -> hidden states (T, N, H) and the last state."""
    inputs = x @ w_ih.T
    if b_ih is not None:
        # Only the GRU needs its hidden bias inside the recurrence.
        inputs = inputs + (b_ih if kind == "gru" or b_hh is None else b_ih + b_hh)
    inner = b_hh if kind == "gru" else None
    if projection is not None:
        return _recur_projected(reverse, inputs, state, w_hh, inner, projection, mask)
    if kind == "lstm" and mask is None and inputs.dtype in _WHOLE and inputs.shape[0]:
        outs, *last = lstm.recur(reverse, inputs, *state, w_hh)
        return outs, tuple(last)
    if kind == "gru" and mask is None and inputs.dtype in _WHOLE and inputs.shape[0]:
        bias = jnp.zeros(w_hh.shape[:1], inputs.dtype) if inner is None else inner
        outs, h = gru.recur(reverse, inputs, *state, w_hh, bias)
        return outs, (h,)
    return _recur(kind, reverse, inputs, state, w_hh, inner, mask)


@op("none", into=("internal",), grad_name="MkldnnRnnLayerBackward0")
def rnn_layer(
    input: Tensor, hidden: Tensor, cell: OptTensor, w_ih: Tensor, w_hh: Tensor, b_ih: OptTensor,
    b_hh: OptTensor, projection: OptTensor, kind: str, reverse: bool,
) -> Any:  # fmt: skip
    """One direction of one layer over (T, N, in): outputs, last h and, for the LSTM, last c."""
    state = (hidden,) if cell is None else (hidden, cell)
    outs, last = _run_layer(kind, reverse, input, state, w_ih, w_hh, b_ih, b_hh, projection, None)
    return outs, *last


@op("none", into=("internal",), grad_name="CatBackward0")
def rnn_layer_packed(
    data: Tensor, batch_sizes: Tensor, hidden: Tensor, cell: OptTensor, w_ih: Tensor,
    w_hh: Tensor, b_ih: OptTensor, b_hh: OptTensor, projection: OptTensor, kind: str,
    reverse: bool,
) -> Any:  # fmt: skip
    """The same over a packed sequence: data (sum of batch_sizes, in), one batch size a step."""
    steps, batch = batch_sizes.shape[0], hidden.shape[0]
    sizes = batch_sizes.astype(jnp.int64)
    starts = jnp.cumsum(sizes) - sizes
    lane = jnp.arange(batch, dtype=jnp.int64)
    mask = lane < sizes[:, None]  # T, N
    places = jnp.where(mask, starts[:, None] + lane, 0)
    padded = data.at[places].get(mode="promise_in_bounds")  # T, N, in
    state = (hidden,) if cell is None else (hidden, cell)
    outs, last = _run_layer(
        kind, reverse, padded, state, w_ih, w_hh, b_ih, b_hh, projection, mask[..., None]
    )
    at = jnp.arange(data.shape[0], dtype=jnp.int64)
    step = jnp.searchsorted(starts, at, side="right") - 1
    step = jnp.clip(step, 0, steps - 1)
    return outs.at[step, at - starts[step]].get(mode="promise_in_bounds"), *last


def _layer_weights(params: Sequence[Any], biases: bool, projected: bool) -> list[Any]:
    """The flat parameters as (w_ih, w_hh, b_ih, b_hh, projection) for each layer and direction."""
    per = 2 + (2 if biases else 0) + (1 if projected else 0)
    found = []
    for k in range(0, len(params), per):
        part = list(params[k : k + per])
        b_ih, b_hh = (part[2], part[3]) if biases else (None, None)
        found.append((part[0], part[1], b_ih, b_hh, part[-1] if projected else None))
    return found


def _stack(
    kind: str, run: Callable[..., Any], x: Any, states: Sequence[Any], params: Sequence[Any],
    biases: bool, layers: int, dropout: float, train: bool, bidirectional: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """All layers and directions, with dropout between layers: outputs and last states."""
    directions = 2 if bidirectional else 1
    projected = len(states) == 2 and states[0].shape[-1] != states[1].shape[-1]
    weights = _layer_weights(params, biases, projected)
    lasts: list[list[Any]] = [[] for _ in states]
    for layer in range(layers):
        outs = []
        for direction in range(directions):
            k = layer * directions + direction
            initial = [s.select(0, k) for s in states]
            cell = initial[1] if len(initial) == 2 else None
            made = run(x, initial[0], cell, *weights[k], kind, direction == 1)
            outs.append(made[0])
            for kept, value in zip(lasts, made[1:], strict=True):
                kept.append(value)
        x = outs[0] if directions == 1 else ops.cat(outs, -1)
        if dropout and train and layer < layers - 1:
            x = nnf.dropout(x, dropout, True)
    return x, *(ops.stack(kept, 0) for kept in lasts)


def _padded(kind: str, args: Sequence[Any]) -> tuple[Any, ...]:
    input, hx, params, biases, layers, dropout, train, bidirectional, batch_first = args
    x = input.transpose(0, 1) if batch_first else input
    states = tuple(hx) if kind == "lstm" else (hx,)
    out, *last = _stack(
        kind, internal.rnn_layer, x, states, params, biases, layers, dropout, train, bidirectional
    )
    return out.transpose(0, 1) if batch_first else out, *last


def _packed(kind: str, args: Sequence[Any]) -> tuple[Any, ...]:
    data, batch_sizes, hx, params, biases, layers, dropout, train, bidirectional = args
    states = tuple(hx) if kind == "lstm" else (hx,)

    def run(x: Any, *rest: Any) -> Any:
        return internal.rnn_layer_packed(x, batch_sizes, *rest)

    return _stack(kind, run, data, states, params, biases, layers, dropout, train, bidirectional)


_PADDED = ("input", "hx", "params", "has_biases", "num_layers", "dropout", "train",
           "bidirectional", "batch_first")  # fmt: skip
_PACKED = ("data", "batch_sizes", "hx", "params", "has_biases", "num_layers", "dropout", "train",
           "bidirectional")  # fmt: skip


def _define(kind: str, name: str) -> None:
    def layer(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
        or (data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional).
        """
        packed = "data" in kwargs or "batch_sizes" in kwargs
        packed = packed or (len(args) > 3 and isinstance(args[3], list | tuple))
        names = _PACKED if packed else _PADDED
        rest = [kwargs[n] for n in names[len(args) :]]
        run = _packed if packed else _padded
        return run(kind, [*args, *rest])

    layer.__name__ = layer.__qualname__ = name
    composite(into=("torch",), name=name)(layer)


for _kind, _name in (("lstm", "lstm"), ("gru", "gru"), ("tanh", "rnn_tanh"), ("relu", "rnn_relu")):
    _define(_kind, _name)


def _check_cell(x: Any, h: Any, w_ih: Any, w_hh: Any) -> None:
    """Raise torch's errors for operands of a cell that do not fit."""
    if x.shape[-1] != w_ih.shape[1]:
        raise RuntimeError(
            f"input has inconsistent input_size: got {x.shape[-1]} expected {w_ih.shape[1]}"
        )
    if h.shape[-1] != w_hh.shape[1]:
        raise RuntimeError(
            f"hidden0 has inconsistent hidden_size: got {h.shape[-1]}, expected {w_hh.shape[1]}"
        )
    if x.shape[:-1] != h.shape[:-1]:
        raise RuntimeError(
            f"Input batch size {x.shape[0]} doesn't match hidden0 batch size {h.shape[0]}"
        )


@op("none", into=("internal",), grad_name="AddBackward0")
def one_step(
    input: Tensor, hidden: Tensor, cell: OptTensor, w_ih: Tensor, w_hh: Tensor, b_ih: OptTensor,
    b_hh: OptTensor, kind: str,
) -> Any:  # fmt: skip
    """One step of a recurrent cell: the new h, and c for the LSTM."""
    _check_cell(input, hidden, w_ih, w_hh)
    state = (hidden,) if cell is None else (hidden, cell)
    new = _cell(kind, _hidden(input, w_ih, b_ih), _hidden(hidden, w_hh, b_hh), state)
    return new if len(new) > 1 else new[0]


def _cell_in_steps(
    kind: str, x: Any, hidden: Any, cell: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any
) -> Any:
    """`one_step` of torch's single operators: each keeps what hooks want to see packed."""
    from_input, from_hidden = nnf.linear(x, w_ih, b_ih), nnf.linear(hidden, w_hh, b_hh)
    if kind == "lstm":
        i, f, g, o = (from_input + from_hidden).chunk(4, -1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        new = f * cell + i * g
        return o * new.tanh(), new
    if kind == "gru":
        x_r, x_z, x_n = from_input.chunk(3, -1)
        h_r, h_z, h_n = from_hidden.chunk(3, -1)
        n = (x_n + h_n * (x_r + h_r).sigmoid()).tanh()
        return (hidden - n) * (x_z + h_z).sigmoid() + n
    total = from_input + from_hidden
    return total.tanh() if kind == "tanh" else total.relu()


def _one_step(kind: str, x: Any, h: Any, c: Any, w: Any, u: Any, b_ih: Any, b_hh: Any) -> Any:
    if modes.saved_hooks:
        _check_cell(x, h, w, u)
        return _cell_in_steps(kind, x, h, c, w, u, b_ih, b_hh)
    return internal.one_step(x, h, c, w, u, b_ih, b_hh, kind)


@composite(into=("torch",))
def lstm_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Any, Any]:
    """One LSTM step from hx = (h, c): the new (h, c).

    Source: Hochreiter & Schmidhuber, 1997.
    """
    if len(hx) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    return _one_step("lstm", input, hx[0], hx[1], w_ih, w_hh, b_ih, b_hh)


@composite(into=("torch",))
def gru_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Tensor:
    """One GRU step: the new h.

    Source: Cho et al., 2014.
    """
    return _one_step("gru", input, hx, None, w_ih, w_hh, b_ih, b_hh)


@composite(into=("torch",))
def rnn_tanh_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Tensor:
    """tanh(w_ih input + b_ih + w_hh hx + b_hh)."""
    return _one_step("tanh", input, hx, None, w_ih, w_hh, b_ih, b_hh)


@composite(into=("torch",))
def rnn_relu_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Tensor:
    """relu(w_ih input + b_ih + w_hh hx + b_hh)."""
    return _one_step("relu", input, hx, None, w_ih, w_hh, b_ih, b_hh)
