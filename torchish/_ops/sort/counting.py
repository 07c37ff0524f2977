"""Distinct elements and counts: results whose size depends on the data, so it is read first."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.numpy import ndarray as Array

from ..._autograd.interop import host_array
from ..._basics.dtypes import SCALAR_NAMES, float32, float64
from ..call.composites import last
from ..create.filled import finish
from ..reduce.order import bin_range
from ..registry import OptTensor, Scalar, Tensor, composite, op, wrap_dim
from ..shared import numeric as num


def _comparable(x: Any) -> np.ndarray[Any, Any]:
    """The contents in a dtype that numpy sorts."""
    array = host_array(x)
    return array.astype(np.float32) if x.dtype.name in ("bfloat16", "float16") else array


def _answer(input: Any, parts: list[Any], wanted: list[bool], axis: int | None) -> Any:
    """The first part and those of the others that were asked for, as tensors.

    Slices along `axis` lie in memory one after the other, as torch leaves them.
    """
    first = parts[0] if axis is None else np.moveaxis(parts[0], axis, 0)
    made = [finish(np.ascontiguousarray(first).astype(input.dtype.np), input.device, False)]
    if axis:
        made[0] = made[0].movedim(0, axis)
    for part, is_wanted in zip(parts[1:], wanted, strict=True):
        if is_wanted:
            array = np.asarray(part, np.int64, order="C")
            made.append(finish(array, input.device, False))
    return made[0] if len(made) == 1 else tuple(made)


@composite()
def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements in order (slices along `dim`), with inverse indices and counts.

    Shape: the inverse has the shape of `input`, or the length of `dim`.
    """
    array = _comparable(input)
    axis = None if dim is None else wrap_dim(dim, input.dim())
    if axis is not None:
        values, inverse, counts = np.unique(
            array, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
        )
        inverse = inverse.reshape(-1)
    else:
        values, inverse, counts = np.unique(
            array, return_inverse=True, return_counts=True, equal_nan=False
        )
        inverse = inverse.reshape(tuple(input.shape))
    return _answer(input, [values, inverse, counts], [return_inverse, return_counts], axis)


@composite()
def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equal elements (slices along `dim`)."""
    array = _comparable(input)
    axis = None if dim is None else wrap_dim(dim, input.dim())
    rows = array.reshape(-1) if axis is None else np.moveaxis(array, axis, 0)
    count = rows.shape[0] if rows.ndim else 1
    flat = rows.reshape(count, math.prod(rows.shape[1:]))
    starts = np.ones(count, bool)
    starts[1:] = (flat[1:] != flat[:-1]).any(axis=1)
    values = rows[starts] if axis is None else np.moveaxis(rows[starts], 0, axis)
    inverse = np.cumsum(starts) - 1
    if axis is None:
        inverse = inverse.reshape(array.shape)
    counts = np.diff(np.append(np.flatnonzero(starts), count))
    return _answer(input, [values, inverse, counts], [return_inverse, return_counts], axis)


@composite()
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each non-negative integer occurs, or the sum of its `weights`."""
    if input.dtype.is_floating_point or input.dtype.name == "bool" or input.dtype.is_complex:
        raise NotImplementedError(
            f"\"bincount_cpu\" not implemented for '{SCALAR_NAMES[input.dtype]}'"
        )
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    array = host_array(input)
    if (input.dim() != 1 and input.numel() > 0) or (array.size and array.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and tuple(weights.shape) != tuple(input.shape):
        raise RuntimeError("weights should be 1-d and have the same length as input")
    flat = array.reshape(-1).astype(np.int64)
    if weights is None:
        return finish(np.bincount(flat, minlength=minlength), input.device, False)
    kind = float32 if weights.dtype is float32 else float64
    sums = np.bincount(flat, host_array(weights).astype(np.float64), minlength)
    return finish(sums.astype(kind.np), input.device, False)


def _counts(x: Array, weight: Array | None, edges: Array, density: bool) -> Array:
    """Counts between `edges`; the last bin includes its right edge, NaN is in none."""
    last = edges.shape[0] - 1
    place = jnp.searchsorted(edges, x, side="right") - 1
    place = jnp.where(x == edges[-1], last - 1, place)
    inside = (x >= edges[0]) & (x <= edges[-1])
    amount = jnp.ones_like(x) if weight is None else weight
    amount = jnp.where(inside, amount, jnp.zeros_like(amount))
    counts = jnp.zeros(last, x.dtype).at[jnp.where(inside, place, 0)].add(amount)
    return counts / jnp.sum(counts) / jnp.diff(edges) if density else counts


@op("none", into=("internal",), name="histogram", returns="hist bin_edges", differentiable=False)
def _histogram(
    input: Tensor, weight: OptTensor, low: Scalar, high: Scalar, bins: int, density: bool
) -> Any:
    x = input.reshape(-1)
    if x.size:
        first, last = bin_range(x, low, high, 0.5)
    else:
        first, last = num.as_dtype(0, x), num.as_dtype(1, x)
    edges = jnp.linspace(first, last, bins + 1, dtype=x.dtype)
    flat = None if weight is None else weight.reshape(-1)
    return _counts(x, flat, edges, density), edges


@op("none", into=("internal",), name="histogram_edges", differentiable=False)
def _histogram_edges(input: Tensor, weight: OptTensor, edges: Tensor, density: bool) -> Array:
    flat = None if weight is None else weight.reshape(-1)
    return _counts(input.reshape(-1), flat, edges, density)


def _check_histogram(input: Any, weight: Any) -> None:
    if not input.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"histogramdd\" not implemented for '{SCALAR_NAMES[input.dtype]}'"
        )
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided, it should have the same dtype as "
            "the input tensor"
        )


@composite(out=True)
def histogram(
    input: Any,
    bins: Any = 100,
    *,
    range: Any = None,
    weight: Any = None,
    density: bool = False,
) -> Any:
    """Counts in `bins` equal bins (or between the given edges), and the edges."""
    _check_histogram(input, weight)
    if not isinstance(bins, int):
        from ..call.return_types import return_type

        found = (_histogram_edges(input, weight, bins, density), bins.clone())
        return return_type("histogram", "hist bin_edges")(found)
    low, high = (0.0, 0.0) if range is None else range
    return last(_histogram, input, weight, low, high, bins, density)


@composite()
def histogramdd(
    input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
) -> Any:
    """Counts of points in a grid of bins, and the edges along each dim."""
    from ..call.return_types import return_type

    _check_histogram(input, weight)
    points = host_array(input).reshape(-1, input.shape[-1])
    count = points.shape[1]
    if isinstance(bins, int):
        bins = [bins] * count
    if len(bins) != count:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    if range is not None:
        range = [tuple(range[2 * d : 2 * d + 2]) for d in np.arange(count)]
    parts: list[Any] = [b if isinstance(b, int) else host_array(b) for b in bins]
    weights = None if weight is None else host_array(weight).reshape(-1)
    counts, edges = np.histogramdd(points, parts, range, density, weights)
    kind = input.dtype.np
    made = [finish(e.astype(kind), input.device, False) for e in edges]
    hist = finish(counts.astype(kind), input.device, False)
    return return_type("histogramdd", "hist bin_edges")((hist, tuple(made)))
