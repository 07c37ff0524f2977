"""gather, scatter and their reductions: one position along `dim` for every element."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._autograd.tensor_base import TensorBase
from ..call.composites import last
from ..call.describe import scalar_name, show_size as show
from ..call.operator import broadcast_check
from ..registry import Operand, Tensor, composite, op, ops, wrap_dim
from ..shared.ranges import check_range
from .advanced import setter

# ---------------------------------------------------------------------------- checks


def in_range(input: Any, dim: int, index: Any, **_: Any) -> None:
    """Raise torch's error for an index outside the dimension (negative ones included)."""
    shape = input._aval.shape
    dim = wrap_dim(dim, len(shape))
    size = shape[dim] if shape else 1
    check_range(
        index, 0, size,
        lambda i: RuntimeError(f"index {i} is out of bounds for dimension {dim} with size {size}"),
    )  # fmt: skip


def _check_index(name: str, index: Any) -> None:
    if index.size and index.dtype not in (np.int32, np.int64):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")


def _check_gather(input: Any, dim: int, index: Any) -> None:
    if index.size == 0:
        return
    _check_index("gather", index)
    if max(index.ndim, 1) != max(input.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for d in range(input.ndim):
        if d != dim and index.shape[d] > input.shape[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {show(index.shape)} to be no "
                f"larger than self {show(input.shape)} apart from dimension {dim}"
            )


def _check_scatter(input: Any, dim: int, index: Any, src: Any) -> None:
    if index.size:
        _check_index("scatter", index)
    if src is not None and src.dtype != input.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if index.size == 0:
        return
    if max(index.ndim, 1) != max(input.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    if src is not None and max(src.ndim, 1) != max(index.ndim, 1):
        if src.ndim:
            wrap_dim(dim, src.ndim)
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    for d in range(index.ndim):
        over = d != dim and index.shape[d] > input.shape[d]
        if over or (src is not None and src.ndim and index.shape[d] > src.shape[d]):
            tail = "" if src is None else f" and to be no larger size than src {show(src.shape)}"
            raise RuntimeError(
                f"Expected index {show(index.shape)} to be no larger than self "
                f"{show(input.shape)} apart from dimension {dim}{tail}"
            )


def _vectors(dim: int, *arrays: Any) -> tuple[int, list[Any]]:
    """0-dim operands count as vectors of one element."""
    return dim, [array.reshape(1) if array.ndim == 0 else array for array in arrays]


def _coordinates(index: Any, dim: int) -> list[Any]:
    """For every element of `index` its position: its own, except along `dim`."""
    own = jnp.indices(index.shape, sparse=True)
    return [index if d == dim else own[d] for d in range(index.ndim)]


def _summed(x: Any, at: Any, values: Any) -> Any:
    """`x` with `values` added at positions; a sum of truth values is their disjunction."""
    return (x.at[at].max if x.dtype == bool else x.at[at].add)(values, mode="clip")


def _part(src: Any, index: Any) -> Any:
    """The elements of `src` that `index` has a position for."""
    return src[tuple(slice(0, n) for n in index.shape)]


# ---------------------------------------------------------------------------- gather


@op("none", guard=in_range)
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False):
    """`out[i][j] = input[index[i][j]][j]` for `dim = 0`, and likewise for others.

    Shape: that of `index`, which must fit into `input` apart from `dim`.
    Raises: RuntimeError for a position out of range.
    """
    dim = wrap_dim(dim, input.ndim)
    _check_gather(input, dim, index)
    if index.size == 0:
        return jnp.zeros(index.shape, input.dtype)
    dim, (x, at) = _vectors(dim, input, index)
    found = x.at[tuple(_coordinates(at, dim))].get(mode="clip")
    return found.reshape(index.shape)


@composite(out=True)
def take_along_dim(input, indices, dim=None) -> Tensor:
    """Gather along `dim` with broadcasting; without `dim`, positions count all elements.

    Negative positions count from the end.
    """
    if str(indices.dtype) not in ("torch.int64", "torch.int32"):
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got "
            f"{scalar_name(indices)}"
        )
    if dim is None:
        input, indices, dim = input.reshape(-1), indices.reshape(-1), 0
    if input.dim() != indices.dim():
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.dim()} dimensions for input, and {indices.dim()} dimensions for "
            "indices"
        )
    dim = wrap_dim(dim, input.dim())
    shape = list(broadcast_check([_but(input, dim), _but(indices, dim)]))
    wide = [*shape[:dim], input.shape[dim], *shape[dim + 1 :]]
    tall = [*shape[:dim], indices.shape[dim], *shape[dim + 1 :]]
    wrapped = ops.remainder(indices, input.shape[dim])
    return last(gather, input.expand(wide), dim, wrapped.expand(tall))


