"""Operators' signatures as PyTorch writes them: `(Tensor x, int n=2) -> Tensor`."""

from __future__ import annotations

import ast
import collections.abc
import inspect
import re
import types
import typing
from dataclasses import dataclass
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics.devices import device as Device
from .._basics.dtypes import dtype as Dtype

_PLAIN = {int: "SymInt", float: "float", bool: "bool", str: "str", Device: "Device",
          Dtype: "ScalarType"}  # fmt: skip
_LISTS = (list, collections.abc.Sequence)


@dataclass(frozen=True)
class Argument:
    """One parameter."""

    name: str
    type: str
    default: Any = inspect.Parameter.empty
    keyword_only: bool = False


def _type_text(hint: Any, name: str) -> str:
    if isinstance(hint, type) and issubclass(hint, TensorBase):
        return "Tensor"
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        others = [h for h in inside if h is not type(None)]
        if set(others) <= {int, float, bool} and len(others) > 1:
            return "Scalar" + "?" * (len(others) < len(inside))
        if len(others) == 1 and len(others) < len(inside):
            return _type_text(others[0], name) + "?"
    if origin in _LISTS and inside:
        return _type_text(inside[0], name) + "[]"
    raise ValueError(
        f"infer_schema(func): Parameter {name} has unsupported type {hint}. The valid types are: "
        "torch.Tensor, int, float, bool, str, torch.device, torch.dtype, and Optional, Sequence "
        "and list of them."
    )


def _return_text(hint: Any) -> str:
    if hint is None or hint is type(None):
        return "()"
    if typing.get_origin(hint) is tuple:
        return f"({', '.join(_type_text(h, 'return') for h in typing.get_args(hint))})"
    return _type_text(hint, "return")


def _default_text(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Dtype):
        return str(value).removeprefix("torch.")
    return str(value)


def infer_schema(
    prototype_function: Any, /, *, mutates_args: Any, op_name: str | None = None
) -> str:
    """The signature of a function with annotations.

    Raises: ValueError for a parameter without annotation, or of a type that operators do not take.
    """
    hints = typing.get_type_hints(prototype_function)
    parts, starred = [], False
    seen: set[str] = set()
    for name, parameter in inspect.signature(prototype_function).parameters.items():
        if name not in hints:
            raise ValueError(f"infer_schema(func): Parameter {name} must have a type annotation.")
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        text = _type_text(hints[name], name)
        if mutates_args == "unknown" or name in mutates_args:
            if text.startswith("Tensor"):
                text = text.replace("Tensor", f"Tensor(a{len(seen)}!)", 1)
            seen.add(name)
        default = ""
        if parameter.default is not parameter.empty:
            default = f"={_default_text(parameter.default)}"
        parts.append(f"{text} {name}{default}")
    if mutates_args != "unknown" and set(mutates_args) - seen:
        raise ValueError(
            f"infer_schema(func): mutates_args={set(mutates_args) - seen} must contain only names "
            "of arguments"
        )
    return f"{op_name or ''}({', '.join(parts)}) -> {_return_text(hints.get('return'))}"


def _split(text: str) -> list[str]:
    """Split at commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for k, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(text[start:k])
            start = k + 1
    parts.append(text[start:])
    return [p.strip() for p in parts if p.strip()]


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse(schema: str) -> tuple[str, list[Argument], str]:
    """The name (perhaps empty), parameters and results of a signature.

    Raises: RuntimeError for text that is none.
    """
    found = re.fullmatch(r"\s*([\w:.]*)\s*\((.*)\)\s*->\s*(.+?)\s*", schema, re.DOTALL)
    if found is None:
        raise RuntimeError(f"{schema!r} is not an operator's schema: `name(Tensor x) -> Tensor`")
    arguments, keyword_only = [], False
    for part in _split(found[2]):
        if part == "*":
            keyword_only = True
            continue
        head, equals, default = part.partition("=")
        kind, _, name = head.strip().rpartition(" ")
        value = _literal(default.strip()) if equals else inspect.Parameter.empty
        arguments.append(Argument(name, kind, value, keyword_only))
    return found[1], arguments, found[3]
