"""PyTorch's modules that have no file here: names that live elsewhere, or placeholders."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from . import resolve, table
from .placeholders import refused


class Shell(ModuleType):
    """One of PyTorch's modules that has no file here."""

    def __init__(self, name: str) -> None:
        path = table.theirs(name)
        super().__init__(name, f"{path}: names that live elsewhere in torchish, or nowhere.")
        found = table.entry(path)
        assert found is not None
        self._entry = found
        # What the parent had under this name (`nn.parallel.replicate` is a function and a module):
        # importing the module puts it in the function's place, so it answers for the function.
        parent, _, child = name.rpartition(".")
        self._shadowed = vars(sys.modules[parent]).get(child) if parent in sys.modules else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._shadowed is None:
            raise TypeError("'module' object is not callable")
        return self._shadowed(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        entry: table.Entry = self.__dict__["_entry"]
        path = entry.name
        if name == "__all__":
            return [n for n in entry.names if not n.startswith("_")]
        if name.startswith("__"):
            raise AttributeError(f"module {path!r} has no attribute {name!r}")
        if table.is_module(f"{path}.{name}"):
            return importlib.import_module(f"{self.__name__}.{name}")
        shadowed = self.__dict__.get("_shadowed")
        if hasattr(shadowed, name):
            return getattr(shadowed, name)
        if name not in entry.names and not (entry.unlisted and not name.startswith("_")):
            raise AttributeError(f"module {path!r} has no attribute {name!r}")
        try:
            value = resolve.resolve(path, name)
        except resolve.TableMiss:
            value = refused(path, name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        """What can be used: placeholders are left out."""
        entry: table.Entry = self.__dict__["_entry"]
        found = {n for n in entry.names if resolve.status(entry.name, n) == "present"}
        return sorted(found | (self.__dict__.keys() - entry.names.keys()))
