"""Exceptions of torchish's own; every other error is the class and wording that PyTorch uses."""

from __future__ import annotations

import copyreg
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)


class NotSupportedError(NotImplementedError):
    """PyTorch has this feature and torchish does not (yet); the text names the nearest way."""


class MissingName(AttributeError, NotSupportedError):
    """PyTorch has this name and torchish does not."""


def not_supported(feature: str, nearest: str = "") -> NotSupportedError:
    """Build the error for an absent `feature`, pointing at the `nearest` thing that works."""
    hint = f" Nearest: {nearest}." if nearest else ""
    return NotSupportedError(f"torchish does not support {feature}.{hint}")


CHECK_HINT = "`python -m torchish --check PATH` lists all such names of a program."


def absent(name: str, nearest: str = "") -> NotSupportedError:
    """Build the error for a `name` that PyTorch has and torchish lacks."""
    return NotSupportedError(f"{not_supported(name, nearest)} {CHECK_HINT}")


def shown_as(module: str) -> Callable[[type[E]], type[E]]:
    """Name PyTorch's module in an exception class; pickles still find it where it is defined.

    A worker process sends its errors by pickle, whether or not `torch` stands for torchish there.
    """

    def mark(cls: type[E]) -> type[E]:
        home, name = cls.__module__, cls.__qualname__

        def reduce(error: Any) -> tuple[Any, ...]:
            _, arguments, *state = error.__reduce__()
            return _revived, (home, name, arguments), *state

        cls.__module__ = module
        copyreg.pickle(cls, reduce)
        return cls

    return mark


def _revived(home: str, name: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(importlib.import_module(home), name)(*arguments)
