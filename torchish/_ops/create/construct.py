"""Tensors from data: `tensor`, `as_tensor`, `from_numpy`, `asarray` and the legacy constructors."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..._autograd.casting import converted
from ..._autograd.interop import from_jax, host_array, moved, wrap_host
from ..._autograd.tensor_base import TensorBase, alias, from_value
from ..._basics import dtypes
from ..._basics.devices import CPU, resolve
from ..._basics.dtypes import dtype, from_np, promote_types
from ..._basics.state import process
from ..._basics.strides import dense_span
from ..._core.storage import Storage
from ..._core.values import Value, aval_of
from ..call.warning import user_level
from ..registry import Tensor, composite, ops
from .copying import born_with_grad, convert
from .on_memory import is_storage, on_storage


def _infer(data: Any) -> dtype:
    """The dtype that torch gives to nested data: of all numbers, arrays and tensors in it."""
    found: set[dtype] = set()
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, list | tuple | range) and len(item):
            stack.extend(item)
        else:
            found.add(_leaf_type(item))
    return functools.reduce(promote_types, found)


def _leaf_type(item: Any) -> dtype:
    if isinstance(item, TensorBase):
        return item._aval.dtype
    if isinstance(item, np.ndarray | np.generic | jax.Array):
        return from_np(item.dtype)
    if isinstance(item, bool):
        return dtypes.bool_
    if isinstance(item, int):
        return dtypes.int64
    if isinstance(item, complex):
        return process.default_dtype.to_complex()
    return dtypes.int64 if hasattr(item, "__index__") else process.default_dtype


def _nested(data: Any, path: int = 0, is_first: bool = True) -> Any:
    """Check nested sequences as torch does and replace tensors of one element by their number."""
    if isinstance(data, TensorBase):
        return data if data._aval.numel != 1 else data.item()  # type: ignore[attr-defined]
    if isinstance(data, np.ndarray | jax.Array):
        return data.tolist()
    if isinstance(data, str) and path and is_first:
        raise ValueError("too many dimensions 'str'")
    if isinstance(data, str | bytes):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if isinstance(data, dict):
        raise RuntimeError("Could not infer dtype of dict")
    if isinstance(data, Sequence) or (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        return [_nested(x, path + 1, is_first and at == 0) for at, x in enumerate(data)]
    if isinstance(data, np.generic):
        return data.item()
    if isinstance(data, bool | int | float | complex):
        return data
    if hasattr(data, "__index__"):
        return int(data)
    if hasattr(data, "__float__"):
        return float(data)
    raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def _shape(data: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(data, list):
        shape.append(len(data))
        if not data:
            break
        data = data[0]
    return tuple(shape)


def _check_regular(data: Any, shape: tuple[int, ...], dt: dtype, depth: int = 0) -> None:
    """Raise unless `data` nests lists of the sizes in `shape`, with numbers in the innermost."""
    if depth == len(shape):
        if isinstance(data, TensorBase):
            if dt.category <= dtypes.INT:
                raise TypeError(
                    "only integer tensors of a single element can be converted to an index"
                )
            raise ValueError("only one element tensors can be converted to Python scalars")
        if isinstance(data, list):
            raise TypeError(f"new(): invalid data type 'list' at dim {depth}")
        return
    if not isinstance(data, list):
        raise TypeError(f"expected sequence at dim {depth} (got {type(data).__name__})")
    if len(data) != shape[depth]:
        raise ValueError(
            f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})"
        )
    for item in data:
        _check_regular(item, shape, dt, depth + 1)


def array_from(data: Any, dt: dtype | None) -> np.ndarray[Any, Any]:
    """A new numpy array of torch's dtype from any data that `torch.tensor` takes."""
    dt = dtypes.wanted(dt)
    if isinstance(data, TensorBase):
        array = host_array(data)
        return np.array(array if dt is None else _cast(array, dt))
    if isinstance(data, np.ndarray):
        if dt is None:
            from_np(data.dtype)  # raises torch's error for what it does not know
        native = data.astype(data.dtype.newbyteorder("="), copy=False)
        return np.array(native if dt is None else _cast(native, dt), order="C")
    if isinstance(data, np.generic) and dt is None:
        return np.array(data, from_np(data.dtype).np)
    if isinstance(data, jax.Array):
        return array_from(np.asarray(data), dt)
    if isinstance(data, list | tuple) and data and all(type(x) is np.ndarray for x in data):
        stacked = _stack_arrays(data)
        if stacked is not None:
            return stacked if dt is None else _cast(stacked, dt)
    nested = _nested(data)
    found = _infer(data) if dt is None else dt
    shape = _shape(nested)
    if 0 in shape:
        return np.empty(shape, found.np)
    _check_regular(nested, shape, found)
    return _from_numbers(nested, shape, found)


