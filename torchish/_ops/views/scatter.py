"""select_scatter, slice_scatter, diagonal_scatter: a copy with one view of it replaced."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ..._autograd.gradients import constant
from ..._autograd.overlap import shares_itself
from ..._autograd.tensor_base import alias, from_value
from ..._basics.strides import dense_span, has_overlap, is_dense
from ..._core.values import aval_of
from ..call.describe import show_size as show
from ..registry import Tensor, composite, op, wrap_dim
from ..shared.memory_format import preserve


def _replace(input: Any, picks: Any, src: Any) -> Any:
    shape = input[picks].shape
    if src.shape != shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {show(src.shape)}, slice size = {show(shape)}"
        )
    return input.at[picks].set(src.astype(input.dtype), unique_indices=True)


@op("none", into=("internal",), name="select_scatter", layout=preserve)
def _select_scatter(input: Tensor, src: Tensor, dim: int, index: int):
    """A copy of `input` with `input.select(dim, index)` replaced by `src`."""
    dim = wrap_dim(dim, input.ndim)
    size = input.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {show(input.shape)} at "
            f"dimension {dim}"
        )
    return _replace(input, (*[slice(None)] * dim, index % size), src)


@op("none", into=("internal",), name="slice_scatter", layout=preserve)
def _slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
):
    """A copy of `input` with `input[start:end:step]` along `dim` replaced by `src`."""
    dim = wrap_dim(dim, input.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _replace(input, (*[slice(None)] * dim, slice(start, end, step)), src)


@op("none", into=("internal",), name="diagonal_scatter", layout=preserve)
def _diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1):
    """A copy of `input` with its diagonal over two dimensions replaced by `src`."""
    first, second = wrap_dim(dim1, input.ndim), wrap_dim(dim2, input.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rows, columns = input.shape[first], input.shape[second]
    down, right = max(-offset, 0), max(offset, 0)
    length = max(min(rows - down, columns - right), 0)
    steps = jnp.arange(length)
    moved = jnp.moveaxis(input, (first, second), (-2, -1))
    shape = (*moved.shape[:-2], length)
    if src.shape != shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {show(src.shape)}, slice size = {show(shape)}"
        )
    made = moved.at[..., steps + down, steps + right].set(
        src.astype(input.dtype), unique_indices=True
    )
    return jnp.moveaxis(made, (-2, -1), (first, second))


# --- with the memory layout of the input, gaps included ------------------------------------------


def lies_with_gaps(input: Any) -> bool:
    """Whether the elements of a tensor have places of their own, with others between them."""
    layout = tuple(input._aval.shape), tuple(input._strides)
    return not (is_dense(*layout) or has_overlap(*layout) or shares_itself(*layout))


def _laid_as(input: Any, made: Any) -> Any:
    """`made` in memory that is laid out as that of `input`, which torch copies with its gaps."""
    if not lies_with_gaps(input):
        return made
    shape, strides, offset = tuple(input._aval.shape), tuple(input._strides), input._offset
    room = aval_of((offset + dense_span(shape, strides),), made._aval.dtype)
    whole = from_value(constant(room, 0, made._storage.device))
    out = alias(whole, shape, strides, offset)
    out._write(made._value())
    out._grad_fn, out._out_nr = made._grad_fn, made._out_nr
    return out


@composite()
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """A copy of `input` with `input.select(dim, index)` replaced by `src`."""
    return _laid_as(input, _select_scatter(input, src, dim, index))


@composite(out="exact")
def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Any:
    """A copy of `input` with `input[start:end:step]` along `dim` replaced by `src`."""
    return _laid_as(input, _slice_scatter(input, src, dim, start, end, step))


@composite()
def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A copy of `input` with its diagonal over two dimensions replaced by `src`."""
    return _laid_as(input, _diagonal_scatter(input, src, offset, dim1, dim2))
