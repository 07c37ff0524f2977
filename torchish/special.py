"""`torch.special`: the special functions that the registry holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._ops.registry import table

if TYPE_CHECKING:
    from ._generated.special import *  # noqa: F403

globals().update(table("special"))
__all__ = sorted(table("special"))