def _but(tensor: Any, dim: int) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    return (*shape[:dim], 1, *shape[dim + 1 :])


# ---------------------------------------------------------------------------- scatter


def _scatter(input: Any, dim: int, index: Any, src: Any, reduce: Any, single: bool = False) -> Any:
    dim = wrap_dim(dim, input.ndim)
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    _check_scatter(input, dim, index, None if single else src)
    if index.size == 0:
        return input
    dim, (x, at, values) = _vectors(dim, input, index, src)
    values = jnp.broadcast_to(values, at.shape) if single else _part(values, at)
    where = _coordinates(at, dim)
    if reduce == "add":
        made = _summed(x, tuple(where), values)
    elif reduce == "multiply":
        made = x.at[tuple(where)].multiply(values, mode="clip")
    else:
        made = setter(tuple(range(x.ndim)))(x, values, *where)
    return made.reshape(input.shape)


@op("none", guard=in_range, into=("internal",), name="_scatter_src", grad_name="ScatterBackward0")
def _scatter_src(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: Any = None):
    return _scatter(input, dim, index, src, reduce)


@op("none", guard=in_range, into=("internal",), name="_scatter_value", grad_name="ScatterBackward1")
def _scatter_value(input: Tensor, dim: int, index: Tensor, value: Operand, reduce: Any = None):
    return _scatter(input, dim, index, value.astype(input.dtype), reduce, single=True)


@composite(inplace=("method",), out=True)
def scatter(input, dim, index, src=None, *, value=None, reduce=None) -> Tensor:
    """A copy of `input` with `src` (or one value) written at the positions along `dim`.

    `out[index[i][j]][j] = src[i][j]` for `dim = 0`; `reduce` "add" or "multiply" combines instead.
    """
    given = value if src is None else src
    if given is None:
        raise TypeError('scatter() missing 1 required positional arguments: "src"')
    function = _scatter_src if isinstance(given, TensorBase) else _scatter_value
    return last(function, input, dim, index, given, reduce)


@op("none", guard=in_range, inplace=True, overlap="sum")
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor):
    """A copy of `input` with `src` added at the positions along `dim`."""
    return _scatter(input, dim, index, src, "add")


# ---------------------------------------------------------------------------- reductions


@functools.lru_cache(maxsize=256)
def product_at(dims: tuple[int, ...]) -> Any:
    """`f(x, values, *indices)`: x multiplied by the values at the positions.

    d out = P * sum(dx_i / x_i) over the factors of each element; with one factor zero, the product
    of the others times its change; with more, zero.
    """

    @jax.custom_jvp
    def multiply(x: Any, values: Any, *indices: Any) -> Any:
        return x.at[_at(x, dims, indices)].multiply(values, mode="clip")

    @multiply.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        x, values, *indices = primals
        dx, dv = tangents[:2]
        at = _at(x, dims, indices)
        zero_x, zero_v = x == 0, values == 0
        one, nil = jnp.ones((), x.dtype), jnp.zeros((), x.dtype)
        safe_x, safe_v = jnp.where(zero_x, one, x), jnp.where(zero_v, one, values)
        others = multiply(safe_x, safe_v, *indices)
        count = zero_x.astype(jnp.int32).at[at].add(zero_v.astype(jnp.int32), mode="clip")
        share = jnp.where(zero_x, nil, dx / safe_x)
        share = share.at[at].add(jnp.where(zero_v, nil, dv / safe_v), mode="clip")
        lone = jnp.where(zero_x, dx, nil).at[at].add(jnp.where(zero_v, dv, nil), mode="clip")
        tangent = others * jnp.where(count == 0, share, jnp.where(count == 1, lone, nil))
        return multiply(x, values, *indices), tangent

    return multiply


