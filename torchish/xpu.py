"""`torch.xpu`: no machine has such a device here."""

from typing import Any

from ._devices.absent import functions

_FOUND = functions("XPU")


def __getattr__(name: str) -> Any:
    if name in _FOUND:
        return _FOUND[name]
    raise AttributeError(f"module 'torch.xpu' has no attribute {name!r}")
