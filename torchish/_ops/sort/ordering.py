"""Sorting and searching: sort, topk, searchsorted, isin. Equal elements keep their order."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..call.composites import last
from ..call.fronts import is_number
from ..registry import Operand, Tensor, composite, op, ops, wrap_dim
from ..shared import numeric as num
from ..shared.memory_format import preserve


def _order(x: Array, axis: int, descending: bool) -> Array:
    """The stable sorting permutation; NaN counts as the largest."""
    order = jnp.argsort(jax.lax.stop_gradient(x), axis=axis, descending=descending, stable=True)
    return order.astype(jnp.int64)


def _check_sortable(x: Array) -> None:
    if num.is_complex(x):
        raise RuntimeError(" Sort does not support complex dtypes on CPU")


def _sorted(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    _check_sortable(x)
    axis = wrap_dim(dim, x.ndim)
    if x.ndim == 0:
        return x, jnp.zeros((), jnp.int64)
    order = _order(x, axis, descending)
    return jnp.take_along_axis(x, order, axis=axis, mode="clip"), order


def _sort_name(stable: Any, **others: Any) -> str:
    return f"SortBackward{0 if stable is None else 1}"


@op("none", returns="values indices", grad_name=_sort_name, layout=preserve)
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None
) -> Any:
    """The elements in order along `dim`, and where each was."""
    return _sorted(input, dim, descending)


@op("none", differentiable=False, layout=preserve)
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Array:
    """The indices that sort along `dim`."""
    return _sorted(input, dim, descending)[1]


@op("none", grad_name="SortBackward0", layout=preserve)
def msort(input: Tensor) -> Array:
    """The elements in order along the first dim."""
    return _sorted(input, 0, False)[0]


def _top_index(x: Array, k: int, axis: int, largest: bool) -> Array:
    """The indices of the `k` extreme elements, in order."""
    if not largest or x.dtype not in (jnp.float32, *num.HALF):
        return jax.lax.slice_in_dim(_order(x, axis, largest), 0, k, axis=axis)
    # XLA's own top-k is 300 times faster than sorting, and exists for float32 alone.
    rows = jnp.moveaxis(num.widen(jax.lax.stop_gradient(x)), axis, -1)
    return jnp.moveaxis(jax.lax.top_k(rows, k)[1].astype(jnp.int64), -1, axis)


@op("none", returns="values indices")
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest (smallest) elements along `dim`, in order, and their indices."""
    x = input
    if num.is_complex(x):
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    axis = wrap_dim(dim, x.ndim)
    if not 0 <= k <= (x.shape[axis] if x.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if x.ndim == 0:
        return x, jnp.zeros((), jnp.int64)
    index = _top_index(x, k, axis, largest)
    return jnp.take_along_axis(x, index, axis=axis, mode="clip"), index


# --- searching in sorted sequences ----------------------------------------------------------------


@op("arith", into=("internal",), name="searchsorted", elementwise=False, differentiable=False,
    out_dtype="exact")  # fmt: skip
def _searchsorted(sorted_sequence: Tensor, input: Operand, right: bool, out_int32: bool) -> Array:
    rows, values = sorted_sequence, input
    side = "right" if right else "left"
    if rows.ndim == 1:
        found = jnp.searchsorted(rows, values, side=side)
    else:
        count = math.prod(rows.shape[:-1])
        flat = rows.reshape(count, rows.shape[-1])
        wanted = values.reshape(count, values.shape[-1])
        found = jax.vmap(lambda row, v: jnp.searchsorted(row, v, side=side))(flat, wanted)
        found = found.reshape(values.shape)
    return found.astype(jnp.int32 if out_int32 else jnp.int64)


def _check_search(sequence: Any, values: Any) -> None:
    if not hasattr(values, "shape"):
        if sequence.dim() != 1:
            raise RuntimeError(
                "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
                f"dimension is 1, but we got boundaries tensor dim({sequence.dim()}) and input "
                "value's dim(0) numel(1)"
            )
        return
    if sequence.dim() != 1 and tuple(sequence.shape[:-1]) != tuple(values.shape[:-1]):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {list(sequence.shape)} and input value tensor "
            f"{list(values.shape)}"
        )


@composite(into=("torch",), out=True)
def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Tensor:
    """Where to insert each value so that the last dim of `sorted_sequence` stays sorted.

    Raises: RuntimeError for shapes that do not match, an unknown or contradictory `side`.
    """
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    _check_search(sorted_sequence, input)
    if sorter is not None:
        if tuple(sorter.shape) != tuple(sorted_sequence.shape):
            raise RuntimeError(
                "torch.searchsorted(): boundary and sorter must have the same size, but got "
                f"boundary tensor {list(sorted_sequence.shape)} and got sorter tensor "
                f"{list(sorter.shape)}"
            )
        sorted_sequence = ops.gather(sorted_sequence, -1, sorter)
    return last(_searchsorted, sorted_sequence, input, right or side == "right", out_int32)


@composite(into=("torch",), out=True)
def bucketize(
    input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The index of the bucket between `boundaries` that each value falls in."""
    if boundaries.dim() != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({boundaries.dim()})"
        )
    return last(_searchsorted, boundaries, input, right, out_int32)


_FEW = 32  # up to here comparing with each element is cheaper than sorting them


@op("arith", into=("internal",), name="isin", elementwise=False, differentiable=False,
    out_dtype="exact")  # fmt: skip
def _isin(elements: Operand, test_elements: Operand, invert: bool) -> Array:
    x, wanted = elements, test_elements.reshape(-1)
    if wanted.size == 0:
        found = jnp.zeros(x.shape, jnp.bool_)
    elif wanted.size <= _FEW:
        found = jnp.any(x[..., None] == wanted, axis=-1)
    else:
        ordered = jnp.sort(wanted)
        place = jnp.clip(jnp.searchsorted(ordered, x), 0, wanted.size - 1)
        found = ordered[place] == x
    return ~found if invert else found


@composite(into=("torch",), out=True)
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among `test_elements`."""
    if is_number(elements) and is_number(test_elements):
        raise RuntimeError("isin: at least one of the arguments must be a tensor")
    return last(_isin, elements, test_elements, invert)
