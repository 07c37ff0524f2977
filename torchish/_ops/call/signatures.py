"""Signatures and result types of what the registry makes, for `inspect`, editors and checks.

Invariant: importing torchish builds none of them. `inspect.signature` takes a function's
`__signature__` as it is, so that is an object that reads the operator's record when it is asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .binding import Binder, Parameter

_KEYWORD, _EITHER = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD


class LateSignature(inspect.Signature):
    """A signature that is made when it is looked at."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], inspect.Signature]) -> None:
        self._make = make

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:  # type: ignore[override]
        """Name -> parameter, in order."""
        return self._make().parameters

    @property
    def return_annotation(self) -> Any:
        """What the result is said to be; nothing for operators: see the type stubs."""
        return self._make().return_annotation

    def plain(self) -> inspect.Signature:
        """The same as an ordinary signature."""
        return self._make()

    def replace(self, **changes: Any) -> Any:  # type: ignore[override]
        """A changed copy."""
        return self.plain().replace(**changes)

    __replace__ = replace  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self.plain() == (other.plain() if isinstance(other, LateSignature) else other)

    def __hash__(self) -> int:
        return hash(self.plain())

    def __str__(self) -> str:
        return str(self.plain())

    def __repr__(self) -> str:
        return repr(self.plain())

    def __reduce__(self) -> Any:
        return self.plain().__reduce__()


def of_operator(binder: Binder, *, is_method: bool, has_out: bool) -> LateSignature:
    """The signature of one form of an operator."""

    def parameters() -> Iterator[inspect.Parameter]:
        for position, p in enumerate(binder.params):
            if is_method and position == 0:
                yield inspect.Parameter("self", _EITHER)
            else:
                yield inspect.Parameter(
                    p.name, _KEYWORD if p.keyword_only else _EITHER, default=_default(p)
                )
        if has_out:
            yield inspect.Parameter("out", _KEYWORD, default=None)

    return LateSignature(lambda: inspect.Signature(list(parameters())))


def of_composite(
    body: Callable[..., Any], extra: inspect.Parameter, at: int | None = None
) -> LateSignature:
    """The signature of plain Python with one more parameter, by default the last of its kind."""

    def make() -> inspect.Signature:
        own = inspect.signature(body)
        found = list(own.parameters.values())
        last = next((k for k, p in enumerate(found) if p.kind > extra.kind), len(found))
        place = last if at is None else at
        return own.replace(parameters=[*found[:place], extra, *found[place:]])

    return LateSignature(make)


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
