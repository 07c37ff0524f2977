"""Rules of primitives that move elements: views wherever numpy has one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .table import Array, Run, rule


@rule("reshape")
def _reshape(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    shape, order = outs[0].shape, params.get("dimensions")
    if order is not None:
        return lambda x, *_: x.transpose(order).reshape(shape)
    return lambda x, *_: x.reshape(shape)


@rule("squeeze", "expand_dims")
def _squeeze(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    shape = outs[0].shape
    return lambda x: x.reshape(shape)


@rule("transpose")
def _transpose(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    order = tuple(params["permutation"])
    return lambda x: x.transpose(order)


@rule("broadcast_in_dim")
def _broadcast_in_dim(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    shape, dims = outs[0].shape, params["broadcast_dimensions"]
    middle = [1] * len(shape)
    for d, n in zip(dims, ins[0].shape, strict=True):
        middle[d] = n
    middle_shape = tuple(middle)
    if middle_shape == shape:
        return lambda x, *_: x.reshape(shape)
    strides_at = [k for k, d in enumerate(dims) if ins[0].shape[k] == shape[d]]
    to = [dims[k] for k in strides_at]

    def run(x: Array, *_: Any) -> Array:
        # Stride 0 along what is new: np.broadcast_to without its checks.
        strides = [0] * len(shape)
        for k, d in zip(strides_at, to, strict=True):
            strides[d] = x.strides[k]
        return (
            np.ndarray(shape, x.dtype, x, 0, strides)
            if _has_buffer(x)
            else np.broadcast_to(x.reshape(middle_shape), shape)
        )

    return run


def _has_buffer(x: Array) -> bool:
    """Whether `np.ndarray` can be laid over x (not for ml_dtypes, nor for reversed views)."""
    return x.dtype.kind != "V" and x.flags.c_contiguous and x.size > 0


@rule("concatenate")
def _concatenate(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    axis = params["dimension"]
    return lambda *parts: np.concatenate(parts, axis)


@rule("stack")
def _stack(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    axis = params["axis"]
    shape = list(ins[0].shape)
    shape.insert(axis, 1)
    middle = tuple(shape)
    return lambda *parts: np.concatenate([x.reshape(middle) for x in parts], axis)


@rule("unstack")
def _unstack(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    axis = params["axis"]

    def run(x: Array) -> list[Array]:
        moved = np.moveaxis(x, axis, 0)
        return [moved[k, ...] for k in range(len(outs))]

    return run


@rule("tile")
def _tile(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    reps = tuple(params["reps"])
    return lambda x: np.tile(x, reps)


@rule("split")
def _split(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    axis = params["axis"]
    ends = [0, *np.cumsum(params["sizes"]).tolist()]
    lead = (slice(None),) * axis
    where = [(*lead, slice(a, b)) for a, b in itertools.pairwise(ends)]
    return lambda x: [x[w] for w in where]


@rule("slice")
def _slice(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    steps = params["strides"] or (1,) * ins[0].ndim
    where = tuple(
        slice(a, b, s)
        for a, b, s in zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    )
    return lambda x: x[where]


@rule("rev")
def _rev(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dims = params["dimensions"]
    where = tuple(slice(None, None, -1 if d in dims else None) for d in range(ins[0].ndim))
    return lambda x: x[where]


@rule("pad")
def _pad(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    config, shape, dtype = params["padding_config"], outs[0].shape, outs[0].dtype
    # Where each element lands; negative padding cuts elements off.
    into, out_of = [], []
    for (low, _, interior), n, size in zip(config, ins[0].shape, shape, strict=True):
        step = interior + 1
        first = max(0, -(low // step))  # the first element at 0 or later
        last = min(n, (size - 1 - low) // step + 1)
        start = low + first * step
        count = max(last - first, 0)
        into.append(slice(start, start + (count - 1) * step + 1 if count else start, step))
        out_of.append(slice(first, first + count))
    into_at, out_of_at = tuple(into), tuple(out_of)

    def run(x: Array, value: Array) -> Array:
        made = np.full(shape, value, dtype) if value else np.zeros(shape, dtype)
        made[into_at] = x[out_of_at]
        return made

    return run


@rule("iota")
def _iota(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    shape, dim, dtype = outs[0].shape, params["dimension"], outs[0].dtype
    middle = [1] * len(shape)
    middle[dim] = shape[dim]
    made = np.broadcast_to(np.arange(shape[dim]).astype(dtype).reshape(middle), shape)
    return lambda *_: made


@rule("empty", "empty2")
def _empty(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    shape, dtype = outs[0].shape, outs[0].dtype
    return lambda *_: np.zeros(shape, dtype)


def _clamped(starts: Sequence[Any], sizes: Sequence[int], shape: Sequence[int]) -> Any:
    where = []
    for start, size, n in zip(starts, sizes, shape, strict=True):
        low = int(start)
        if low < 0:
            low = 0
        if low > n - size:
            low = n - size
        where.append(slice(low, low + size))
    return tuple(where)


@rule("dynamic_slice")
def _dynamic_slice(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    shape, sizes = ins[0].shape, params["slice_sizes"]
    return lambda x, *starts: x[_clamped(starts[: len(shape)], sizes, shape)]


@rule("dynamic_update_slice")
def _dynamic_update_slice(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    return lambda x, update, *starts: update_slice(x.copy(), update, *starts)


def update_slice(x: Array, update: Array, *starts: Any) -> Array:
    """Write `update` into `x` itself at the clamped starts."""
    x[_clamped(starts, update.shape, x.shape)] = update
    return x
