"""Placeholders for what torchish lacks.

Invariant: a placeholder can be imported, named in annotations and subclassed, as libraries do when
they are imported; whatever would use it raises NotSupportedError with PyTorch's path of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import FunctionType
from typing import Any, NoReturn

from .._basics.errors import MissingName, NotSupportedError, absent
from .areas import nearest


class Refused(type):
    """The class of placeholders: classes that have no instances."""

    torch_path: str

    def _refuse(cls) -> NotSupportedError:
        return absent(cls.torch_path, nearest(cls.torch_path))

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
