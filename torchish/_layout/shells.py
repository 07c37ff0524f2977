"""Modules without a file here, and placeholders for what torchish lacks.

Invariant: a placeholder can be imported, named in annotations and subclassed, as libraries do when
they are imported; whatever would use it raises NotSupportedError with PyTorch's path of it.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any, NoReturn

from .._basics.errors import NotSupportedError, not_supported
from .._namespace.process import MissingName
from . import resolve, table
from .areas import nearest


class Refused(type):
    """The class of placeholders: classes that have no instances."""

    torch_path: str

    def _refuse(cls) -> NotSupportedError:
        return not_supported(cls.torch_path, nearest(cls.torch_path))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and isinstance(args[0], FunctionType):
            return _decorated(args[0], cls)
        raise cls._refuse()

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise MissingName(str(cls._refuse()))

    def __bool__(cls) -> NoReturn:
        raise cls._refuse()

    def __iter__(cls) -> Iterator[Any]:
        raise cls._refuse()

    def __len__(cls) -> NoReturn:
        raise cls._refuse()

    def __contains__(cls, item: Any) -> NoReturn:
        raise cls._refuse()

    def __enter__(cls) -> NoReturn:
        raise cls._refuse()

    def __exit__(cls, *exc: object) -> NoReturn:
        raise cls._refuse()

    def __repr__(cls) -> str:
        return f"<{cls.torch_path}, not supported by torchish>"


def _decorated(function: FunctionType, cls: Refused) -> Any:
    """What stands for a function that a placeholder decorates: defining it is no use of either."""

    @functools.wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise cls._refuse()

    return refuse


def refused(module: str, name: str) -> Refused:
    """The placeholder of PyTorch's `module.name`."""

    def __class_getitem__(cls: Any, item: Any) -> Any:
        return cls

    def __init_subclass__(cls: Any, **kwargs: Any) -> None:
        pass

    space = {
        "__module__": module,
        "torch_path": f"{module}.{name}",
        "__class_getitem__": classmethod(__class_getitem__),
        "__init_subclass__": classmethod(__init_subclass__),
    }
    return Refused(name, (), space)


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
        return sorted({*self.__dict__, *self.__dict__["_entry"].names})
