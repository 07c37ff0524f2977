"""Avals and Values.

Invariants: an `Aval` is interned, so equal avals are the same object and hash by identity; a
`Value` is immutable: once it has an array, that array never changes and nobody writes to its
buffer.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import jax
import numpy as np

from .._basics import dtypes
from .._basics.devices import CPU, device as Device
from .._basics.dtypes import dtype as Dtype
from .._basics.size import Size
from .._basics.state import process, state
from .._basics.strides import contiguous_strides
from .checks import run_checks


class Aval:
    """Shape and dtype of a Value (interned; make with `aval_of`)."""

    __slots__ = ("dtype", "nbytes", "ndim", "numel", "shape", "strides", "struct")

    shape: Size
    dtype: Dtype

    def __init__(self, shape: tuple[int, ...], dt: Dtype) -> None:
        self.shape = tuple.__new__(Size, shape)
        self.dtype = dt
        self.ndim = len(shape)
        self.numel = math.prod(shape)
        self.nbytes = self.numel * dt.itemsize
        self.strides = contiguous_strides(shape)
        self.struct = jax.ShapeDtypeStruct(tuple(shape), dt.np)

    def __repr__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


_AVALS: dict[tuple[tuple[int, ...], Dtype], Aval] = {}


def aval_of(shape: tuple[int, ...], dt: Dtype) -> Aval:
    """The one Aval of this shape and dtype.

    Raises: NotSupportedError for a dtype that has a name only.
    """
    key = (shape, dt)
    found = _AVALS.get(key)
    if found is None:
        dt = dtypes.wanted(dt)
        found = _AVALS.setdefault((tuple(shape), dt), Aval(tuple(shape), dt))
    return found


def aval_of_array(array: Any) -> Aval:
    """The Aval of a numpy array, a `jax.Array` or a tracer."""
    return aval_of(tuple(array.shape), dtypes.from_np(array.dtype))


class Pending(Protocol):
    """Where a value waits for its array: a trace, or what says why it will not come."""

    # Told of tensors that are cut from their history, if it wants to know.
    on_cut: Any

    def flush(self, reason: str = ...) -> None:
        """Run what is pending there."""


class Value:
    """One immutable array: on the host, on a device, pending in a trace, or a JAX tracer.

    `array` is None exactly while the value is pending; `trace` and `slot` then say where. (Later
    `slot` may note that a program copied the array: `running.place`.)
    """

    __slots__ = ("__weakref__", "array", "aval", "device", "slot", "trace")

    array: Any
    aval: Aval
    device: Device
    trace: Pending | None
    slot: int

    def __init__(self, array: Any, aval: Aval, dev: Device = CPU) -> None:
        self.array = array
        self.aval = aval
        self.device = dev
        self.trace = None
        self.slot = 0

    def __repr__(self) -> str:
        kind = "pending" if self.array is None else type(self.array).__name__
        return f"Value({self.aval!r}, {kind}, {self.device})"

    def read(self) -> Any:
        """The array, running what is pending first.

        Raises: the error of a deferred check (an index out of range on a device).
        """
        if self.array is None:
            if self.trace is None:
                raise NotImplementedError("Cannot copy out of meta tensor; no data!")
            self.trace.flush("a value is read")
        run_checks()
        if state.capture is not None:
            state.capture.note_read(self)
        return self.array

    def host(self) -> np.ndarray[Any, Any]:
        """The contents as a read-only numpy array."""
        array = self.read()
        if isinstance(array, np.ndarray):
            return array
        if process.interpret_only:
            check_readable(array)
        return np.asarray(array)


def check_readable(array: Any) -> None:
    """Raise where reading a `jax.Array` in a forked child would wait for ever."""
    if any(d.platform != "cpu" for d in array.devices()):
        raise RuntimeError(
            "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, "
            "you must use the 'spawn' start method"
        )
    if not array.is_ready():
        raise RuntimeError(
            "this value was still being computed by another thread when the process was forked"
        )


def host_value(array: np.ndarray[Any, Any]) -> Value:
    """A Value that owns the numpy array it is given (the caller never writes to it again)."""
    return Value(array, aval_of_array(array), CPU)
