"""The table of rules: what an operator does with sparse tensors; some are methods, too."""

from __future__ import annotations

from typing import Any

from .._basics.errors import not_supported
from .tensors import (
    RULES,
    SparseTensor,
)

OWN: set[str] = set()  # names that are methods too


def rule(*names: str, method: bool = True) -> Any:
    """Register a function under operators' names."""

    def register(fn: Any) -> Any:
        for name in names:
            RULES[name] = fn
            if method:
                OWN.add(name)
        return fn

    return register


def lacking(name: str, **options: Any) -> None:
    """Refuse options of an operator that its rule has no meaning for.

    Raises: NotSupportedError.
    """
    for option, value in options.items():
        if value is not None and value is not False and value != ():
            raise not_supported(
                f"{name}({option}=...) of sparse tensors", "its result, or to_dense"
            )


def is_sparse(x: Any) -> bool:
    """Whether `x` is a sparse tensor."""
    return isinstance(x, SparseTensor)