def _stack_arrays(data: Sequence[Any]) -> np.ndarray[Any, Any] | None:
    first = data[0]
    if any(x.shape != first.shape or x.dtype != first.dtype for x in data):
        return None
    warnings.warn(
        "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider "
        "converting the list to a single numpy.ndarray with numpy.array() before converting to a "
        "tensor.",
        stacklevel=user_level(),
    )
    return np.stack(data)


def _from_numbers(data: Any, shape: tuple[int, ...], dt: dtype) -> np.ndarray[Any, Any]:
    if dt.category == dtypes.BOOL:
        flat = np.array(data, object).reshape(-1) if shape else np.array([data], object)
        return np.array([bool(x) for x in flat], np.bool_).reshape(shape)
    if dt.category == dtypes.INT:
        wide = np.array(data, object) if shape else np.array([data], object)
        numbers = [_to_int(x, dt) for x in wide.reshape(-1)]
        return (
            np.array(numbers, np.uint64 if dt is dtypes.uint64 else np.int64)
            .astype(dt.np)
            .reshape(shape)
        )
    if dt.category == dtypes.FLOAT:
        flat = np.array(data, object).reshape(-1) if shape else np.array([data], object)
        if any(isinstance(x, complex) for x in flat):
            raise TypeError("must be real number, not complex")
        with np.errstate(over="ignore"):
            return np.array([float(x) for x in flat], np.float64).astype(dt.np).reshape(shape)
    return np.array(data, np.complex128).astype(dt.np).reshape(shape)


def _to_int(x: Any, dt: dtype) -> int:
    if isinstance(x, complex):
        raise TypeError("'complex' object cannot be interpreted as an integer")
    if isinstance(x, float) and (x != x or x in (float("inf"), float("-inf"))):
        raise ValueError(f"cannot convert float {'NaN' if x != x else 'infinity'} to integer")
    number = int(x)
    if dt is not dtypes.uint64 and not -(1 << 63) <= number < 1 << 63:
        raise ValueError("Overflow when unpacking long long")
    if dt is dtypes.uint64 and number < 0:
        raise OverflowError("can't convert negative int to unsigned")
    limit = int(np.iinfo(dt.np).max)
    # Negative numbers wrap into unsigned types, as in torch.
    if not (-limit if dt.np.kind == "u" else -limit - 1) <= number <= limit:
        raise RuntimeError(f"value cannot be converted to type {dt.name} without overflow")
    return number


def _cast(array: np.ndarray[Any, Any], dt: dtype) -> np.ndarray[Any, Any]:
    if array.dtype == dt.np:
        return array
    with np.errstate(all="ignore"):
        made: np.ndarray[Any, Any] = converted(array, dt)
        return made


def _target(device: Any) -> Any:
    return resolve(device)


@composite(into=("torch",))
def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A new leaf tensor that copies `data` (numbers, nested lists, numpy arrays, tensors).

    Raises: ValueError for ragged lists, TypeError and RuntimeError for other data.
    """
    if isinstance(data, TensorBase):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or sourceTensor.detach().clone().requires_grad_(True), "
            "rather than torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=user_level(),
        )
        if device is None:
            device = data._storage.device
    if isinstance(data, np.ndarray) and not _is_row_major(data):
        made = _in_order(data, dtype, _target(device))
    else:
        made = from_value(moved(wrap_host(array_from(data, dtype))._value(), _target(device)))
    if requires_grad:
        born_with_grad(made)
    return made


def _is_row_major(array: np.ndarray[Any, Any]) -> bool:
    """Whether a tensor of this array needs no other strides; what cannot be one counts as not."""
    return bool(array.flags.c_contiguous and array.size and array.dtype.isnative)


def _in_order(array: np.ndarray[Any, Any], dt: Any, dev: Any) -> Any:
    """A copy in the order of the array's elements in memory, as every copy of a tensor is."""
    seen = _on_array(array)
    made = convert(seen, dt, dev)
    return ops.clone(seen) if made is seen else made


