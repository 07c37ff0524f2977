"""Between tensors, numpy arrays and storages, without touching JAX where the data is on the host.

Invariant: `wrap_host` and `host_array` of a host-backed tensor never start a JAX computation, so
code that runs in DataLoader workers may use them freely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .._basics.concrete import concrete
from .._basics.devices import CPU, META, device, jax_device, resolve
from .._basics.dtypes import dtype, from_np
from .._basics.state import process, state
from .._basics.strides import dense_span
from .._basics.wide import widened
from .._core.storage import Storage
from .._core.values import Value, aval_of, aval_of_array, host_value
from .tensor_base import TensorState, alias, from_value


def wrap_host(array: np.ndarray[Any, Any], device: Any = None) -> Any:
    """A tensor that owns `array` (the caller must not write to it again); no copy, no JAX."""
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array).reshape(array.shape)
    made = from_value(host_value(array))
    if device is None:
        return made
    dev = resolve(device)
    return made if dev is CPU else from_value(moved(made._value(), dev))


def number_value(number: float, dt: dtype) -> Value:
    """A number as a 0-d value on the host."""
    return Value(np.array(number, dt.np), aval_of((), dt))


def host_array(tensor: TensorState) -> np.ndarray[Any, Any]:
    """The contents as a read-only numpy array of the tensor's shape; runs what is pending."""
    storage = tensor._storage
    value = storage._value
    if tensor._layout is not None and type(value.array) is np.ndarray and not tensor._conjugated:
        if tensor._aval.dtype is storage.aval.dtype and storage.strides is None:
            if state.capture is not None:
                state.capture.note_read(value)
            return _strided(storage, tensor)
    array = tensor._value().host()
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def host_view(tensor: TensorState) -> np.ndarray[Any, Any]:
    """`host_array` without a copy of memory that numpy shares: writes to that show through."""
    storage = tensor._storage
    if storage.host is None or tensor._conjugated or tensor._aval.dtype is not storage.dtype:
        return host_array(tensor)
    return _strided(storage, tensor)


def _strided(storage: Storage, tensor: TensorState) -> np.ndarray[Any, Any]:
    """A numpy view of a host-backed storage through the tensor's layout."""
    flat = storage.host if storage.host is not None else storage._value.array
    return strided_view(
        np.asarray(flat).reshape(-1),
        tuple(tensor._aval.shape),
        tensor._strides,
        tensor._offset,
        False,
    )


def stacked_views(tensors: Sequence[Any]) -> np.ndarray[Any, Any] | None:
    """Plain views of equal layout in one host-backed storage, stacked by one gather.

    That is what the samples of a batch are that indexing makes. None for anything else.
    """
    first = tensors[0]
    storage, aval, layout, base = first._storage, first._aval, first._layout, first._base
    kind, value = process.tensor_class, storage._value
    if layout is None or layout[2] or base is None or state.capture is not None:
        return None
    if storage.device is not CPU or storage.aval.dtype is not aval.dtype or base._needs_grad():
        return None
    if storage.host is None and type(value.array) is not np.ndarray:
        return None
    strides, starts = layout[0], []
    for t in tensors:
        own = t._layout
        if type(t) is not kind or t._storage is not storage or t._aval is not aval or own is None:
            return None
        if own[0] != strides or t._base is not base or t._requires_grad or t._grad_fn is not None:
            return None
        starts.append(own[1])
    flat = np.asarray(storage.host if storage.host is not None else value.array).reshape(-1)
    shape = tuple(aval.shape)
    room = flat.size - dense_span(shape, strides) + 1
    made: np.ndarray[Any, Any] = strided_view(flat, (room, *shape), (1, *strides), 0, False)[starts]
    return made


def strided_view(
    flat: np.ndarray[Any, Any], shape: Sequence[int], strides: Sequence[int], offset: int,
    writeable: bool,
) -> np.ndarray[Any, Any]:  # fmt: skip
    """A numpy view of a 1-D array through a torch layout."""
    size = flat.dtype.itemsize
    if 0 in shape:
        return np.empty(shape, flat.dtype)
    # As bytes: numpy's buffers do not know the types of ml_dtypes.
    made: np.ndarray[Any, Any] = np.ndarray(
        tuple(shape), flat.dtype, flat.view(np.uint8), offset * size, [s * size for s in strides]
    )
    if not writeable:
        made.flags.writeable = False
    return made


