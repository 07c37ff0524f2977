"""Rules of reductions, cumulative operations, sorting and arg-reductions.

Half types accumulate in float32, as XLA's do.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .table import Array, Run, in_float32, is_half, rule

_REDUCTIONS = {
    "reduce_sum": np.add, "reduce_prod": np.multiply, "reduce_max": np.maximum,
    "reduce_min": np.minimum, "reduce_and": np.bitwise_and, "reduce_or": np.bitwise_or,
    "reduce_xor": np.bitwise_xor,
}  # fmt: skip
# What an empty maximum or minimum is.
_EXTREMES = {"reduce_max": "low", "reduce_min": "high"}


def lowest(dtype: Any) -> Any:
    """The identity of max."""
    return _extreme(dtype, -np.inf, False, lambda i: i.min)


def highest(dtype: Any) -> Any:
    """The identity of min."""
    return _extreme(dtype, np.inf, True, lambda i: i.max)


def _extreme(dtype: Any, infinite: float, flag: bool, bound: Any) -> Any:
    if dtype.kind in "fV":
        return np.asarray(infinite, dtype)
    return np.asarray(flag) if dtype == np.bool_ else np.asarray(bound(np.iinfo(dtype)), dtype)


def _reduction(name: str, ufunc: Any) -> Any:
    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        axes, dtype = tuple(params["axes"]), outs[0].dtype
        if not axes:
            return lambda x: x
        if name in _EXTREMES:
            initial = lowest(dtype) if name == "reduce_max" else highest(dtype)
            if 0 in [ins[0].shape[a] for a in axes]:
                return lambda x: np.full(outs[0].shape, initial, dtype)
            return lambda x: np.asarray(ufunc.reduce(x, axis=axes))
        if is_half(dtype):
            run = functools.partial(ufunc.reduce, axis=axes, dtype=np.float32)
            return in_float32(run, dtype)
        if name == "reduce_sum" and dtype.kind in "fc" and _is_long(ins[0].shape, axes):
            return functools.partial(_long_sum, axes=axes, dtype=dtype)
        if name == "reduce_sum" and dtype == np.float32 and _count(ins[0].shape, axes) > MANY:
            # numpy is pairwise along one axis only, and rounds at each of the others.
            return lambda x: np.asarray(np.add.reduce(x, axis=axes, dtype=np.float64), dtype)
        return lambda x: np.asarray(ufunc.reduce(x, axis=axes, dtype=dtype))

    return make


for _name, _ufunc in _REDUCTIONS.items():
    rule(_name)(_reduction(_name, _ufunc))


def _is_long(shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether numpy would add many float32 rows one after the other (it is pairwise on the last
    axis only)."""
    return len(shape) - 1 not in axes and _count(shape, axes) > MANY


MANY = 64  # terms of a sum from which on the order of adding matters


def _count(shape: Sequence[int], axes: Sequence[int]) -> int:
    return math.prod(shape[a] for a in axes)


def _long_sum(x: Array, *, axes: tuple[int, ...], dtype: Any) -> Array:
    """A sum over outer axes as matrix products with ones: BLAS adds in blocks."""
    kept = [d for d in range(x.ndim) if d not in axes]
    rows = x.transpose([*axes, *kept]).reshape(
        math.prod(x.shape[a] for a in axes), math.prod(x.shape[d] for d in kept)
    )
    ones = np.ones(rows.shape[0], dtype)
    return np.asarray(ones @ rows).reshape([x.shape[d] for d in kept])


def _arg(function: Any) -> Any:
    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        (axis,), dtype = params["axes"], outs[0].dtype
        half = is_half(ins[0].dtype)

        def run(x: Array) -> Array:
            wide = x.astype(np.float32) if half else x
            return np.asarray(function(wide, axis=axis)).astype(dtype)

        return run

    return make


rule("argmax")(_arg(np.argmax))
rule("argmin")(_arg(np.argmin))


def _cumulative(accumulate: Any) -> Any:
    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        axis, reverse, dtype = params["axis"], params["reverse"], outs[0].dtype

        def run(x: Array) -> Array:
            flipped = np.flip(x, axis) if reverse else x
            made = accumulate(flipped, axis=axis, dtype=x.dtype)
            return np.flip(made, axis) if reverse else made

        return in_float32(run, dtype) if is_half(dtype) else run

    return make


rule("cumsum")(_cumulative(np.add.accumulate))
rule("cumprod")(_cumulative(np.multiply.accumulate))
rule("cummax")(_cumulative(np.maximum.accumulate))
rule("cummin")(_cumulative(np.minimum.accumulate))
rule("cumlogsumexp")(_cumulative(np.logaddexp.accumulate))


def _sortable(x: Array) -> Array:
    return x.astype(np.float32) if is_half(x.dtype) else x


@rule("sort")
def _sort(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    axis, keys = params["dimension"], params["num_keys"]
    if len(ins) == 1 and not is_half(ins[0].dtype):
        return lambda x: [np.sort(x, axis=axis, kind="stable")]

    def run(*arrays: Array) -> list[Array]:
        if keys == 1:
            order = np.argsort(_sortable(arrays[0]), axis=axis, kind="stable")
        else:
            order = np.lexsort([_sortable(k) for k in reversed(arrays[:keys])], axis=axis)
        return [np.take_along_axis(x, order, axis) for x in arrays]

    return run


@rule("top_k")
def _top_k(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    k, axis = params["k"], params.get("axis", -1)
    dtype = outs[1].dtype

    def run(x: Array) -> list[Array]:
        # Ascending and stable on the reversed row: descending with the first of equals first.
        order = np.argsort(_sortable(np.flip(x, axis)), axis=axis, kind="stable")
        largest = np.take(np.flip(order, axis), np.arange(k), axis=axis)
        index = x.shape[axis] - 1 - largest
        return [np.take_along_axis(x, index, axis), index.astype(dtype)]

    return run
