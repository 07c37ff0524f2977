"""`torch.special`: the special functions that the registry holds."""

from __future__ import annotations

from ._ops.registry import table

globals().update(table("special"))
__all__ = sorted(table("special"))
