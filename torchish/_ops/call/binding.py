"""Binding a call's arguments to an operator's parameters, with torch's errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..._autograd.tensor_base import TensorBase
from ..._basics.dtypes import PYTHON_TYPES, dtype

MISSING = inspect.Parameter.empty
NUMBERS = (float, int, bool, complex)
# torch's parser also takes numpy's names.
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input",
                "x2": "other"}  # fmt: skip


class Parameter(NamedTuple):
    """One parameter: kind is tensor, optional, tensors, operand, scalar or static."""

    name: str
    kind: str
    default: Any
    keyword_only: bool

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is MISSING


class Binder:
    """Sorts a call's arguments into operands (dynamic) and the key of a specialisation (static)."""

    def __init__(
        self,
        name: str,
        params: Sequence[Parameter],
        overloads: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.params = tuple(params)
        self.overloads = overloads
        self.positional = [p for p in params if not p.keyword_only]
        self.names = {p.name for p in params}
        self.is_unary = bool(params) and all(not p.required for p in params[1:])

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """Operands in order, and the key: an aval, scalar type or static value for each "
        "parameter."""
        try:
            return self._bind(args, kwargs)
        except TypeError:
            if self.overloads is not None:
                other = self.overloads(args, kwargs)
                if other is not None:
                    return self._bind(*other)
            raise

    def _bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        operands: list[Any] = []
        key: list[Any] = []
        given = len(args)
        if given > len(self.positional):
            raise TypeError(
                f"{self.name}() takes {len(self.positional)} positional arguments but {given} "
                "were given"
            )
        used = 0
        for position, p in enumerate(self.params):
            if position < given:
                value = args[position]
                if kwargs and p.name in kwargs:
                    raise TypeError(f"{self.name}() got multiple values for argument '{p.name}'")
            elif kwargs and p.name in kwargs:
                value = kwargs[p.name]
                used += 1
            elif p.default is not MISSING:
                key.append(MISSING)  # the body's own default applies, as a literal
                continue
            else:
                return self._retry(args, kwargs, p, position)
            self._add(p, position if position < given else None, value, operands, key)
        if used < len(kwargs):
            renamed = self._renamed(kwargs)
            if renamed is not None:
                return self._bind(args, renamed)
            extra = next(k for k in kwargs if k not in self.names)
            raise TypeError(f"{self.name}() got an unexpected keyword argument '{extra}'")
        return operands, key

    def _retry(
        self, args: Sequence[Any], kwargs: dict[str, Any], p: Parameter, position: int
    ) -> tuple[list[Any], list[Any]]:
        renamed = self._renamed(kwargs)
        if renamed is not None:
            return self._bind(args, renamed)
        missing = [q.name for q in self.params[position:] if q.required and q.name not in kwargs]
        names = ", ".join(f'"{m}"' for m in missing)
        raise TypeError(
            f"{self.name}() missing {len(missing)} required positional arguments: {names}"
        )

    def _renamed(self, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """The keywords with numpy's names replaced, if that changes anything."""
        found = {}
        changed = False
        for k, v in kwargs.items():
            other = _NUMPY_NAMES.get(k)
            if k not in self.names and other in self.names and other not in kwargs:
                found[other] = v
                changed = True
            else:
                found[k] = v
        return found if changed else None

    def _add(
        self, p: Parameter, position: int | None, value: Any, operands: list[Any], key: list[Any]
    ) -> None:
        kind = p.kind
        if kind == "static":
            value = static(value)
            if p.default.__class__ is bool and value.__class__ is not bool:
                self._refuse(p, position, value, "bool")
            key.append(value)
        elif isinstance(value, TensorBase) and kind != "tensors":
            operands.append(value)
            key.append(value._aval)
        elif kind == "operand" or kind == "scalar":
            number = as_number(value)
            if number is None:
                if kind == "scalar" and value is None:
                    key.append(None)
                    return
                self._refuse(p, position, value, "Tensor" if kind == "operand" else "Number")
            operands.append(number)
            key.append(type(number))
        elif kind == "optional" and value is None:
            key.append(None)
        elif kind == "tensors":
            self._add_many(p, position, value, operands, key)
        else:
            self._refuse(p, position, value, "Tensor")

    def _add_many(
        self, p: Parameter, position: int | None, value: Any, operands: list[Any], key: list[Any]
    ) -> None:
        if isinstance(value, TensorBase) or not isinstance(value, list | tuple):
            self._refuse(p, position, value, "tuple of Tensors")
        for k, t in enumerate(value):
            if not isinstance(t, TensorBase):
                raise TypeError(
                    f"expected Tensor as element {k} in argument {self.params.index(p)}, but got "
                    f"{type(t).__name__}"
                )
        operands.extend(value)
        key.append(tuple([t._aval for t in value]))

    def _refuse(self, p: Parameter, position: int | None, value: Any, wanted: str) -> None:
        place = "" if position is None else f" (position {position + 1})"  # None: by keyword
        raise TypeError(
            f"{self.name}(): argument '{p.name}'{place} must be {wanted}, not "
            f"{type(value).__name__}"
        )


def as_number(value: Any) -> Any:
    """`value` as a Python number, or None when it is not one."""
    kind = type(value)
    if kind in NUMBERS:
        return value
    if isinstance(value, np.generic):
        return value.item() if value.dtype.kind in "biufc" else float(value)
    if isinstance(value, int):  # IntEnum and other subclasses
        return int(value)
    if isinstance(value, float):
        return float(value)
    return None


def static(value: Any) -> Any:
    """`value` in the form that keys hold: hashable, and 2 apart from 2.0."""
    kind = type(value)
    if kind is int or kind is str or kind is bool or value is None or kind is dtype:
        return value
    if kind is float:
        return ("float", value)
    if isinstance(value, list | tuple):
        return tuple([static(v) for v in value])
    if isinstance(value, TensorBase):
        return static(value.item())  # type: ignore[attr-defined]
    if isinstance(value, np.generic):
        return static(value.item())
    if isinstance(value, range):
        return tuple(value)
    if kind is type and value in PYTHON_TYPES:
        return PYTHON_TYPES[value]
    if getattr(kind, "__torch_function__", None) is not None:
        raise TypeError(f"an object of type {kind.__name__} stands where a plain value is wanted")
    return value


def plain(value: Any) -> Any:
    """The static value that an operator's body receives for a key entry."""
    if type(value) is tuple:
        if len(value) == 2 and value[0] == "float":
            return value[1]
        return tuple([plain(v) for v in value])
    return value
