"""Joining, repeating and reordering elements (copies; the views live in views.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._autograd.interop import wrap_host
from ..._basics import dtypes
from ..._basics.strides import preserved_strides
from ..call.calling import call_strided
from ..call.composites import last
from ..call.describe import show_size as show
from ..call.operator import broadcast_check
from ..registry import Tensor, Tensors, composite, op, ops, wrap_dim
from ..shared.memory_format import follow, follow_all, preserve, stacked


def _promote(arrays: list[Any]) -> list[Any]:
    """Cast all arrays to the dtype that their dtypes promote to."""
    kinds = [dtypes.from_np(array.dtype) for array in arrays]
    common = reduce(dtypes.promote_types, kinds).np
    return [lax.convert_element_type(array, common) for array in arrays]


@op("none", into=("torch",), aliases=("concat", "concatenate"), layout=follow_all, out_dtype="cat")
def cat(tensors: Tensors, dim: int = 0):
    """Join tensors along an existing dimension; 1-D tensors without elements are skipped.

    Raises: RuntimeError when sizes differ in another dimension.
    """
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for number, array in enumerate(tensors):
        if array.ndim == 0:
            raise RuntimeError(
                f"zero-dimensional tensor (at position {number}) cannot be concatenated"
            )
    arrays = _promote(tensors)
    kept = [(number, array) for number, array in enumerate(arrays) if array.shape != (0,)]
    if not kept:
        wrap_dim(dim, 1)
        return arrays[0]
    first = kept[0][1]
    dim = wrap_dim(dim, first.ndim)
    for number, array in kept:
        if array.ndim != first.ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {first.ndim} and {array.ndim}"
            )
        for axis in range(first.ndim):
            if axis != dim and array.shape[axis] != first.shape[axis]:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size "
                    f"{first.shape[axis]} but got size {array.shape[axis]} for tensor number "
                    f"{number} in the list."
                )
    return lax.concatenate([array for _, array in kept], dim)


def _stacked_samples(sizes: Sequence[tuple[int, ...]], *tensors: Any) -> None:
    """Tensors that `stack` refuses within `vmap`, which stacks those of all samples."""
    shapes = [(*around, *x.shape) for around, x in zip(sizes, tensors, strict=True)]
    _check_alike(shapes)


def _check_alike(shapes: Sequence[Sequence[int]]) -> None:
    for number, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise RuntimeError(
                "stack expects each tensor to be equal size, but got "
                f"{show(shapes[0])} at entry 0 and {show(shape)} at entry {number}"
            )


@op(
    "none", into=("torch",), check_samples=_stacked_samples, out_dtype="cat", layout=stacked,
)  # fmt: skip
def stack(tensors: Tensors, dim: int = 0):
    """Join tensors of one shape along a new dimension."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    dim = wrap_dim(dim, tensors[0].ndim + 1)
    _check_alike([x.shape for x in tensors])
    return jnp.stack(_promote(tensors), dim)


def _at_least(ndim: int, args: tuple[Any, ...]) -> Any:
    if len(args) == 1 and not isinstance(args[0], (list, tuple)):
        return _RAISED[ndim](args[0])
    tensors = args[0] if len(args) == 1 else args
    return tuple(_RAISED[ndim](tensor) for tensor in tensors)


def _raise_1d(tensor: Any) -> Any:
    return tensor.reshape(1) if tensor.dim() == 0 else tensor


def _raise_2d(tensor: Any) -> Any:
    tensor = _raise_1d(tensor)
    return tensor.unsqueeze(0) if tensor.dim() == 1 else tensor


def _raise_3d(tensor: Any) -> Any:
    tensor = _raise_2d(tensor)
    return tensor.unsqueeze(-1) if tensor.dim() == 2 else tensor


_RAISED = {1: _raise_1d, 2: _raise_2d, 3: _raise_3d}


@composite(into=("torch",))
def atleast_1d(*tensors):
    """View a 0-d tensor as `(1)`; several tensors, or a list, give a tuple."""
    return _at_least(1, tensors)


@composite(into=("torch",))
def atleast_2d(*tensors) -> Tensor:
    """View tensors below 2-D as `(1, n)`."""
    return _at_least(2, tensors)


@composite(into=("torch",))
def atleast_3d(*tensors) -> Tensor:
    """View tensors below 3-D as `(1, n, 1)` or `(m, n, 1)`."""
    return _at_least(3, tensors)


def _need_some(name: str, tensors: Any) -> None:
    if len(tensors) == 0:
        raise RuntimeError(f"{name} expects a non-empty TensorList")


@composite(into=("torch",), out=True)
def hstack(tensors) -> Tensor:
    """Join column after column: dimension 1, or 0 for vectors."""
    _need_some("hstack", tensors)
    raised = [_raise_1d(tensor) for tensor in tensors]
    return last(ops.cat, raised, 0 if raised[0].dim() == 1 else 1)


