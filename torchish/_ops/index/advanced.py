"""Advanced indexing: one gather or scatter at positions that index tensors give."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._autograd.apply import check_history, warn_expanded
from ..._autograd.interop import host_array, wrap_host
from ..._autograd.tensor_base import TensorBase
from ..._basics import dtypes
from ..._basics.strides import contiguous_strides, elementwise_strides
from ..call.calling import call_inplace, call_strided
from ..call.composites import last
from ..call.describe import scalar_name, show_size as show
from ..registry import Operand, Tensor, Tensors, composite, op, ops
from ..shared.memory_format import preserve
from ..shared.ranges import check_range

Noted = list[tuple[int, Any]]


def expand_masks(view: Any, noted: Noted) -> tuple[tuple[int, ...], list[Any]]:
    """Turn (dimension, index or mask) pairs into dimensions and integer index tensors.

    Masks become the positions of their true elements, which reads them on the host.
    Raises: IndexError for masks that do not fit, shapes that do not broadcast, positions outside.
    """
    dims: list[int] = []
    indices: list[Any] = []
    for dim, index in noted:
        if index._aval.dtype in (dtypes.bool_, dtypes.uint8):
            check_mask(view, dim, index)
            for axis, positions in enumerate(np.nonzero(host_array(index))):
                dims.append(dim + axis)
                indices.append(wrap_host(positions))
        else:
            dims.append(dim)
            indices.append(index)
    shape = tuple(view._aval.shape)
    joint = _joint_shape(indices)
    if math.prod(joint) and any(shape[dim] == 0 for dim in dims):
        raise IndexError("index is out of bounds for dimension with size 0")
    if math.prod(_region(shape, tuple(dims), joint)):  # else torch does not look at them either
        for number, (dim, index) in enumerate(zip(dims, indices, strict=True)):
            check_range(index, *_bounds(shape[dim], number))
    device = view._storage.device
    return tuple(dims), [i if i._storage.device is device else i.to(device) for i in indices]


def check_mask(view: Any, dim: int, mask: Any) -> None:
    """Raise torch's IndexError unless the mask has the shape of the dimensions it stands at."""
    shape, wanted = tuple(mask._aval.shape), tuple(view._aval.shape)
    for axis, size in enumerate(shape):
        if size != wanted[dim + axis]:
            raise IndexError(
                f"The shape of the mask {show(shape)} at index {axis} does not match the shape of "
                f"the indexed tensor {show(wanted)} at index {dim + axis}"
            )


def _joint_shape(indices: list[Any]) -> tuple[int, ...]:
    shapes = [tuple(i._aval.shape) for i in indices]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(show(shape) for shape in shapes)
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes " + listed
        ) from None


def _bounds(size: int, number: int) -> tuple[int, int, Any]:
    def error(index: int) -> IndexError:
        return IndexError(f"index {index} is out of bounds for dimension {number} with size {size}")

    return -size, size, error


def _picks(ndim: int, dims: Any, indices: Any) -> tuple[Any, ...]:
    picks: list[Any] = [slice(None)] * ndim
    for dim, index in zip(dims, indices, strict=True):
        picks[dim] = index
    return tuple(picks)


@op("none", into=("internal",), name="_index", grad_name="IndexBackward0")
def _index(input: Tensor, indices: Tensors, dims: Any):
    return input.at[_picks(input.ndim, dims, indices)].get(mode="clip")


def gather(view: Any, dims: tuple[int, ...], indices: list[Any]) -> Any:
    """The elements at the given positions."""
    if view._is_plain:
        return _index(view, indices, dims)
    return call_strided(_index, (view, indices, dims), _strides(view, dims, indices))


def _strides(view: Any, dims: tuple[int, ...], indices: list[Any]) -> tuple[int, ...] | None:
    """Strides of the result: torch walks the view and the positions as one elementwise operator."""
    shape, strides = tuple(view._aval.shape), tuple(view._strides)
    joint = _joint_shape(indices)
    at = dims[0] if _adjacent(dims) else 0
    rest = [d for d in range(len(shape)) if d not in dims]
    whole = _region(shape, dims, joint)
    lead, tail = [strides[d] for d in rest[:at]], [strides[d] for d in rest[at:]]
    layouts = [(whole, (*lead, *[0] * len(joint), *tail))]
    for index in indices:
        wide = ops.broadcast_to(index, joint)._strides
        layouts.append((whole, (*[0] * at, *wide, *[0] * len(tail))))
    found = elementwise_strides(whole, layouts)
    return None if found == contiguous_strides(whole) else found


# ---------------------------------------------------------------------------- assignment


@functools.lru_cache(maxsize=1024)
def setter(dims: tuple[int, ...]) -> Any:
    """`f(x, values, *indices)`: x with values at the positions.

    Where a position occurs twice the last value stays, but as in torch each of the values gets the
    gradient of its position.
    """

    @jax.custom_jvp
    def set_at(x: Any, values: Any, *indices: Any) -> Any:
        return x.at[_picks(x.ndim, dims, indices)].set(values, mode="clip")

    @set_at.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        x, values, *indices = primals
        dx, dvalues = tangents[:2]
        picks = _picks(x.ndim, dims, indices)
        tangent = dx.at[picks].set(dvalues, mode="clip", unique_indices=True)
        return set_at(x, values, *indices), tangent

    return set_at


