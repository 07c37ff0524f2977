"""select_scatter, slice_scatter, diagonal_scatter: a copy with one view of it replaced."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ..call.describe import show_size as show
from ..registry import Tensor, op, wrap_dim
from ..shared.memory_format import preserve


def _replace(input: Any, picks: Any, src: Any) -> Any:
    shape = input[picks].shape
    if src.shape != shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {show(src.shape)}, slice size = {show(shape)}"
        )
    return input.at[picks].set(src.astype(input.dtype), unique_indices=True)


@op("none", layout=preserve)
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int):
    """A copy of `input` with `input.select(dim, index)` replaced by `src`."""
    dim = wrap_dim(dim, input.ndim)
    size = input.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {show(input.shape)} at "
            f"dimension {dim}"
        )
    return _replace(input, (*[slice(None)] * dim, index % size), src)


@op("none", layout=preserve)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
):
    """A copy of `input` with `input[start:end:step]` along `dim` replaced by `src`."""
    dim = wrap_dim(dim, input.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _replace(input, (*[slice(None)] * dim, slice(start, end, step)), src)


@op("none", layout=preserve)
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1):
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