@composite(into=("torch",), aliases=("row_stack",), out=True)
def vstack(tensors) -> Tensor:
    """Join row after row: vectors count as rows."""
    _need_some("vstack", tensors)
    return last(ops.cat, [_raise_2d(tensor) for tensor in tensors], 0)


@composite(into=("torch",), out=True)
def dstack(tensors) -> Tensor:
    """Join along dimension 2."""
    _need_some("dstack", tensors)
    return last(ops.cat, [_raise_3d(tensor) for tensor in tensors], 2)


@composite(into=("torch",), out=True)
def column_stack(tensors) -> Tensor:
    """Join along dimension 1; vectors count as columns."""
    _need_some("column_stack", tensors)
    columns = [t.reshape(t.numel(), 1) if t.dim() <= 1 else t for t in tensors]
    return last(ops.hstack, columns)


@composite(into=("torch",))
def broadcast_tensors(*tensors):
    """The tensors as views of the one shape that all broadcast to."""
    shape = broadcast_check([tuple(tensor.shape) for tensor in tensors])
    return tuple(tensor.expand(shape) for tensor in tensors)


@op("none", into=("internal",), name="_block_diag", grad_name="BlockDiagBackward0")
def _block_diag(tensors: Tensors):
    for number, array in enumerate(tensors):
        if array.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. "
                f"Input {number} has {array.ndim} dimensions"
            )
    blocks = [jnp.atleast_2d(array) for array in _promote(tensors)]
    rows = sum(block.shape[0] for block in blocks)
    columns = sum(block.shape[1] for block in blocks)
    result = jnp.zeros((rows, columns), blocks[0].dtype)
    row = column = 0
    for block in blocks:
        result = lax.dynamic_update_slice(result, block, (row, column))
        row, column = row + block.shape[0], column + block.shape[1]
    return result


@composite(into=("torch",))
def block_diag(*tensors) -> Tensor:
    """A matrix with the given matrices along its diagonal and zeros elsewhere."""
    if not tensors:
        return ops.zeros(1, 0)
    return _block_diag(list(tensors))


# ---------------------------------------------------------------------------- repeating


def _check_repeats(repeats: Any, shape: tuple[int, ...]) -> None:
    sizes = [n * size for n, size in zip(repeats, shape, strict=True)]
    for size in sizes:
        if size < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {size}: {show(sizes)}"
            )


@op("none", into=("method",), method_varargs=True)
def repeat(input: Tensor, repeats: Any):
    """Lay copies side by side: `repeats[i]` along dimension `i`, new dimensions in front."""
    if len(repeats) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions "
            "of tensor"
        )
    shape = (1,) * (len(repeats) - input.ndim) + input.shape
    _check_repeats(repeats, shape)
    return jnp.tile(input.reshape(shape), tuple(repeats))


@op("none", method_varargs=True, grad_name="RepeatBackward0")
def tile(input: Tensor, dims: Any):
    """Lay copies side by side; missing entries of `dims` are 1."""
    dims = (1,) * (input.ndim - len(dims)) + tuple(dims)
    shape = (1,) * (len(dims) - input.ndim) + input.shape
    _check_repeats(dims, shape)
    return jnp.tile(input.reshape(shape), dims)


# ---------------------------------------------------------------------------- reordering


@op("none", method_varargs=True, layout=preserve)
def flip(input: Tensor, dims: Any):
    """Reverse the order of elements along `dims` (a copy, unlike numpy's)."""
    if isinstance(dims, int):
        raise TypeError("flip(): argument 'dims' (position 2) must be tuple of ints, not int")
    wrapped = [wrap_dim(dim, input.ndim) for dim in dims]
    for position, dim in enumerate(wrapped):
        if dim in wrapped[:position]:
            raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return lax.rev(input, wrapped) if input.ndim else input


@composite()
def fliplr(input) -> Tensor:
    """Reverse dimension 1."""
    if input.dim() < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return ops.flip(input, (1,))


@composite()
def flipud(input) -> Tensor:
    """Reverse dimension 0."""
    if input.dim() < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return ops.flip(input, (0,))


@composite()
def roll(input, shifts, dims=()) -> Tensor:
    """Move elements along `dims`, those pushed off the end come back at the start.

    Without `dims` the tensor is rolled as one row and gets its shape back.
    """
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        return roll(input.reshape(-1), shifts, 0).reshape(input.shape)
    if len(dims) != len(shifts):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}"
        )
    if input.dim() == 0:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    wrapped = [wrap_dim(dim, input.dim()) for dim in dims]
    if input.numel() == 0 or input.dim() == 0:
        return input.clone()
    sizes = [input.shape[dim] for dim in wrapped]
    starts = [-shift % size for shift, size in zip(shifts, sizes, strict=True)]
    return _roll(input, wrap_host(np.array(starts, np.int64)), tuple(wrapped))


@op("none", into=("internal",), name="_roll", grad_name="RollBackward0", layout=follow)
def _roll(input: Tensor, starts: Tensor, dims: Any):
    # The shifts are operands, so that a changed shift does not recompile.
    for position, dim in enumerate(dims):
        twice = jnp.concatenate([input, input], dim)
        input = lax.dynamic_slice_in_dim(twice, starts[position], input.shape[dim], dim)
    return input


