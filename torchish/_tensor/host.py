"""What checkpoints and data loading ask of the engine: contents as numpy, tensors from numpy.

Invariant: nothing here touches JAX for data that is on the host already, so the workers of a
data loader may call all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._autograd import interop
from .._basics import devices, dtypes
from .._basics.size import Size
from .._basics.state import process, state
from .._core.storage import Storage
from .._core.trace import flush_point
from .._random.generator import Generator, default_generator, thread_generator
from .attributes import ENGINE_FIELDS, every_field

__all__ = [
    "Generator",
    "Size",
    "Storage",
    "contents",
    "default_dtype",
    "default_generator",
    "devices",
    "dtypes",
    "flush_point",
    "is_tensor",
    "on_cpu",
    "peek",
    "plain_array",
    "set_thread_generator",
    "shared_storage",
    "stacked_views",
    "storage_contents",
    "storage_of",
    "storage_on",
    "tensor_class",
    "tensor_on",
    "thread_generator",
    "wrap",
]


def tensor_class() -> type:
    """The class `torch.Tensor`."""
    return process.tensor_class  # type: ignore[no-any-return]


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return process.tensor_class is not None and isinstance(obj, process.tensor_class)


def on_cpu(tensor: Any) -> bool:
    """Whether `contents` needs no transfer between devices."""
    return storage_of(tensor).device is devices.CPU


def wrap(array: np.ndarray[Any, Any]) -> Any:
    """A CPU tensor that takes over `array`."""
    return interop.wrap_host(array)


def contents(tensor: Any) -> np.ndarray[Any, Any]:
    """A tensor's contents; read-only."""
    return interop.host_array(tensor)  # type: ignore[no-any-return]


def storage_of(tensor: Any) -> Storage:
    """The storage that a tensor views."""
    return tensor._storage  # type: ignore[no-any-return]


def storage_contents(storage: Storage) -> np.ndarray[Any, Any]:
    """A storage's elements in memory order; 1-D, read-only."""
    return interop.storage_array(storage)  # type: ignore[no-any-return]


def storage_on(array: np.ndarray[Any, Any], device: devices.device) -> Storage:
    """A storage that takes over an array, on `device`; a tensor of its shape is no view of it."""
    return storage_of(interop.wrap_host(array, None if device.type == "cpu" else device))


def tensor_on(
    storage: Storage, offset: int, size: Sequence[int], stride: Sequence[int],
    elements: dtypes.dtype | None = None,
) -> Any:  # fmt: skip
    """A tensor that views `storage`, as elements of another type if given."""
    return interop.tensor_on(storage, offset, tuple(size), tuple(stride), elements)


def peek(tensor: Any) -> np.ndarray[Any, Any]:
    """`contents` to be read at once: later writes may show through."""
    return interop.host_view(tensor)  # type: ignore[no-any-return]


def stacked_views(tensors: Sequence[Any]) -> np.ndarray[Any, Any] | None:
    """Samples that are views of one storage on the host, stacked at once; None for others."""
    return interop.stacked_views(tensors)


def plain_array(tensor: Any) -> np.ndarray[Any, Any] | None:
    """The elements of a tensor that is nothing but them, row by row in the CPU's memory; or None.

    To be read at once. None for classes of the user's, histories, attributes, views, other devices.
    """
    if type(tensor) is not process.tensor_class or not tensor._is_plain or tensor._needs_grad():
        return None
    if tensor._storage.device is not devices.CPU or not ENGINE_FIELDS.issuperset(
        every_field(tensor)
    ):
        return None
    array: np.ndarray[Any, Any] = interop.host_view(tensor)
    return array if array.flags.c_contiguous else None


def shared_storage(flat: np.ndarray[Any, Any]) -> Storage:
    """A storage on memory that somebody else reads and writes too, at a fixed address."""
    storage = Storage.over(flat)
    storage.pinned = True
    return storage


def default_dtype() -> dtypes.dtype:
    """The dtype of tensors made from Python floats."""
    return process.default_dtype


def set_thread_generator(generator: Generator | None) -> None:
    """Give this thread a default generator of its own."""
    state.generator = generator