@op(
    "none",
    into=("internal",),
    name="_index_put",
    grad_name="IndexPutBackward0",
    overlap="accumulate",
    expanded="index_put_",
    layout=preserve,
)
def _index_put(
    input: Tensor, values: Operand, indices: Tensors, dims: Any, accumulate: bool = False
):
    region = jax.eval_shape(lambda x: x[_picks(x.ndim, dims, indices)], input)
    values = jnp.broadcast_to(values, region.shape)
    if accumulate:
        picks = _picks(input.ndim, dims, indices)
        if input.dtype == bool:
            return input.at[picks].max(values, mode="clip")
        return input.at[picks].add(values, mode="clip")
    return setter(tuple(dims))(input, values, *indices)


@op(
    "none",
    into=("internal",),
    name="_mask_put",
    grad_name="IndexPutBackward0",
    expanded="masked_fill_",
)
def _mask_put(input: Tensor, value: Operand, mask: Tensor, dim: int):
    trailing = input.ndim - dim - mask.ndim
    mask = mask.reshape(*mask.shape, *[1] * trailing)
    return jnp.where(mask, value.astype(input.dtype).reshape(()), input)


def fill_masked(view: Any, dim: int, mask: Any, value: Any) -> None:
    """`view[mask] = one value`, which needs no positions."""
    check_mask(view, dim, mask)
    if mask._aval.dtype is not dtypes.bool_:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype unsigned char"
        )
    warn_expanded(view, "index_put_")
    mask = mask if mask._storage.device is view._storage.device else mask.to(view._storage.device)
    call_inplace(_mask_put.operator, view, (value, mask, dim), {})


def put(view: Any, dims: tuple[int, ...], indices: list[Any], value: Any) -> None:
    """Write `value`, broadcast, at the given positions of `view`, in place."""
    check_values(view, dims, indices, value)
    call_inplace(_index_put.operator, view, (value, indices, dims), {})


def check_put_history(view: Any, value: Any) -> None:
    """Raise what autograd has against the write; torch asks before it looks at positions."""
    check_history(
        view, view._needs_grad() or (isinstance(value, TensorBase) and value._needs_grad())
    )


def check_values(view: Any, dims: tuple[int, ...], indices: list[Any], value: Any) -> None:
    """Raise torch's errors for values that cannot be written at the positions."""
    if not isinstance(value, TensorBase):
        return
    if value._aval.dtype is not view._aval.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{scalar_name(view)} for the destination and {scalar_name(value)} for the source."
        )
    region = _region(tuple(view._aval.shape), dims, _joint_shape(indices))
    shape = tuple(value._aval.shape)
    lead = len(region) - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, region[lead:], strict=True)):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {show(shape)} cannot be broadcast to indexing "
            f"result of shape {show(region)}"
        )


def _region(shape: tuple[int, ...], dims: tuple[int, ...], joint: tuple[int, ...]) -> Any:
    """Shape of the indexing result: the joint shape where the indices stand if they are adjacent,
    else in front."""
    at = dims[0] if _adjacent(dims) else 0
    rest = [n for d, n in enumerate(shape) if d not in dims]
    return (*rest[:at], *joint, *rest[at:])


def _adjacent(dims: tuple[int, ...]) -> bool:
    return dims == tuple(range(dims[0], dims[0] + len(dims)))


def _noted(input: Any, indices: Any) -> Noted:
    """The pairs for a tuple of index tensors, of which None leaves a dimension alone."""
    noted, dim = [], 0
    for index in indices:
        if index is None:
            dim += 1
            continue
        if index._aval.dtype not in (dtypes.int64, dtypes.int32, dtypes.bool_, dtypes.uint8):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        noted.append((dim, index))
        is_mask = index._aval.dtype in (dtypes.bool_, dtypes.uint8)
        dim += index._aval.ndim if is_mask else 1
    if dim > input._aval.ndim:
        raise IndexError(f"too many indices for tensor of dimension {input._aval.ndim} (got {dim})")
    return noted


def _check_call(indices: Any, values: Any) -> None:
    for number, (name, thing, wanted) in enumerate(
        (("indices", indices, tuple | list), ("values", values, TensorBase)), start=2
    ):
        if not isinstance(thing, wanted):
            kind = "Tensor" if wanted is TensorBase else "tuple of Tensors"
            raise TypeError(
                f"index_put(): argument '{name}' (position {number}) must be {kind}, not "
                f"{type(thing).__name__}"
            )


def _check_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> None:
    """What torch has against an in-place call, in torch's order."""
    _check_call(indices, values)
    _noted(input, indices)
    check_put_history(input, values)


@composite(inplace=("torch", "method"), before=_check_put)
def index_put(input, indices, values, accumulate=False) -> Tensor:
    """A copy of `input` with `values` at (or, with `accumulate`, added at) the positions."""
    _check_call(indices, values)
    dims, positions = expand_masks(input, _noted(input, indices))
    check_values(input, dims, positions, values)
    return last(_index_put, input, values, positions, dims, bool(accumulate))