@op("none", into=("internal",), name="_rot90", grad_name="Rot90Backward0")
def _rot90(input: Tensor, k: int, dims: Any):
    return jnp.rot90(input, k, dims)


@composite()
def rot90(input, k=1, dims=(0, 1)) -> Tensor:
    """Turn by `k` quarter turns in the plane of two dimensions, from the first to the second."""
    ndim = input.dim()
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    first, second = wrap_dim(dims[0], ndim), wrap_dim(dims[1], ndim)
    strides = None
    if k % 4:  # torch flips, and transposes in place for an odd number of turns
        order = list(preserved_strides(tuple(input.shape), tuple(input.stride())))
        if k % 2:
            order[first], order[second] = order[second], order[first]
        strides = tuple(order)
    return call_strided(_rot90, (input, k % 4, (first, second)), strides)


# ---------------------------------------------------------------------------- diagonals


@op("none")
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1):
    """Matrices over two new dimensions with the last dimension of `input` as their diagonals."""
    ndim = input.ndim + 1
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size = input.shape[-1] + abs(offset)
    lead = [(0, 0)] * (input.ndim - 1)
    if offset >= 0:  # the diagonal's element i stands in row i
        spread = jnp.pad(input, [*lead, (0, offset)])[..., :, None]
    else:  # and here in column i
        spread = jnp.pad(input, [*lead, (0, -offset)])[..., None, :]
    mask = jnp.eye(size, k=offset, dtype=bool)
    matrices = jnp.where(mask, spread, jnp.zeros((), input.dtype))
    return jnp.moveaxis(matrices, (-2, -1), (first, second))


@op("none", into=("torch",), grad_name="DiagonalBackward0_copy")
def diagonal_copy(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1):
    """A copy of the diagonal over two dimensions, as the last dimension."""
    first, second = wrap_dim(dim1, input.ndim), wrap_dim(dim2, input.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return jnp.diagonal(input, offset, first, second)


@composite(out="exact")
def diag(input, diagonal=0) -> Tensor:
    """A matrix with the vector as its diagonal, or the diagonal of a matrix (a copy)."""
    if input.dim() not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.dim()}D")
    if input.dim() == 1:
        return ops.diag_embed(input, diagonal)
    return ops.diagonal_copy(input, diagonal)


@composite()
def diagflat(input, offset=0) -> Tensor:
    """A matrix with all elements of `input`, in order, as its diagonal."""
    return ops.diag_embed(input.reshape(-1), offset)


# ---------------------------------------------------------------------------- pixels, channels


def _check_shuffle(name: str, input: Any, factor: int, word: str) -> None:
    if input.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, "
            f"but got input with {input.ndim} dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {word}, but got {factor}")


@op("none", into=("torch", "nn.functional"), out=False, layout=follow)
def pixel_shuffle(input: Tensor, upscale_factor: int):
    """Spread channels over space: `(*, C r^2, H, W) -> (*, C, H r, W r)`."""
    r = upscale_factor
    _check_shuffle("pixel_shuffle", input, r, "upscale_factor")
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}"
        )
    split = input.reshape(*lead, channels // (r * r), r, r, height, width)
    n = len(lead)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)  # C, H, r, W, r
    return split.transpose(order).reshape(*lead, channels // (r * r), height * r, width * r)


@op("none", into=("torch", "nn.functional"), out=False, layout=follow)
def pixel_unshuffle(input: Tensor, downscale_factor: int):
    """Gather space into channels: `(*, C, H r, W r) -> (*, C r^2, H, W)`."""
    r = downscale_factor
    _check_shuffle("pixel_unshuffle", input, r, "downscale_factor")
    *lead, channels, height, width = input.shape
    for word, dim, size in (("height", -2, height), ("width", -1, width)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {word} to be divisible by downscale_factor, "
                f"but input.size({dim})={size} is not divisible by {r}"
            )
    split = input.reshape(*lead, channels, height // r, r, width // r, r)
    n = len(lead)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)  # C, r, r, H, W
    return split.transpose(order).reshape(*lead, channels * r * r, height // r, width // r)


@op("none", into=("torch", "nn.functional"), out=False, layout=follow)
def channel_shuffle(input: Tensor, groups: int):
    """Interleave the channels of `groups` groups: `(N, g c, *) -> (N, c g, *)`."""
    if input.ndim <= 2:
        raise RuntimeError(
            "channel_shuffle expects input with > 2 dims, "
            f"but got input with sizes {show(input.shape)}"
        )
    channels = input.shape[1]
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. "
                           f"Value of groups:{groups}")  # fmt: skip
    if channels % groups:
        raise RuntimeError(
            "Number of channels must be divisible by groups. "
            f"Got {channels} channels and {groups} groups."
        )
    split = input.reshape(input.shape[0], groups, channels // groups, math.prod(input.shape[2:]))
    return split.swapaxes(1, 2).reshape(input.shape)
