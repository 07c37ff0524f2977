"""`torch.cpu`: the CPU seen as an accelerator."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .._basics.devices import resolve
from .._devices.streams import Event as Event, Stream as Stream, _finish

__all__ = [
    "Event", "Stream", "StreamContext", "current_device", "current_stream", "device_count",
    "is_available", "is_initialized", "set_device", "stream", "synchronize",
]  # fmt: skip
StreamContext = nullcontext


def is_available() -> bool:
    """True."""
    return True


def is_initialized() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1."""
    return 1


def current_device() -> str:
    """ "cpu"."""
    return "cpu"


def set_device(device: Any) -> None:
    """Do nothing: there is one CPU."""


def synchronize(device: Any = None) -> None:
    """Wait until everything recorded has run."""
    _finish(resolve("cpu"))


def current_stream(device: Any = None) -> Any:
    """The one stream."""
    return Stream("cpu")


def stream(stream: Any) -> AbstractContextManager[Any]:
    """A context without effect: XLA orders the work."""
    return nullcontext(stream)
