"""The maximum of sliding windows and its place, and reading and adding at places, as primitives.

    max_pool:   x -> best, index        the maximum of each window, its flat spatial index
    at_winners: x, index -> x[index]    what the tangent of `best` is
    to_winners: g, index -> x           its transpose: sums of g at its places

Primitives, so that each place has its own: numpy's loops while interpreted, one call of
torchish-cpu each where that is installed (XLA's loops over strided windows run scalar, and its
scatter too: 7.8 of a small convnet's 37 ms), XLA's operators everywhere else. As in torch the first
of equal elements wins, and a NaN wins over everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching

from ..._interpret.table import Array, Run, rule
from ..conv import onednn
from ..shared import numeric as num
from ..shared.primitives import define
from ..shared.windows import Windows, taps


def argmax_windows(x: Any, win: Windows) -> tuple[Any, Any]:
    """The maximum of each window and its flat index (int32) in the spatial dimensions."""
    best, index = _max_pool.bind(x, win=win)
    return best, index


def at_winners(x: Any, index: Any, nd: int) -> Any:
    """x[..., index] over the flattened last `nd` dimensions."""
    return _at_winners.bind(x, index, nd=nd)


# ------------------------------------------------------------------------------ by XLA's operators


def _separable(x: Any, win: Windows) -> list[Any]:
    """Strided slices, one pass a dimension."""
    nd = len(win.size)
    first = x.ndim - nd
    fill = num.finfo_min(x.dtype)
    index: Any = None
    for dim in reversed(range(nd)):
        axis = first + dim
        parts = taps(x, axis, win, dim, fill)
        before: Any = None if index is None else taps(index, axis, win, dim, 0)
        best = parts[0]
        where = jnp.zeros(best.shape, jnp.int32)
        carried: Any = None if before is None else before[0]
        for k, part in enumerate(parts[1:], 1):
            better = part > best
            if num.is_float(x):
                better = better | (part != part)
            entering = _enters(win, dim, k)
            if entering.any():
                better = better | entering.reshape(-1, *(1,) * (x.ndim - 1 - axis))
            best = jnp.where(better, part, best)
            where = jnp.where(better, jnp.int32(k), where)
            if before is not None:
                carried = jnp.where(better, before[k], carried)
        start = lax.broadcasted_iota(jnp.int32, best.shape, axis) * jnp.int32(win.stride[dim])
        place = start - jnp.int32(win.padding[dim]) + where * jnp.int32(win.dilation[dim])
        step = jnp.int32(math.prod(win.size[dim + 1 :]))
        index = place * step if carried is None else carried + place * step
        x = best
    return [x, index]


def _enters(win: Windows, dim: int, k: int) -> np.ndarray:
    """Which windows have their first element inside the input at tap k: padding never wins."""
    at = np.arange(win.output[dim]) * win.stride[dim] - win.padding[dim] + k * win.dilation[dim]
    return (at >= 0) & (at - win.dilation[dim] < 0)


def _flat(index: Any, rows: int, size: int) -> Any:
    """Places in all rows laid end to end."""
    offsets = jnp.arange(rows, dtype=index.dtype)[:, None] * size
    return (index.reshape(rows, -1) + offsets).reshape(-1)


def _gather(x: Any, index: Any, *, nd: int) -> Any:
    size = math.prod(x.shape[x.ndim - nd :])
    rows = math.prod(x.shape[: x.ndim - nd])
    at = _flat(index, rows, size)
    return x.reshape(-1).at[at].get(mode="promise_in_bounds").reshape(index.shape)


def _scatter(g: Any, index: Any, *, size: tuple[int, ...]) -> Any:
    lead = g.shape[: g.ndim - len(size)]
    rows, flat = math.prod(lead), math.prod(size)
    zeros = jnp.zeros(rows * flat, g.dtype)
    at = _flat(index, rows, flat)
    return zeros.at[at].add(g.reshape(-1), mode="promise_in_bounds").reshape(*lead, *size)


# ------------------------------------------------------------------------------- by torchish-cpu


def _is_native(x: Any) -> bool:
    return x.dtype == jnp.float32 and 0 not in x.shape and onednn.is_wanted()


def _native_max(x: Any, *, win: Windows) -> list[Any]:
    if not _is_native(x) or math.prod(win.size) >= 1 << 31:
        return _separable(x, win)
    shape = (*x.shape[: x.ndim - len(win.size)], *win.output)
    results = [jax.ShapeDtypeStruct(shape, d) for d in (jnp.float32, jnp.int32)]
    options = {name: np.array(value, np.int64) for name, value in win._asdict().items()}
    return list(jax.ffi.ffi_call(onednn.MAX_POOL, results)(x, **options))


def _native_scatter(g: Any, index: Any, *, size: tuple[int, ...]) -> Any:
    if not _is_native(g) or index.dtype != jnp.int32:
        return _scatter(g, index, size=size)
    result = jax.ShapeDtypeStruct((*g.shape[: g.ndim - len(size)], *size), g.dtype)
    call = jax.ffi.ffi_call(onednn.MAX_POOL_GRADIENT, result)
    return call(g, index, inputs=np.int64(math.prod(size)))


# ----------------------------------------------------------------------------------- primitives


def _define(
    name: str, shape: Any, generic: Any, cpu: Any, static: str, several: bool = False
) -> Any:
    primitive = define(
        name, shape, generic, cpu, static=[static], several=several, around=onednn.portable
    )

    def batch(args: Sequence[Any], dims: Sequence[Any], **params: Any) -> Any:
        size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
        front = [batching.bdim_at_front(x, d, size) for x, d in zip(args, dims, strict=True)]
        made = primitive.bind(*front, **params)
        return (made, [0] * len(made)) if several else (made, 0)

    batching.primitive_batchers[primitive] = batch
    return primitive


def _shape_max(x: Any, *, win: Windows) -> list[Any]:
    shape = (*x.shape[: x.ndim - len(win.size)], *win.output)
    return [
        x.update(shape=shape, weak_type=False),
        x.update(shape=shape, dtype=np.dtype(np.int32), weak_type=False),
    ]


def _shape_at(x: Any, index: Any, *, nd: int) -> Any:
    return x.update(shape=index.shape, weak_type=False)


def _shape_to(g: Any, index: Any, *, size: tuple[int, ...]) -> Any:
    return g.update(shape=(*g.shape[: g.ndim - len(size)], *size), weak_type=False)


_max_pool = _define(
    "max_pool", _shape_max, lambda x, *, win: _separable(x, win), _native_max, "win", True
)
_at_winners = _define("at_winners", _shape_at, _gather, None, "nd")
_to_winners = _define("to_winners", _shape_to, _scatter, _native_scatter, "size")


def _still(value: Any) -> Any:
    return ad.Zero(jax.typeof(value).to_tangent_aval())


def _max_jvp(primals: Any, tangents: Any, *, win: Windows) -> Any:
    best, index = _max_pool.bind(*primals, win=win)
    none = _still(index)
    if type(tangents[0]) is ad.Zero:
        return (best, index), (_still(best), none)
    moved = at_winners(ad.instantiate_zeros(tangents[0]), index, len(win.size))
    return (best, index), (moved, none)


def _linear(primitive: Any) -> None:
    """The tangent of a primitive that is linear in its first operand; places have none."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        made = primitive.bind(*primals, **params)
        if type(tangents[0]) is ad.Zero:
            return made, _still(made)
        return made, primitive.bind(tangents[0], primals[1], **params)

    ad.primitive_jvps[primitive] = jvp


