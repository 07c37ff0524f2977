"""The classes of named results: `torch.return_types.max(values=..., indices=...)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._ops.call.return_types import types

if TYPE_CHECKING:
    from ._generated.return_types import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name == "all_return_types":
        return list(types.values())
    found = types.get(name.removesuffix("_out"))
    if found is None:
        raise AttributeError(f"module 'torch.return_types' has no attribute {name!r}")
    return found
