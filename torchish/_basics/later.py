"""Calls upwards, declared by name.

A method of Tensor may be the door to a package that stands on Tensor: `to_sparse`, `backward`,
pickling. Such a package cannot be imported below it. `later("torchish.x:f")` is a function that
finds `f` when it is first called. These are all such calls there are; tests resolve each of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def later(path: str) -> Callable[..., Any]:
    """The function that `module:name` says, imported at its first call."""
    found: list[Callable[..., Any]] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        if not found:
            module, _, name = path.partition(":")
            found.append(getattr(importlib.import_module(module), name))
        return found[0](*args, **kwargs)

    return call
