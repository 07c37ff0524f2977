"""DLPack, both ways: tensors of other libraries' arrays, and capsules of ours.

Invariant: memory on the CPU is shared, as in torch, but for what nobody may write to (arrays of
JAX, read-only numpy arrays): such memory is taken as an immutable value.
"""

from __future__ import annotations

import enum
from typing import Any

import jax
import numpy as np

from .._autograd.interop import from_jax, to_jax, wrap_host
from .._autograd.tensor_base import TensorBase
from .._basics.devices import CPU, resolve
from .._ops.registry import ops


class DLDeviceType(enum.IntEnum):
    """The kinds of devices that the DLPack specification numbers."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17


_INVALID = (
    "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only "
    "once, so you might have already constructed a tensor from it once."
)


class _Writable:
    """The memory of an array that numpy keeps from being written, though its capsule does not."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array  # keeps the memory
        about = array.__array_interface__
        self.__array_interface__ = {**about, "data": (about["data"][0], False)}


class _Carrier:
    """A bare capsule as the object that the protocol asks for."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return int(DLDeviceType.kDLCPU), 0


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor of anything that speaks DLPack, sharing its memory.

    Args:
        ext_tensor: an object with `__dlpack__`, or a capsule.
        device: where the tensor shall be; where the memory is by default.
        copy: True copies always, False never.

    Raises: RuntimeError for a capsule that was used before, ValueError when `copy` is False and
        the memory cannot be shared.
    """
    made, shared = _taken(ext_tensor)
    if device is not None and resolve(device) is not made._storage.device:
        made, shared = made.to(device), False
    if copy is False and not shared:
        raise ValueError("cannot move (i.e. copy) a tensor when copy=False")
    return ops.clone(made) if copy and shared else made


def _taken(source: Any) -> tuple[Any, bool]:
    """The tensor, and whether it shares memory with `source`."""
    if isinstance(source, TensorBase):
        _check_exportable(source)
        return source.detach(), True  # type: ignore[attr-defined]
    if isinstance(source, jax.Array):
        return from_jax(source), True
    if isinstance(source, np.ndarray):
        if source.dtype.kind not in "biufc" and source.dtype.type.__module__ == "numpy":
            raise BufferError(
                "DLPack only supports signed/unsigned integers, float and complex dtypes."
            )
        array = source  # numpy's own reader refuses arrays that it may not write to
    else:
        carrier = source if hasattr(source, "__dlpack__") else _Carrier(source)
        try:
            array = np.from_dlpack(carrier)
            if carrier is not source:  # a capsule of before flags were invented
                array = np.asarray(_Writable(array))
        except (TypeError, ValueError, AttributeError) as error:
            raise RuntimeError(_INVALID) from error
        except BufferError:  # a device or dtype that numpy does not know
            return from_jax(jax.dlpack.from_dlpack(carrier)), True
    if array.flags.writeable and all(s >= 0 for s in array.strides):
        return ops.from_numpy(array), True
    return wrap_host(np.array(array)), False


def export(tensor: Any, stream: Any = None, **options: Any) -> Any:
    """The capsule of a tensor's memory (`Tensor.__dlpack__`).

    Raises: BufferError for tensors that require grad or are lazily conjugated.
    """
    _check_exportable(tensor)
    if tensor._storage.device is not CPU:
        return to_jax(tensor).__dlpack__(stream=stream, **options)
    if stream is not None:
        raise AssertionError("stream should be None on cpu.")
    if tensor._aval.dtype.np.type.__module__ != "numpy":  # bfloat16 and its kin
        return to_jax(tensor).__dlpack__(**options)
    return tensor.detach().numpy().__dlpack__(**options)


def _check_exportable(tensor: Any) -> None:
    if tensor.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if tensor._conjugated:
        raise BufferError("Can't export tensors with the conjugate bit set")


def device_of(tensor: Any) -> tuple[DLDeviceType, int]:
    """DLPack's kind and number of the device of a tensor."""
    place = tensor._storage.device
    if place is CPU:
        return DLDeviceType.kDLCPU, 0
    if place.type == "cuda":
        return DLDeviceType.kDLCUDA, place.index or 0
    raise BufferError(f"DLPack has no name for memory on {place}")


def to_dlpack(tensor: Any) -> Any:
    """The capsule of a tensor's memory; unlike `__dlpack__`, of one that requires grad too."""
    return tensor.detach().__dlpack__()
