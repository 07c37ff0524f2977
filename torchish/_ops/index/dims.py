"""index_select and its kin: a vector of positions along one dimension; take and put over all."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..call.describe import scalar_name, show_size as show
from ..call.fronts import numbered_by
from ..registry import Operand, Scalar, Tensor, op, wrap_dim
from ..shared.memory_format import preserve
from ..shared.ranges import check_range
from .advanced import setter
from .scatter import reduce_at


def _positions(error: Any, negative: bool = False) -> Any:
    """A guard: `index` within the size of `dim`."""

    def guard(input: Any, dim: int, index: Any, **_: Any) -> None:
        shape = input._aval.shape
        dim = wrap_dim(dim, len(shape))
        size = shape[dim] if shape else 1
        check_range(index, -size if negative else 0, size, lambda i: error(i, dim, size))

    return guard


def _out_of_range(i: int, dim: int, size: int) -> Exception:
    return IndexError("index out of range in self")


def _bounds_add(i: int, dim: int, size: int) -> Exception:
    return RuntimeError(f"index {i} is out of bounds for dimension {dim} with size {size}")


def _bounds_copy(i: int, dim: int, size: int) -> Exception:
    return IndexError(
        f"index_copy_(): index {i} is out of bounds for dimension {dim} with size {size}"
    )


def _bounds_fill(i: int, dim: int, size: int) -> Exception:
    return IndexError(f"index {i} is out of bounds for dimension {dim} with size {size}")


def _vectors(input: Any, index: Any) -> tuple[Any, Any]:
    return input.reshape(1) if input.ndim == 0 else input, index.reshape(-1)


def _along(ndim: int, dim: int, index: Any) -> tuple[Any, ...]:
    return (*[slice(None)] * dim, index, *[slice(None)] * (ndim - dim - 1))


@op("none", guard=_positions(_out_of_range))
def index_select(input: Tensor, dim: int, index: Tensor):
    """The slices of `input` at the positions `index` along `dim`, as a copy.

    Raises: IndexError for positions out of range, negative ones included.
    """
    dim = wrap_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in (np.int32, np.int64):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    x, at = _vectors(input, index)
    if input.ndim == 0 and at.size != 1:
        raise RuntimeError(
            f"index_select(): Index to scalar can have only 1 value, got {at.size} value(s)"
        )
    if x.ndim > 1 and x.shape[dim] == 0 and at.size:
        raise RuntimeError("index_select(): self indexing axis dim should be positive")
    if x.shape[dim] == 0:  # the guard refuses every position
        shape = (*x.shape[:dim], at.size, *x.shape[dim + 1 :])
        return jnp.zeros(shape, x.dtype)
    found = x.at[_along(x.ndim, dim, at)].get(mode="clip")
    return found.reshape(()) if input.ndim == 0 else found


def _add_fits(input: Any, dim: int, index: Any, **_: Any) -> None:
    if input._aval.numel:
        _positions(_bounds_add)(input, dim, index)
    elif input._aval.ndim < 2:  # else torch looks at no position
        _positions(_out_of_range)(input, dim, index)


def _check_add(name: str, input: Any, dim: int, index: Any, source: Any) -> None:
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{scalar_name(index)} and size: {show(index.shape)}"
        )
    if index.dtype not in (np.int32, np.int64):
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index but got: {scalar_name(index)}"
        )
    if input.dtype != source.dtype:
        raise RuntimeError(
            f"{name}(): self ({scalar_name(input)}) and source ({scalar_name(source)}) must have "
            "the same scalar type"
        )
    others = [n for d, n in enumerate(input.shape) if d != dim]
    if source.ndim != input.ndim or [n for d, n in enumerate(source.shape) if d != dim] != others:
        if source.ndim or input.ndim > 1:
            raise RuntimeError(
                "source tensor shape must match self tensor shape, excluding the specified "
                f"dimension. Got self.shape = {show(input.shape)} source.shape = "
                f"{show(source.shape)}"
            )
    length = source.shape[dim] if source.ndim else 1
    if index.size != length and source.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if index.size != length:
        raise RuntimeError(
            f"{name}(): Number of indices ({index.size}) should be equal to source.size(dim): "
            f"({length}), for dim: {dim}"
        )


@op("none", guard=_add_fits, inplace=True, overlap="sum")
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Scalar = 1):
    """A copy of `input` with `alpha * source[i]` added to slice `index[i]` along `dim`."""
    dim = wrap_dim(dim, input.ndim)
    _check_add("index_add_", input, dim, index, source)
    x, at = _vectors(input, index)
    source = source.reshape(1) if source.ndim == 0 else source
    if x.dtype == bool:
        source = source & jnp.asarray(alpha, bool)
        return x.at[_along(x.ndim, dim, at)].max(source, mode="clip").reshape(input.shape)
    made = x.at[_along(x.ndim, dim, at)].add(alpha * source, mode="clip")
    return made.reshape(input.shape)


def _check_copy(input: Any, dim: int, index: Any, source: Any) -> None:
    if index.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {index.ndim})")
    if index.dtype != np.int64:
        raise RuntimeError(
            f"index_copy_(): Expected a long tensor for index, but got {scalar_name(index)}"
        )
    if input.dtype != source.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{scalar_name(input)} and (source) {scalar_name(source)}"
        )
    mine = [n for d, n in enumerate(input.shape) if d != dim]
    theirs = [n for d, n in enumerate(source.shape) if d != dim]
    if mine != theirs:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination "
            f"slice shape: {' '.join(map(str, mine))} at dimension {dim} and source slice shape: "
            f"{' '.join(map(str, theirs))} at dimension {dim}."
        )
    length = source.shape[dim] if source.ndim else 1
    if index.size != length:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.size}) should be equal to "
            f"source.size(dim) ({length})"
        )


@op("none", guard=_positions(_bounds_copy), inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor):
    """A copy of `input` with slice `index[i]` along `dim` replaced by `source[i]`."""
    dim = wrap_dim(dim, input.ndim)
    _check_copy(input, dim, index, source)
    x, at = _vectors(input, index)
    source = source.reshape(1) if source.ndim == 0 else source
    return setter((dim,))(x, source, at).reshape(input.shape)


def _fill_fits(input: Any, dim: int, index: Any, value: Any) -> None:
    if isinstance(value, complex) and not input._aval.dtype.is_complex:
        raise RuntimeError(
            "index_fill_(): Converting complex Scalar to non-complex type is not supported"
        )
    if input._aval.numel == 0 and input._aval.shape[wrap_dim(dim, input._aval.ndim)]:
        return  # torch does not look at the positions either
    _positions(_bounds_fill, negative=True)(input, dim, index)


@op("none", guard=_fill_fits, inplace=True, layout=preserve, expanded="index_fill_",
    grad_name=numbered_by("value", "IndexFill"))  # fmt: skip
def index_fill(input: Tensor, dim: int, index: Tensor, value: Operand):
    """A copy of `input` with the slices at `index` along `dim` set to one value."""
    dim = wrap_dim(dim, input.ndim)
    if index.dtype != np.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if value.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    x, at = _vectors(input, index)
    # By a mask, so that a slice named twice counts once in the gradient of `value`.
    hit = jnp.zeros(x.shape[dim], jnp.bool_).at[at].set(True)
    hit = hit.reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    return jnp.where(hit, value.astype(x.dtype), x).reshape(input.shape)


@op("none", guard=_positions(_out_of_range), inplace=True)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str,
    *, include_self: bool = True,
):  # fmt: skip
    """Combine `source[i]` into slice `index[i]` along `dim`: "prod", "mean", "amax" or "amin"."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    dim = wrap_dim(dim, input.ndim)
    _check_add("index_reduce_", input, dim, index, source)
    x, at = _vectors(input, index)
    source = source.reshape(1) if source.ndim == 0 else source
    return reduce_at(x, source, (dim,), [at], reduce, include_self).reshape(input.shape)


