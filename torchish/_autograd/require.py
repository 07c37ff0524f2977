"""Checks on values: raised at once where the values are at hand, else at the next read.

Nothing waits for a check: a value that is pending or on another device leaves a flag, computed with
the operators around it and looked at when its program has run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._basics.dtypes import bool_
from .._basics.memo import Memo
from .._basics.settings import settings
from .._basics.state import state
from .._core.checks import defer_check
from .._core.kernels import Kernel
from .._core.trace import record
from .._core.values import Value, aval_of
from .tensor_base import TensorBase

_kernels: Memo[Kernel] = Memo()
# Values that passed a check, by the check, their ids and its numbers.
_passed: dict[tuple[Any, ...], list[weakref.ref[Value]]] = {}
_REMEMBERED = 64


def require(
    name: str | tuple[Any, ...],
    wrong: Callable[..., Any],
    tensors: Sequence[TensorBase],
    numbers: Sequence[int | float],
    error: Callable[..., Exception] | Exception,
) -> None:
    """Raise `error(*arrays)`, or `error`, where any element of `wrong(*arrays, *numbers)` is true.

    `wrong` works on numpy and JAX arrays alike; `name`, or a tuple that starts with it, says which
    check it is (one kernel is made for it and the avals). Tensors without elements or data pass.
    An exception that needs no arrays lets checks that follow one another share a flag.
    """
    values = [t._value() for t in tensors]
    if any(v.device.type == "meta" or v.aval.numel == 0 for v in values):
        return
    if all(map(_at_hand, values)):
        _check(name, wrong, values, numbers, _as_function(error))
        return
    key = (name, *[v.aval for v in values], *map(type, numbers))

    def make() -> Kernel:
        count = len(values)

        def flag(*operands: Any) -> tuple[Any]:
            arrays = operands[:count]
            # Numbers arrive as 64-bit operands; they are compared in the tensor's own type.
            fitted = [n.astype(arrays[0].dtype) for n in operands[count:]]
            return (wrong(*arrays, *fitted).any(),)

        label = name if isinstance(name, str) else name[0]
        return Kernel(label, flag, key[1:], (aval_of((), bool_),))

    (found,) = record(_kernels.find(key, make), (*values, *numbers))
    if state.capture is not None:
        state.capture.note_flag(found, values, _as_function(error))
    if isinstance(error, Exception):
        known = _Known(error)
        defer_check(_joined(found, known), known)
    else:
        defer_check(found, lambda: error(*[v.host() for v in values]))


def _as_function(error: Any) -> Callable[..., Exception]:
    return (lambda *_: error) if isinstance(error, Exception) else error


class _Known:
    """An error that is known whatever the arrays hold."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self) -> Exception:
        return self.error

    def says_the_same(self, other: Any) -> bool:
        """Whether another one could be raised in its place."""
        return type(other) is _Known and repr(other.error) == repr(self.error)


def _joined(flag: Value, known: _Known) -> Value:
    """A flag, together with that of the check before where both wait for one program and would
    raise the same: a decoder's 23 flags took a tenth of its step to be handed out and read."""
    if state.checks and state.capture is None:
        before, error = state.checks[-1]
        if known.says_the_same(error) and before.trace is flag.trace is not None:
            state.checks.pop()
            (flag,) = record(_kernels.find("or", _either), (before, flag))
    return flag


def _either() -> Kernel:
    flag = aval_of((), bool_)
    return Kernel("either", lambda a, b: (a | b,), (flag, flag), (flag,))


def _check(
    name: Any, wrong: Any, values: Sequence[Value], numbers: Sequence[int | float], error: Any
) -> None:
    """The check of values that are at hand: once for the same ones, which never change."""
    if state.capture is not None:
        arrays = state.capture.note_check(values, wrong, numbers, error)
    else:
        key = (name, *map(id, values), *numbers)
        passed = _passed.get(key)
        if passed is not None and all(r() is v for r, v in zip(passed, values, strict=True)):
            return
        arrays = [v.host() for v in values]
    if np.any(wrong(*arrays, *numbers)):
        raise error(*arrays)
    if state.capture is None:
        if len(_passed) >= _REMEMBERED:
            _passed.clear()
        _passed[key] = [weakref.ref(v) for v in values]


def _at_hand(value: Value) -> bool:
    """Whether looking at the value costs no wait (debugging node by node waits anyway)."""
    return settings.eager or (value.array is not None and value.device.type == "cpu")


__all__ = ["require"]
