"""Utilities beside the tensor library; each submodule is loaded when it is first used."""

from __future__ import annotations

import importlib
import importlib.util
import weakref
from typing import Any


def swap_tensors(t1: Any, t2: Any) -> None:
    """Exchange two tensors: whoever holds one of them sees the other's contents.

    Raises: RuntimeError for tensors that something refers to weakly.
    """
    from .._tensor.attributes import every_field

    for which, tensor in (("t1", t1), ("t2", t2)):
        if weakref.getweakrefs(tensor):
            raise RuntimeError(f"Cannot swap {which} because it has weakref associated with it")
    t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    mine, theirs = every_field(t1), every_field(t2)
    kept = dict(mine)
    mine.clear()
    mine.update(theirs)
    theirs.clear()
    theirs.update(kept)


def set_module(obj: Any, mod: str) -> None:
    """Let an object print as one of module `mod`.

    Raises: TypeError for anything but a text.
    """
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


def __getattr__(name: str) -> Any:
    path = f"{__name__}.{name}"
    if name.startswith("__") or importlib.util.find_spec(path) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(path)
