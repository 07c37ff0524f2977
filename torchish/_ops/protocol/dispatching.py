"""Dispatch modes: each operator below the public functions is shown under its `aten` name.

A public function is met in `overriding.dispatch`, when no function mode or argument took the call.
It is either shown as one operator, or written out as those that torch's is made of (`aten.py`), or,
if it is plain Python that is not listed there, runs with the modes still on.
While an operator itself runs, modes are off: what it calls is not shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..._basics.state import state
from .packets import OpOverload, OpOverloadPacket

_packets: dict[str, OpOverloadPacket] = {}
# How an overload becomes a function: given by aten.py, which knows the registry.
_resolvers: list[Callable[[OpOverload], Callable[..., Any]]] = []


def resolve_by(function_of: Callable[[OpOverload], Callable[..., Any]]) -> None:
    """Let `function_of` say which function an overload is."""
    _resolvers[:] = [function_of]


def packet(name: str) -> OpOverloadPacket:
    """The operator of that name, `aten.name`."""
    found = _packets.get(name)
    if found is None:
        found = _packets[name] = OpOverloadPacket("aten", name, call)
    return found


@contextlib.contextmanager
def without_modes() -> Iterator[None]:
    """No dispatch mode is on inside."""
    before, state.dispatch_modes = state.dispatch_modes, []
    try:
        yield
    finally:
        state.dispatch_modes = before


def call(overload: OpOverload, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operator by its aten name: the innermost mode first."""
    return show(overload, _resolvers[0](overload), args, kwargs)


def show(
    overload: OpOverload, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """Let the innermost mode take an operator's call; without a mode, run it."""
    modes = state.dispatch_modes
    if not modes:
        with without_modes():
            return function(*args, **kwargs)
    mode = modes[-1]
    state.dispatch_modes = modes[:-1]
    try:
        return mode.__torch_dispatch__(_Call(overload, function), (), tuple(args), kwargs)
    finally:
        state.dispatch_modes = modes


class _Call(OpOverload):
    """An overload that knows the function which the call was made through."""

    def __init__(self, overload: OpOverload, function: Callable[..., Any]) -> None:
        super().__init__(overload.overloadpacket, overload._overloadname)
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return show(self, self._function, args, kwargs)


_Call.__name__ = "OpOverload"


def raw(public: Any) -> Any:
    """The function without the look for overriding arguments."""
    return getattr(public, "__wrapped__", public)