def _at_transposed(ct: Any, x: Any, index: Any, *, nd: int) -> list[Any]:
    if type(ct) is ad.Zero:
        return [ad.Zero(x.aval), None]
    return [_to_winners.bind(ct, index, size=tuple(x.aval.shape[x.aval.ndim - nd :])), None]


def _to_transposed(ct: Any, g: Any, index: Any, *, size: tuple[int, ...]) -> list[Any]:
    if type(ct) is ad.Zero:
        return [ad.Zero(g.aval), None]
    return [_at_winners.bind(ct, index, nd=len(size)), None]


ad.primitive_jvps[_max_pool] = _max_jvp
for _primitive in (_at_winners, _to_winners):
    _linear(_primitive)
ad.primitive_transposes[_at_winners] = _at_transposed
ad.primitive_transposes[_to_winners] = _to_transposed


# --- in numpy -------------------------------------------------------------------------------------


def _slices(win: Windows, dim: int, k: int) -> tuple[Any, Any]:
    """The windows along a dimension whose tap k lies inside the input, and those elements."""
    at = np.arange(win.output[dim]) * win.stride[dim] - win.padding[dim] + k * win.dilation[dim]
    inside = np.flatnonzero((at >= 0) & (at < win.size[dim]))
    if not len(inside):
        return slice(0, 0), slice(0, 0)
    first, last = int(inside[0]), int(inside[-1])
    start = int(at[first])
    return slice(first, last + 1), slice(start, int(at[last]) + 1, win.stride[dim])


@rule("max_pool")
def _numpy_max(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run | None:
    win, dtype = params["win"], np.dtype(outs[0].dtype)
    if dtype.kind not in "fiu" or dtype.itemsize < 4:
        return None
    nd = len(win.size)
    lead = outs[0].shape[: len(outs[0].shape) - nd]
    places = np.arange(math.prod(win.size), dtype=np.int32).reshape(win.size)
    steps = [
        [_slices(win, dim, k) for dim, k in enumerate(at)] for at in np.ndindex(*win.kernel)
    ]  # fmt: skip
    is_float = dtype.kind == "f"

    def run(x: Array) -> list[Array]:
        best = np.zeros((*lead, *win.output), dtype)
        index = np.full((*lead, *win.output), -1, np.int32)
        for step in steps:
            to, taken = zip(*step, strict=True)
            now, where, part = best[..., *to], index[..., *to], x[..., *taken]
            better = (part > now) | (where < 0)
            if is_float:
                better |= np.isnan(part)
            np.copyto(now, part, where=better)
            np.copyto(where, places[taken], where=better)
        return [best, index]

    return run


def _rows(shape: Sequence[int], nd: int) -> tuple[int, int]:
    return math.prod(shape[: len(shape) - nd]), math.prod(shape[len(shape) - nd :])


@rule("at_winners")
def _numpy_at(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run | None:
    rows, size = _rows(ins[0].shape, params["nd"])
    if 0 in ins[0].shape or 0 in outs[0].shape:
        return None

    def run(x: Array, index: Array) -> Array:
        found = np.take_along_axis(x.reshape(rows, size), index.reshape(rows, -1), 1)
        return found.reshape(outs[0].shape)

    return run


@rule("to_winners")
def _numpy_to(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run | None:
    dtype = np.dtype(outs[0].dtype)
    rows, size = _rows(outs[0].shape, len(params["size"]))
    if dtype not in (np.float32, np.float64) or 0 in ins[0].shape or 0 in outs[0].shape:
        return None
    offsets = (np.arange(rows, dtype=np.int64) * size)[:, None]

    def run(g: Array, index: Array) -> Array:
        at = (index.reshape(rows, -1) + offsets).reshape(-1)
        made = np.bincount(at, weights=g.reshape(-1), minlength=rows * size)
        return made.astype(dtype, copy=False).reshape(outs[0].shape)

    return run
