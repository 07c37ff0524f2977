"""`x[...]` and `x[...] = v`.

An index is read once, from left to right, as torch reads it: integers, slices, None and Ellipsis
become views; bools, masks, integer tensors and sequences are noted with the dimension they stand at
and are carried out together by one gather (or scatter) on that view. Positions are operands of the
program, so a changed index never recompiles.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..._autograd.apply import check_inplace
from ..._autograd.interop import host_array, is_host, wrap_host
from ..._autograd.tensor_base import TensorBase
from ..._basics import dtypes
from ..._basics.state import state
from ..call.describe import check_expandable
from ..call.warning import user_level
from ..protocol import overriding
from ..registry import Tensor, composite, methods, ops
from ..views.parts import selected
from .advanced import check_put_history, expand_masks, fill_masked, gather, put

_BAD = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
    "indices (got {})"
)
_MASKS = (dtypes.bool_, dtypes.uint8)
_LIMIT = 2**63


@composite(into=("method",), name="__getitem__")
def getitem(self, index) -> Tensor:
    """`self[index]`: a view for integers, slices, None and Ellipsis, else a copy."""
    if type(index) is int and self._aval.ndim:
        size = self._aval.shape[0]
        if overriding.engaged:
            return ops.select(self, 0, _position(index, size, 0))
        return selected(self, 0, _position(index, size, 0) % size)
    view, noted = _read(self, index, ensure_view=True)
    if noted:
        return gather(view, *expand_masks(view, noted))
    return methods.alias(self) if view is self else view


@composite(into=("method",), name="__setitem__")
def setitem(self, index, value):
    """`self[index] = value`, in place; `value` is cast to this dtype and broadcast."""
    if index is False or (isinstance(index, TensorBase) and _is_false(index)):
        return
    value = _as_value(self, value)
    if index is True:
        view, noted = ops.unsqueeze(self, 0), []
    else:
        view, noted = _read(self, index)
    if not noted:
        _copy_to(view, value)
    elif _is_single(value) and all(i._aval.dtype in _MASKS for _, i in noted) and len(noted) == 1:
        fill_masked(view, *noted[0], value)
    else:
        check_put_history(view, value)
        put(view, *expand_masks(view, noted), _without_lead(value))


@composite(into=("method",), name="__delitem__")
def delitem(self, index):
    """Refused, as in torch."""
    raise TypeError("Tensor does not support deleting items")


def _is_false(index: Any) -> bool:
    return bool(
        index._aval.ndim == 0
        and index._aval.dtype is dtypes.bool_
        and is_host(index)
        and not index.item()
    )


# ---------------------------------------------------------------------------- reading an index


def _read(tensor: Any, index: Any, ensure_view: bool = False) -> tuple[Any, list[tuple[int, Any]]]:
    """The basic part as a view of `tensor`, and the rest as (dimension, index tensor)."""
    alone = type(index) is not tuple and not _is_tuple_like(index)
    items = [_item(tensor, i) for i in ((index,) if alone else index)]
    used = sum(_dims_used(item) for item in items)
    ndim = tensor._aval.ndim
    if used > ndim:
        raise _too_many(ndim, index if alone else ())
    view, dim, noted = tensor, 0, []
    for position, item in enumerate(items):
        kind = type(item)
        if kind is int:
            at = _position(item, view._aval.shape[dim], position)
            view = ops.select(view, dim, at)
        elif kind is slice:
            view = _slice(view, dim, item, ensure_view and alone)
            dim += 1
        elif item is None:
            view = ops.unsqueeze(view, dim)
            dim += 1
        elif item is Ellipsis:
            dim += ndim - used
            used = ndim  # a second ellipsis stands for nothing
        elif kind is bool:
            view = ops.unsqueeze(view, dim)
            noted.append((dim, wrap_host(np.zeros(int(item), np.int64))))
            dim += 1
        else:
            noted.append((dim, item))
            dim += _dims_used(item)
    return view, noted


def _is_tuple_like(index: Any) -> bool:
    """Whether torch reads this list (or other sequence) as a tuple of indices."""
    if isinstance(index, TensorBase | np.ndarray) or not _is_sequence(index):
        return False
    if isinstance(index, tuple):
        return True
    if len(index) >= 32:
        return False
    return any(
        i is None or i is Ellipsis or isinstance(i, slice | TensorBase | np.ndarray)
        or _is_sequence(i)
        for i in index
    )  # fmt: skip


def _is_sequence(thing: Any) -> bool:
    return isinstance(thing, list | tuple | range | str) or (
        hasattr(thing, "__len__") and hasattr(thing, "__getitem__") and not hasattr(thing, "keys")
    )


def _item(tensor: Any, item: Any) -> Any:
    """One index as an int, slice, None, Ellipsis, bool or tensor."""
    kind = type(item)
    if kind is int or kind is slice or kind is bool or item is None or item is Ellipsis:
        return item
    if isinstance(item, TensorBase):
        return _tensor_item(item)
    if isinstance(item, np.integer):
        return int(item)
    if isinstance(item, np.ndarray):
        if item.ndim == 0:
            return _item(tensor, bool(item) if item.dtype == bool else int(item))
        return wrap_host(item.copy() if item.dtype == bool else item.astype(np.int64))
    if isinstance(item, np.generic) or not _is_sequence(item):
        if isinstance(item, int):
            return int(item)
        module = f"{kind.__module__}." if kind.__module__ == "numpy" else ""
        raise IndexError(_BAD.format(module + kind.__name__))
    return wrap_host(_sequence(item))


def _tensor_item(item: Any) -> Any:
    dtype = item._aval.dtype
    if item._aval.ndim == 0 and dtype.category <= dtypes.INT and not state.index_by_tensors:
        return bool(item.item()) if dtype in _MASKS else int(item.item())
    if dtype not in (dtypes.int64, dtypes.int32, *_MASKS):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if dtype is dtypes.uint8:
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
            "instead.",
            stacklevel=user_level(),
        )
    return item


def _sequence(items: Any) -> np.ndarray[Any, Any]:
    """A Python sequence of numbers as an int64 array (fractions are cut), or as a bool mask."""
    plain = _plain(items)
    _check_regular(plain)
    array = np.array(plain)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind in "iuf":
        return array.astype(np.int64)
    return _refuse_elements(plain)


def _refuse_elements(plain: Any) -> Any:
    while isinstance(plain, list):
        plain = next((p for p in plain if not isinstance(p, int | float)), None)
    if plain is None:
        raise RuntimeError("Could not infer dtype of NoneType")
    raise TypeError(f"new(): invalid data type '{type(plain).__name__}'")


def _plain(items: Any) -> Any:
    if isinstance(items, TensorBase):
        array = host_array(items)
        return array.item() if array.size == 1 else array.tolist()
    if isinstance(items, np.ndarray):
        return items.tolist()
    if isinstance(items, str) or not _is_sequence(items):
        return items
    return [_plain(i) for i in items]


def _check_regular(plain: Any, depth: int = 0) -> None:
    """torch's error for nested lists of different lengths."""
    lists = [p for p in plain if isinstance(p, list)]
    for p in lists:
        if len(p) != len(lists[0]):
            raise ValueError(
                f"expected sequence of length {len(lists[0])} at dim {depth + 1} (got {len(p)})"
            )
    if lists:
        _check_regular([q for p in lists for q in p], depth + 1)


