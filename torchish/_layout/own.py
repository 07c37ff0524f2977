"""What a module has by itself, without the fallback that the import hook gives it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

# Where the hook keeps a module's own `__getattr__`.
OWN = "_layout_own_getattr"


def own_attribute(module: ModuleType, name: str) -> Any:
    """What the module itself has under `name`, without the fallback.

    Raises: AttributeError.
    """
    space = module.__dict__
    if name in space:
        return space[name]
    own = space.get(OWN)
    if own is None:
        raise AttributeError(name)
    return own(name)
