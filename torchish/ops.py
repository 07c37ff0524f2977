"""`torch.ops`: operators by namespace, `torch.ops.aten.add` and those made by `torch.library`."""

from __future__ import annotations

from typing import Any

from ._basics.errors import not_supported
from .library.packets import namespace


def load_library(path: Any) -> None:
    """Refuse: compiled operators of PyTorch cannot run here."""
    raise not_supported("torch.ops.load_library", "torch.library.custom_op")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    found = globals()[name] = namespace(name)
    return found