@functools.lru_cache(maxsize=256)
def extreme_at(dims: tuple[int, ...], largest: bool, include_self: bool) -> Any:
    """`f(x, values, *indices)`: the largest (or smallest) of x and the values at the positions.

    Elements that tie share the gradient equally. As in torch, x counts among those that tie even
    where `include_self=False` leaves it out.
    """

    @jax.custom_jvp
    def extreme(x: Any, values: Any, *indices: Any) -> Any:
        at = _at(x, dims, indices)
        if not include_self:
            x = x.at[at].set(_identity(x.dtype, "amax" if largest else "amin"), mode="clip")
        return (x.at[at].max if largest else x.at[at].min)(values, mode="clip")

    @extreme.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        x, values, *indices = primals
        dx, dv = tangents[:2]
        at = _at(x, dims, indices)
        result = extreme(x, values, *indices)
        mine = (x == result).astype(x.dtype)
        theirs = (values == result.at[at].get(mode="clip")).astype(x.dtype)
        ties = lax.stop_gradient(mine.at[at].add(theirs, mode="clip"))
        if not include_self:
            mine = mine.at[at].set(0, mode="clip")
        total = (mine * dx).at[at].add(theirs * dv, mode="clip")
        return result, total / jnp.maximum(ties, 1)

    return extreme


def _at(x: Any, dims: Any, indices: Any) -> tuple[Any, ...]:
    picks: list[Any] = [slice(None)] * x.ndim
    for dim, index in zip(dims, indices, strict=True):
        picks[dim] = index
    return tuple(picks)


def _identity(dtype: Any, reduce: str) -> Any:
    if reduce in ("sum", "mean", "prod"):
        return jnp.full((), 1 if reduce == "prod" else 0, dtype)
    low = reduce == "amax"
    if jnp.issubdtype(dtype, jnp.floating):
        return jnp.full((), -jnp.inf if low else jnp.inf, dtype)
    if jnp.issubdtype(dtype, jnp.bool_):
        return jnp.full((), not low, dtype)
    return jnp.full((), jnp.iinfo(dtype).min if low else jnp.iinfo(dtype).max, dtype)


def reduce_at(
    x: Any, values: Any, dims: tuple[int, ...], indices: list[Any], reduce: str, include_self: bool
) -> Any:
    """Combine values that fall on one position, with or without what was there."""
    at = _at(x, dims, indices)
    if reduce in ("amax", "amin"):
        return extreme_at(dims, reduce == "amax", include_self)(x, values, *indices)
    start = x
    if not include_self:
        start = x.at[at].set(_identity(x.dtype, reduce), mode="clip")
    if reduce == "sum":
        return _summed(start, at, values)
    if reduce == "prod" and x.dtype == bool:
        return start.at[at].min(values, mode="clip")
    if reduce == "prod":
        return product_at(dims)(start, values, *indices)
    total = start.at[at].add(values, mode="clip")
    count = (
        jnp.ones(x.shape, jnp.int32)
        if include_self
        else jnp.ones(x.shape, jnp.int32).at[at].set(0, mode="clip")
    )
    count = jnp.maximum(count.at[at].add(jnp.ones(values.shape, jnp.int32), mode="clip"), 1)
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return total / count.astype(x.dtype)
    return jnp.floor_divide(total, count.astype(x.dtype))


@op("none", guard=in_range, inplace=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
):
    """Combine `src` into a copy of `input` at the positions along `dim`.

    `reduce` is "sum", "prod", "mean", "amax" or "amin"; `include_self=False` leaves out what
    `input` holds at these positions.
    """
    dim = wrap_dim(dim, input.ndim)
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + reduce
        )
    _check_scatter(input, dim, index, src)
    if index.size == 0:
        return input
    dim, (x, at, values) = _vectors(dim, input, index, src)
    made = reduce_at(
        x, _part(values, at), tuple(range(x.ndim)), _coordinates(at, dim), reduce, include_self
    )
    return made.reshape(input.shape)
