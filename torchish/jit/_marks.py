"""Marks for TorchScript: each gives its argument back, since the Python itself runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


def is_scripting() -> bool:
    """False: nothing is TorchScript."""
    return False


def is_tracing() -> bool:
    """False: nothing is traced by TorchScript."""
    return False


def export(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`: a mark for TorchScript."""
    return fn


def unused(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`: a mark for TorchScript."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The function: a mark for TorchScript, with or without arguments."""
    return drop if callable(drop) else lambda fn: fn


def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`: nothing is ever traced."""
    return fn


def interface(obj: Any) -> Any:
    """`obj`: a mark for TorchScript."""
    return obj


def annotate(the_type: Any, the_value: Any) -> Any:
    """`the_value`."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's `isinstance`, by the class of a generic type."""
    import builtins
    import typing

    kinds = target_type if builtins.isinstance(target_type, tuple) else (target_type,)
    plain: Any = tuple(typing.get_origin(k) or k for k in kinds)
    return builtins.isinstance(obj, plain)


class Final:
    """A mark for attributes: `Final[int]`."""

    def __class_getitem__(cls, item: Any) -> Any:
        return item


class Attribute(NamedTuple):
    """A value and its type, for an attribute of a module: `script` makes the value of it."""

    value: Any
    type: Any


def _overload(func: Callable[..., Any]) -> Callable[..., Any]:
    """`func`: a mark for one of several signatures."""
    return func


_overload_method = _overload


def script_method(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`: a mark for a method of a ScriptModule."""
    return fn


class strict_fusion:
    """A block without effect: XLA decides what is fused."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


def enable_onednn_fusion(enabled: bool) -> None:
    """Do nothing: XLA decides what is fused."""


def onednn_fusion_enabled() -> bool:
    """False."""
    return False


def set_fusion_strategy(strategy: Any) -> Any:
    """Do nothing; gives the strategy back."""
    return strategy


class Error(RuntimeError):
    """An error of TorchScript: never raised."""