def _dims_used(item: Any) -> int:
    if item is None or item is Ellipsis or type(item) is bool:
        return 0
    if isinstance(item, TensorBase) and item._aval.dtype in _MASKS:
        return item._aval.ndim
    return 1


def _too_many(ndim: int, alone: Any) -> Exception:
    """`alone`: the index as given when it is no tuple."""
    if ndim == 0 and isinstance(alone, int | np.integer):
        if alone:
            return IndexError(f"index {alone} is out of bounds for dimension 0 with size 0")
        return IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
            "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number"
        )
    if ndim == 0 and type(alone) is slice:
        if alone.indices(0)[2] < 0:
            return ValueError("step must be greater than zero")
        return IndexError("slice() cannot be applied to a 0-dim tensor.")
    return IndexError(f"too many indices for tensor of dimension {ndim}")


def _position(index: int, size: int, position: int) -> int:
    """Check an integer index."""
    if not -size <= index < size:
        if not -_LIMIT <= index < _LIMIT:
            raise ValueError("Overflow when unpacking long long")
        raise IndexError(
            f"index {index} is out of bounds for dimension {position} with size {size}"
        )
    return index


def _slice(view: Any, dim: int, item: slice, ensure_view: bool) -> Any:
    """A slice as a view; one that takes a whole dim is no view of its own unless asked for."""
    size = view._aval.shape[dim]
    start, stop, step = item.indices(size)
    if step < 0:
        raise ValueError("step must be greater than zero")
    if not ensure_view and (start, stop, step) == (0, size, 1):
        return view
    return methods._slice(view, dim, start, max(start, stop), step)


