"""`torch.accelerator`: whatever accelerator there is (GPUs, else none), by one set of names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from . import cuda
from ._basics.devices import device as Device

_NONE = "Cannot access accelerator device when none is available."


def is_available() -> bool:
    """Whether there is an accelerator."""
    return cuda.is_available()


def device_count() -> int:
    """The number of accelerators."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> Device | None:
    """The device type of the accelerator; None where there is none."""
    return Device("cuda") if cuda.is_available() else None


def _require() -> None:
    if not cuda.is_available():
        raise RuntimeError(_NONE)


def current_device_index() -> int:
    """The index of the current accelerator."""
    _require()
    return cuda.current_device()


def set_device_index(device: Any, /) -> None:
    """Make an accelerator the current one."""
    _require()
    cuda.set_device(device)


current_device_idx, set_device_idx = current_device_index, set_device_index


@contextlib.contextmanager
def device_index(device: int | None, /) -> Iterator[None]:
    """A block in which another accelerator is the current one (None: the same)."""
    if device is None:
        yield
        return
    _require()
    with cuda.device(device):
        yield


def synchronize(device: Any = None, /) -> None:
    """Wait for all queued work."""
    _require()
    cuda.synchronize(device)


def current_stream(device: Any = None, /) -> Any:
    """The one queue of an accelerator."""
    _require()
    return cuda.current_stream(device)


def set_stream(stream: Any) -> None:
    """Nothing to choose: each device has one queue."""
    _require()


def empty_cache() -> None:
    """Nothing to empty: XLA manages its pool."""
    if cuda.is_available():
        cuda.empty_cache()


def memory_stats(device_index: Any = None, /) -> Any:
    """Counters of the allocator."""
    return cuda.memory_stats(device_index) if cuda.is_available() else {}


def memory_allocated(device_index: Any = None, /) -> int:
    """Bytes in use."""
    return cuda.memory_allocated(device_index) if cuda.is_available() else 0


def max_memory_allocated(device_index: Any = None, /) -> int:
    """The most bytes that were in use."""
    return cuda.max_memory_allocated(device_index) if cuda.is_available() else 0


def memory_reserved(device_index: Any = None, /) -> int:
    """Bytes that the pool holds."""
    return cuda.memory_reserved(device_index) if cuda.is_available() else 0


def max_memory_reserved(device_index: Any = None, /) -> int:
    """The most bytes that the pool held."""
    return cuda.max_memory_reserved(device_index) if cuda.is_available() else 0


def reset_peak_memory_stats(device_index: Any = None, /) -> None:
    """Start the maxima anew."""
    if cuda.is_available():
        cuda.reset_peak_memory_stats(device_index)


def get_device_capability(device: Any = None, /) -> dict[str, Any]:
    """What the accelerator can do."""
    _require()
    from ._basics.dtypes import ALL

    return {"supported_dtypes": set(ALL)}
