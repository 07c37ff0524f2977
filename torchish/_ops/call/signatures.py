"""Signatures and result types of what the registry makes, for `inspect`, editors and checks.

Invariant: importing torchish builds none of them. `inspect.signature` takes a function's
`__signature__` as it is, so that is an object that reads the operator's record when it is asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from .binding import Binder, Parameter

_KEYWORD, _EITHER = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD


class OperatorSignature(inspect.Signature):
    """The signature of one form of an operator, made from its record when it is looked at."""

    __slots__ = ("_binder", "_has_out", "_is_method")

    def __init__(self, binder: Binder, *, is_method: bool, has_out: bool) -> None:
        self._binder, self._is_method, self._has_out = binder, is_method, has_out

    @property
    def parameters(self) -> MappingProxyType[str, inspect.Parameter]:
        """Name -> parameter, in order."""
        return MappingProxyType({p.name: p for p in self._made()})

    @property
    def return_annotation(self) -> Any:
        """Nothing is said of the result here: see the type stubs."""
        return inspect.Signature.empty

    def _made(self) -> Iterator[inspect.Parameter]:
        for position, p in enumerate(self._binder.params):
            if self._is_method and position == 0:
                yield inspect.Parameter("self", _EITHER)
            else:
                yield inspect.Parameter(
                    p.name, _KEYWORD if p.keyword_only else _EITHER, default=_default(p)
                )
        if self._has_out:
            yield inspect.Parameter("out", _KEYWORD, default=None)

    def plain(self) -> inspect.Signature:
        """The same as an ordinary signature."""
        return inspect.Signature(list(self._made()))

    def replace(self, **changes: Any) -> Any:  # type: ignore[override]
        """A changed copy."""
        return self.plain().replace(**changes)

    __replace__ = replace  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self.plain() == (other.plain() if isinstance(other, OperatorSignature) else other)

    def __hash__(self) -> int:
        return hash(self.plain())

    def __str__(self) -> str:
        return str(self.plain())

    def __repr__(self) -> str:
        return repr(self.plain())

    def __reduce__(self) -> Any:
        return self.plain().__reduce__()


def _default(p: Parameter) -> Any:
    return inspect.Parameter.empty if p.required else p.default


def result_name(function: Any) -> str:
    """The type of what a public function returns: "Tensor", "bool" …, or "Any" if it is not known.

    >>> from torchish._ops.registry import ops
    >>> result_name(ops.add), result_name(ops.allclose), result_name(ops.max)
    ('Tensor', 'bool', 'Any')
    """
    operator = getattr(function, "operator", None)
    if operator is not None:
        if function.__name__.endswith("_"):
            return "Tensor"
        several = operator.result is not None or "tuple" in str(
            operator.body.__annotations__.get("return", "")
        )
        return "Any" if several else "Tensor"
    made = inspect.unwrap(function).__annotations__.get("return", "")
    if getattr(made, "__metadata__", None) == ("tensor",):  # registry.Tensor
        return "Tensor"
    note = getattr(made, "__name__", str(made))
    return note if note in ("bool", "int", "float", "str", "complex", "None", "Tensor") else "Any"
