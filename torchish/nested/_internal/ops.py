"""What each operator does with jagged tensors: its rule, or elementwise work on the values.

An operator without a rule is refused by name."""

from __future__ import annotations

from typing import Any

from ..._basics.errors import not_supported
from . import _conversion, _dims, _layers, _reductions  # noqa: F401 - their rules
from ._elementwise import elementwise, works_elementwise
from ._table import RULES
from .nested_tensor import (
    NestedTensor,
)


def call(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operator `name` on nested tensors.

    Raises: NotSupportedError for one without a rule.
    """
    found = RULES.get(name)
    if found is not None:
        return found(*args, **kwargs)
    if works_elementwise(name):
        return elementwise(name, func, args, kwargs)
    raise not_supported(
        f"{name or func} of nested tensors", "unbind(), or to_padded_tensor() and a mask"
    )


NestedTensor._call = staticmethod(call)  # type: ignore[method-assign]
