"""What each operator does with sparse tensors; also the methods of their class."""

from __future__ import annotations

import functools
from typing import Any

from . import arithmetic, layouts, movement, products, questions, reductions  # noqa: F401 - their rules
from .table import OWN
from .tensors import (
    COO,
    RULES,
    SparseTensor,
)


def attach() -> None:
    """Make the rules methods of the class."""
    for name in OWN:
        if name not in vars(COO) and name not in vars(SparseTensor) and name != "coalesce":
            setattr(SparseTensor, name, functools.partialmethod(_call, name))


def _call(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    return RULES[name](self, *args, **kwargs)


attach()