# ---------------------------------------------------------------------------- all elements


def _among(input: Any, index: Any, **_: Any) -> None:
    count = input._aval.numel
    check_range(
        index, -count, count,
        lambda i: IndexError(
            f"out of range: tried to access index {i} on a tensor of {count} elements."
        ),
    )  # fmt: skip


def _check_long(name: str, index: Any) -> None:
    if index.dtype != np.int64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {scalar_name(index)}"
        )


@op("none", guard=_among)
def take(input: Tensor, index: Tensor):
    """The elements at positions that count all of `input`, row by row."""
    _check_long("take", index)
    if input.size == 0 and index.size:
        raise IndexError("take(): tried to take from an empty tensor")
    return input.reshape(-1).at[index].get(mode="clip")


def _put_fits(input: Any, index: Any, *_: Any, **__: Any) -> None:
    if input._aval.numel == 0 and index._aval.numel:
        raise IndexError("put_(): Tried to put elements into an empty tensor")
    _among(input, index)


@op(
    "none",
    guard=_put_fits, into=("torch", "method"), inplace=True, layout=preserve, overlap="accumulate"
)  # fmt: skip
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False):
    """A copy of `input` with elements written (or added) at positions that count all of it."""
    _check_long("put_", index)
    if input.dtype != source.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{scalar_name(input)} and source.dtype = {scalar_name(source)}"
        )
    if index.size != source.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.size}, index.numel() = {index.size}"
        )
    flat, at, values = input.reshape(-1), index.reshape(-1), source.reshape(-1)
    if accumulate and input.dtype == bool:  # a sum of truth values is their disjunction
        made = flat.at[at].max(values, mode="clip")
    elif accumulate:
        made = flat.at[at].add(values, mode="clip")
    else:
        made = setter((0,))(flat, values, at)
    return made.reshape(input.shape)
