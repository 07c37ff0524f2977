"""`TorchDispatchMode`: sees the operators below the public functions (docs/overrides.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .._basics.state import state
from .._ops.protocol import dispatching, modes
from .._ops.protocol.entering import Mode
from .._tensor.tensor import Tensor

__all__ = ["BaseTorchDispatchMode", "TorchDispatchMode"]


class TorchDispatchMode(Mode):
    """While it is entered, `__torch_dispatch__(func, types, args, kwargs)` sees every operator.

    `func` prints as torch's overload (`aten.add.Tensor`); calling it runs the operator, or the mode
    that was entered before. Inside the method this mode is off.
    """

    def __init__(self, _dispatch_key: Any = None) -> None:
        """Nothing is set up until the mode is entered."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError

    def _goes_on(self) -> None:
        _push_mode(self)

    def _goes_off(self) -> None:
        _pop_mode()

    @classmethod
    def is_infra_mode(cls) -> bool:
        """False: torch's own machinery has such modes, programs have not."""
        return False


class BaseTorchDispatchMode(TorchDispatchMode):
    """The mode that changes nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def _push_mode(mode: Any) -> None:
    modes.engage()
    state.dispatch_modes = [*state.dispatch_modes, mode]


def _pop_mode(k: Any = None) -> Any:
    *rest, mode = state.dispatch_modes
    state.dispatch_modes = rest
    return mode


@contextlib.contextmanager
def _pop_mode_temporarily(k: Any = None) -> Iterator[Any]:
    mode = _pop_mode()
    try:
        yield mode
    finally:
        _push_mode(mode)


@contextlib.contextmanager
def _disable_current_modes() -> Iterator[list[Any]]:
    modes = list(state.dispatch_modes)
    with dispatching.without_modes():
        yield modes


def _get_current_dispatch_mode() -> Any:
    return state.dispatch_modes[-1] if state.dispatch_modes else None


def _get_current_dispatch_mode_stack() -> list[Any]:
    return list(state.dispatch_modes)


def _len_torch_dispatch_stack() -> int:
    return len(state.dispatch_modes)


def is_in_torch_dispatch_mode(include_infra_modes: bool = True) -> bool:
    """Whether a dispatch mode is on."""
    return bool(state.dispatch_modes)


def is_traceable_wrapper_subclass(t: object) -> bool:
    """Whether a tensor wraps others by torch's protocol for compilers: here none does."""
    return isinstance(t, Tensor) and hasattr(t, "__tensor_flatten__")
