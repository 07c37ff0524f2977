"""Collation: from a list of samples to a batch.

Invariant: samples in host memory are stacked by numpy; no JAX computation starts, so workers can do
it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ...._ops.registry import ops
from ...._tensor import host as _host
from ...._tensor.tensor import Tensor
from . import batch_memory

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)
_NOT_NUMBERS = re.compile(r"[SaUO]")
CollateMap = dict[Any, Callable[..., Any]]


def default_convert(data: Any) -> Any:
    """Turn the numpy arrays inside `data` into tensors; leave everything else as it is."""
    kind = type(data)
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)) and kind.__module__ == "numpy":
        if isinstance(data, np.ndarray) and _NOT_NUMBERS.search(data.dtype.str):
            return data
        return ops.as_tensor(data) if not isinstance(data, (np.str_, np.bytes_)) else data
    if isinstance(data, Mapping):
        return _rebuilt_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return kind(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rebuilt_sequence(data, [default_convert(d) for d in data])
    return data


def collate(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Merge samples; `collate_fn_map` gives the function for each type of leaf.

    Raises: TypeError for a type without a function, RuntimeError for lists of unequal length.
    """
    first = batch[0]
    kind = type(first)
    if collate_fn_map is not None:
        if kind in collate_fn_map:
            return collate_fn_map[kind](batch, collate_fn_map=collate_fn_map)
        for known, function in collate_fn_map.items():
            if isinstance(first, known):
                return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        merged = {
            key: collate([sample[key] for sample in batch], collate_fn_map=collate_fn_map)
            for key in first
        }
        return _rebuilt_mapping(first, merged)
    if isinstance(first, Sequence):
        is_named = isinstance(first, tuple) and hasattr(first, "_fields")
        if not is_named and any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [
            collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=False)
        ]
        if is_named:
            return kind(*columns)
        return columns if isinstance(first, tuple) else _rebuilt_sequence(first, columns)
    raise TypeError(default_collate_err_msg_format.format(kind))


def _rebuilt_mapping(like: Any, items: dict[Any, Any]) -> Any:
    """`items` in a mapping of the type of `like`, keeping its other properties."""
    try:
        if isinstance(like, MutableMapping):
            clone = copy.copy(like)
            clone.update(items)
            return clone
        return type(like)(items)  # type: ignore[call-arg]
    except TypeError:
        # The type cannot be copied or made from a dict.
        return items


def _rebuilt_sequence(like: Any, items: list[Any]) -> Any:
    """`items` in a sequence of the type of `like`, keeping its other properties."""
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for at, item in enumerate(items):
                clone[at] = item
            return clone
        return type(like)(items)  # type: ignore[call-arg]
    except TypeError:
        # The type cannot be copied or made from a list (range).
        return items


# --- leaves ---


def collate_tensor_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Stack tensors along a new first dimension.

    On the CPU numpy does it, after running what is pending: the batch is then a plain input of the
    training step's program, however samples are made.
    """
    first = batch[0]
    if batch_memory.is_small(len(batch) * first._aval.nbytes):
        rows = _host.stacked_views(batch)
        if rows is not None:
            return _host.wrap(rows)
    plain = all(
        type(t) is Tensor and not t.requires_grad and t.dtype is first.dtype and _host.on_cpu(t)
        for t in batch
    )
    if not plain:
        return ops.stack(list(batch), 0)
    return _host.wrap(_stacked([_host.peek(t) for t in batch]))


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Stack numpy arrays. Raises: TypeError for arrays of strings or objects."""
    if _NOT_NUMBERS.search(batch[0].dtype.str):
        raise TypeError(default_collate_err_msg_format.format(batch[0].dtype))
    return collate([ops.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """A tensor of numpy scalars."""
    return ops.as_tensor(np.array(batch))


def collate_float_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """A float64 tensor of Python numbers."""
    return _host.wrap(np.array(batch, np.float64))


def collate_int_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """A tensor of Python integers: int64, or bool when all are."""
    return ops.tensor(batch)


def collate_str_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Strings stay a list."""
    return batch


def _stacked(arrays: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Raises: RuntimeError for arrays of several shapes."""
    for at, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(arrays[0].shape)} at "
                f"entry 0 and {list(array.shape)} at entry {at}"
            )
    return batch_memory.stacked(arrays)


default_collate_fn_map: CollateMap = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: Any) -> Any:
    """Merge a list of samples into a batch with one more, leading, dimension.

    Tensors, arrays and numbers become one tensor; strings stay a list; mappings, named tuples and
    sequences are merged item by item.

    Example:
        >>> default_collate([{"a": 1, "b": 2}, {"a": 3, "b": 4}])
        {'a': tensor([1, 3]), 'b': tensor([2, 4])}
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
