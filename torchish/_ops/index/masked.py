"""Operators that a bool mask steers, and the positions of nonzero elements."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._autograd.interop import host_array, is_host, make_storage, tensor_on, wrap_host
from ..._autograd.require import require
from ..._autograd.tensor_base import TensorBase
from ..._core.values import Aval
from ..call.composites import last
from ..call.describe import check_broadcastable, cpp_name, scalar_name
from ..call.operator import broadcast_check
from ..registry import Operand, Tensor, composite, op
from .getitem import check_holds


def _number_fits(input: Any, value: Any, **_: Any) -> None:
    if isinstance(value, TensorBase):
        if not is_host(value) or value._aval.ndim:
            return
        value = host_array(value).item()
    check_holds(input._aval.dtype, value)


def _fill_name(value: Any, **_: Any) -> str:
    return f"MaskedFillBackward{int(isinstance(value, Aval))}"


@op("none", guard=_number_fits, inplace=True, grad_name=_fill_name, expanded="masked_fill_")
def masked_fill(input: Tensor, mask: Tensor, value: Operand):
    """`value` where `mask` is true, else `input`; both broadcast.

    Raises: RuntimeError for a mask that is not bool or a value with dimensions.
    """
    if mask.dtype != bool:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype " + cpp_name(mask)
        )
    if value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    check_broadcastable(mask.shape, input.shape)
    return jnp.where(mask, value.astype(input.dtype), input)


def _enough(input: Any, mask: Any, source: Any) -> None:
    """Raise unless `source` has an element for every true element of the broadcast mask."""
    spread = mask.expand(broadcast_check([tuple(mask.shape), tuple(input.shape)]))
    count = source._aval.numel

    def error(*_: Any) -> Exception:
        return RuntimeError("Number of elements of source < number of ones in mask")

    require(("mask_count", count), lambda m: m.sum() > count, [spread], [], error)


@op("none", guard=_enough, inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor):
    """`input` with its elements where `mask` is true replaced, in order, by those of `source`.

    Raises: RuntimeError when `source` has fewer elements than the mask has true ones.
    """
    if mask.dtype != bool:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{scalar_name(mask)}"
        )
    if input.dtype != source.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{scalar_name(input)} and {scalar_name(source)}"
        )
    check_broadcastable(mask.shape, input.shape)
    shape = jnp.broadcast_shapes(mask.shape, input.shape)
    mask = jnp.broadcast_to(mask, shape)
    if source.size == 0:
        return jnp.broadcast_to(input, shape)
    order = jnp.cumsum(mask.reshape(-1)) - 1
    taken = source.reshape(-1).at[order].get(mode="clip").reshape(shape)
    return jnp.where(mask, taken, input)


@op("none", into=("internal",), name="_masked_select", grad_name="MaskedSelectBackward0")
def _masked_select(input: Tensor, positions: Tensor):
    return input.reshape(-1).at[positions].get(mode="clip")


@composite(out=True)
def masked_select(input, mask) -> Tensor:
    """The elements where `mask` is true, as a vector; reads the mask to count them."""
    if str(mask.dtype) != "torch.bool":
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_check([tuple(mask.shape), tuple(input.shape)])
    (positions,) = np.nonzero(host_array(mask.expand(shape)).reshape(-1))
    return last(_masked_select, input.expand(shape), wrap_host(positions, input.device))


# ---------------------------------------------------------------------------- nonzero


@composite(out="exact")
def nonzero(input, *, as_tuple=False):
    """The positions of the nonzero elements, `(count, ndim)`; `as_tuple` gives one vector a dim.

    Reads the tensor: the size of the result depends on it.
    """
    array = host_array(input)
    if as_tuple:
        found = np.nonzero(array.reshape(1) if array.ndim == 0 else array)
        return tuple(wrap_host(positions, input.device) for positions in found)
    found = np.nonzero(np.atleast_1d(array))[: array.ndim]
    count = int(np.count_nonzero(array))
    return _by_column(np.array(found, np.int64).reshape(array.ndim, count), input.device)


def _by_column(positions: np.ndarray[Any, Any], device: Any) -> Any:
    """`(count, ndim)` from one row a dimension; in memory column after column, as in torch."""
    if device.type != "cpu":
        return wrap_host(positions.T.copy(), device)
    storage = make_storage(positions.reshape(-1))
    return tensor_on(storage, 0, positions.T.shape, (1, max(positions.shape[1], 1)))


@composite()
def argwhere(input) -> Tensor:
    """`nonzero(input)`."""
    return nonzero(input)