# ---------------------------------------------------------------------------- values


def _as_value(tensor: Any, value: Any) -> Any:
    """The value of an assignment: a tensor, or a number that this dtype can hold."""
    if isinstance(value, TensorBase):
        return value
    if isinstance(value, np.integer):
        value = int(value)
    if not isinstance(value, int | float | complex):
        module = f"{type(value).__module__}." if type(value).__module__ == "numpy" else ""
        raise TypeError(f"can't assign a {module}{type(value).__name__} to a {tensor.type()}")
    check_holds(tensor._aval.dtype, value)
    return value


_C_NAMES = {
    dtypes.int64: "int64_t", dtypes.int32: "int", dtypes.int16: "int16_t", dtypes.int8: "int8_t",
    dtypes.uint8: "uint8_t", dtypes.uint16: "uint16_t", dtypes.uint32: "uint32_t",
    dtypes.uint64: "uint64_t", dtypes.float32: "float", dtypes.float64: "double",
    dtypes.float16: "at::Half", dtypes.bfloat16: "at::BFloat16", dtypes.bool_: "bool",
}  # fmt: skip


def check_holds(dtype: Any, value: Any) -> None:
    """Raise torch's error for a number that does not fit into `dtype`."""
    if type(value) is int and not -_LIMIT <= value < 2 * _LIMIT:
        raise ValueError("Overflow when unpacking long long")
    fits = True
    if isinstance(value, complex):
        fits = dtype.is_complex or value.imag == 0
    elif dtype.category == dtypes.INT:
        top = np.iinfo(dtype.np).max
        low = np.iinfo(dtype.np).min if dtype.is_signed else -int(top)
        fits = value == value and low <= value <= top
    if not fits:
        raise RuntimeError(
            f"value cannot be converted to type {_C_NAMES.get(dtype, dtype.name)} without overflow"
        )


def _is_single(value: Any) -> bool:
    return not isinstance(value, TensorBase) or value._aval.numel == 1


def _without_lead(value: Any) -> Any:
    """The value without the leading dimensions of size 1, which assignments ignore."""
    if not isinstance(value, TensorBase):
        return value
    shape = tuple(value._aval.shape)
    lead = next((d for d, n in enumerate(shape) if n != 1), len(shape))
    return ops.reshape(value, shape[lead:]) if lead else value


def _copy_to(view: Any, value: Any) -> None:
    if not isinstance(value, TensorBase):
        check_inplace(view)  # a fill would go through shared memory, torch copies
    shape = tuple(view._aval.shape)
    if isinstance(value, TensorBase) and tuple(value._aval.shape) != shape:
        if value._aval.ndim == 0 and value._storage.device.type == "cpu":
            ops.fill_(view, value)
            return
        value = _without_lead(value)
        check_expandable(value, shape)
    methods.copy_(view, value)
