"""`torch.mtia`: no machine has such a device here."""

from typing import Any

from ._devices.absent import functions

_FOUND = functions("MTIA")


def __getattr__(name: str) -> Any:
    if name in _FOUND:
        return _FOUND[name]
    raise AttributeError(f"module 'torch.mtia' has no attribute {name!r}")