def is_host(tensor: TensorState) -> bool:
    """Whether the data lies in the CPU's memory already: nothing pending, nothing elsewhere.

    The answer is the same whether the tensor was interpreted or came out of a program.
    """
    storage = tensor._storage
    value = storage._value
    return storage.host is not None or (value.array is not None and value.device is CPU)


@concrete
@widened
def moved(value: Value, dev: device) -> Value:
    """The same content on another device; what is pending is run first."""
    if value.device is dev:
        return value
    if dev is META:
        return Value(None, value.aval, META)
    array = value.read()
    if dev is CPU:
        return Value(np.asarray(array), value.aval, CPU)
    # A copy always: neither side may see a buffer that the other gives away.
    return Value(jax.device_put(array, jax_device(dev), may_alias=False), value.aval, dev)


def make_storage(flat: np.ndarray[Any, Any]) -> Storage:
    """A storage that owns a 1-D numpy array."""
    return Storage(Value(flat, aval_of(flat.shape, from_np(flat.dtype)), CPU))


def storage_array(storage: Storage) -> np.ndarray[Any, Any]:
    """The content of a storage in memory order, 1-D, read-only."""
    if storage.host is not None:
        array = storage.host.view()
    else:
        base = storage.value.host()
        if storage.strides is not None:
            from .._basics.strides import memory_order

            base = base.transpose(memory_order(tuple(base.shape), storage.strides))
        array = np.ascontiguousarray(base).reshape(-1).view()
    array.flags.writeable = False
    return array


def tensor_on(
    storage: Storage, offset: int, size: Sequence[int], stride: Sequence[int],
    elements: dtype | None = None,
) -> Any:  # fmt: skip
    """A tensor that views `storage` through a layout, as elements of another type if given."""
    whole = from_value(storage._value)
    whole._storage = storage
    return alias(whole, tuple(size), tuple(stride), offset, elements=elements)


def from_jax(array: Any) -> Any:
    """A tensor on a `jax.Array` (shared: both are immutable).

    Raises: TypeError for a tracer, which has no data.
    """
    from .._basics.devices import from_jax as device_of

    if isinstance(array, jax.core.Tracer):
        raise TypeError(
            f"from_jax was given {type(array).__name__}, a value that JAX is tracing. A jax.jit, "
            "jax.grad or jax.vmap cannot run tensors inside; make the PyTorch code a JAX function "
            "first, with torchish.func.to_jax"
        )
    places = sorted(array.devices(), key=lambda d: d.id) if hasattr(array, "devices") else []
    if len(places) > 1:  # a tensor lies on one device
        array = jax.device_put(array, places[0])
    dev = device_of(places[0]) if places else CPU
    return from_value(Value(array, aval_of_array(array), dev))


@concrete
@widened
def to_jax(tensor: TensorState) -> Any:
    """The contents as a `jax.Array`; runs what is pending.

    Memory is shared where nobody can write to it: what XLA computed, and arrays of numpy that only
    this Value holds (XLA takes those at aligned addresses as they are, and copies the others). The
    Value then keeps the `jax.Array`, so that the next call gives the same one. On the CPU, where
    that is JAX's default device, the array is not committed: like any other array that JAX code
    makes, it may join a computation over a mesh.
    """
    value = tensor._value()
    array = value.read()
    place = jax_device(tensor._storage.device)
    host = isinstance(array, np.ndarray)
    if not host and not _is_loose(array, place):
        return array
    mine = not host or (
        type(array) is np.ndarray and array.base is None and tensor._storage.host is None
    )
    where = None if _is_default(place) else place
    made = jax.device_put(np.asarray(array) if mine else array.copy(), where)
    if mine and not process.interpret_only:
        value.array = made
    return made


def _is_default(place: Any) -> bool:
    """Whether JAX computes on this CPU where nothing says where."""
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    return bool(place.platform == "cpu" and (chosen or jax.devices()[0]) == place)


def _is_loose(array: Any, place: Any) -> bool:
    """Whether a committed array may become one that is not, on the same memory."""
    return bool(array.committed) and _is_default(place) and len(array.devices()) == 1


def is_recording(tensor: TensorState) -> bool:
    """Whether the tensor has no data because a function is being recorded (`vmap`, `to_jax`)."""
    value = tensor._storage._value
    return value.array is None and bool(getattr(value.trace, "private", False))