@composite(into=("torch",))
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing memory with a numpy array or tensor where nothing changes."""
    if isinstance(data, TensorBase):
        return convert(data, dtype, None if device is None else resolve(device))
    if isinstance(data, np.ndarray):
        made = from_numpy(data)
        return convert(made, dtype, None if device is None else resolve(device))
    if isinstance(data, jax.Array):
        return convert(from_jax(data), dtype, None if device is None else resolve(device))
    return tensor(data, dtype=dtype, device=device)


@composite(into=("torch",))
def from_numpy(ndarray: Any) -> Tensor:
    """A tensor that shares memory with a numpy array: writes on either side show on the other.

    Raises: TypeError for other objects and dtypes, ValueError for negative strides.
    """
    if not isinstance(ndarray, np.ndarray):
        place = "numpy." if isinstance(ndarray, np.generic) else ""
        raise TypeError(f"expected np.ndarray (got {place}{type(ndarray).__name__})")
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors. This means writing to this tensor will result in undefined behavior. You may "
            "want to copy the array to protect its data or make it writable before converting it "
            "to a tensor. This type of warning will be suppressed for the rest of this program.",
            stacklevel=user_level(),
        )
    return _on_array(ndarray)


def _on_array(array: np.ndarray[Any, Any]) -> Any:
    """A tensor on the memory of an array, with its strides; on a copy of it if it is read-only.

    Raises: torch's errors for arrays that no strides of elements describe.
    """
    if any(s < 0 for s in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported."
        )
    dt = from_np(array.dtype)
    size = array.dtype.itemsize
    if any(s % size for s in array.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. "
            "Copy the numpy array to reallocate the memory."
        )
    shape = tuple(array.shape)
    strides = tuple(s // size for s in array.strides)
    flat = np.lib.stride_tricks.as_strided(array, (dense_span(shape, strides),), (size,))
    if not array.flags.writeable:
        if _is_row_major(array):
            return wrap_host(np.array(array))
        flat = flat.copy()
    storage = Storage.over(flat)
    whole = from_value(Value(flat, aval_of(flat.shape, dt), CPU))
    whole._storage = storage
    return alias(whole, shape, strides, 0)


@composite(into=("torch",))
def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """`obj` as a tensor; `copy` says whether memory must (True) or may not (False) be copied."""
    if isinstance(obj, TensorBase):
        made = convert(obj, dtype, None if device is None else resolve(device))
        shared = made is obj
    elif isinstance(obj, np.ndarray):
        first = from_numpy(obj)
        made = convert(first, dtype, None if device is None else resolve(device))
        shared = made is first
    elif isinstance(obj, jax.Array):
        first = from_jax(obj)
        made = convert(first, dtype, None if device is None else resolve(device))
        shared = made is first
    elif is_storage(obj):
        first = on_storage(obj, dtype or process.default_dtype)
        made = convert(first, None, None if device is None else resolve(device))
        shared = made is first
    else:
        made, shared = tensor(obj, dtype=dtype, device=device), False
    if copy is False and not shared:
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    if copy and shared:
        made = ops.clone(made)
    if not requires_grad and made._needs_grad():
        made = made.detach()
    if requires_grad:
        born_with_grad(made)
    return made


@composite(into=("torch",), name="scalar_tensor")
def scalar_tensor(
    s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """A 0-dim tensor of the default dtype."""
    return tensor(
        s, dtype=dtype or process.default_dtype, device=device, requires_grad=requires_grad
    )


@composite(into=("torch",))
def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Any:
    """A 1-D tensor that shares memory with a buffer."""
    made = from_numpy(np.frombuffer(buffer, dtype.np, count, offset))
    if requires_grad:
        born_with_grad(made)
    return made


@composite(into=("method",))
def new_tensor(
    self: Any, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`torch.tensor(data)` with this tensor's dtype and device by default."""
    return tensor(
        data, dtype=dtype or self._aval.dtype, device=device or self._storage.device,
        requires_grad=requires_grad,
    )  # fmt: skip
