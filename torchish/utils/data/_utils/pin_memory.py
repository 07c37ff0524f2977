"""Page-locked memory: JAX moves host memory itself, so this only asks each object to pin itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .collate import _rebuilt_mapping, _rebuilt_sequence


def pin_memory(data: Any, device: Any = None) -> Any:
    """`data` with everything inside it that has a `pin_memory` method pinned."""
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    if isinstance(data, Mapping):
        return _rebuilt_mapping(data, {k: pin_memory(v, device) for k, v in data.items()})
    if isinstance(data, tuple):
        pinned = [pin_memory(item, device) for item in data]
        return type(data)(*pinned) if hasattr(data, "_fields") else type(data)(pinned)
    if isinstance(data, Sequence):
        return _rebuilt_sequence(data, [pin_memory(item, device) for item in data])
    return data
