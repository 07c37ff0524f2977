"""Range checks of index tensors: JAX clamps silently, torch raises.

Indices that are on the host, or in the CPU's memory already, are checked at once; for those that
are pending or on another device a flag is recorded with the operator and looked at when the program
has run, so nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._core.checks import defer_check
from .._core.dtypes import INT
from .._core.kernels import Kernel
from .._core.settings import settings
from .._core.state import state
from .._core.tensor_base import TensorBase
from .._core.trace import record
from .._core.values import aval_of

_KERNELS: dict[Any, Kernel] = {}


def check_range(index: Any, low: int, high: int, error: Callable[[int], Exception]) -> None:
    """Raise `error(i)` for the first element `i` of `index` outside [low, high)."""
    value = index._value()
    if value.aval.numel == 0 or value.device.type == "meta":
        return
    if state.immediate and not isinstance(value.array, np.ndarray):
        return  # under a JAX transformation there is no value to look at
    if _at_hand(value):
        _raise_first(value.host(), low, high, error)
        return
    kernel = _KERNELS.get(value.aval)
    if kernel is None:
        from .._core.dtypes import bool_

        kernel = _KERNELS[value.aval] = Kernel(
            "index_range", _outside, (value.aval, int, int), (aval_of((), bool_),)
        )
    (flag,) = record(kernel, (value, low, high))
    defer_check(flag, lambda: _late(value, low, high, error))


def _at_hand(value: Any) -> bool:
    """Whether looking at the value costs no wait (debugging node by node waits anyway)."""
    return settings.eager or (value.array is not None and value.device.type == "cpu")


def _outside(x: Any, low: Any, high: Any) -> tuple[Any]:
    return (((x < low.astype(x.dtype)) | (x >= high.astype(x.dtype))).any(),)


def _raise_first(array: Any, low: int, high: int, error: Callable[[int], Exception]) -> None:
    wrong = (array < low) | (array >= high)
    if wrong.any():
        raise error(int(array[wrong].reshape(-1)[0]))


def _late(value: Any, low: int, high: int, error: Callable[[int], Exception]) -> Exception:
    array = value.host()
    found = array[(array < low) | (array >= high)].reshape(-1)
    return error(int(found[0]))


def check_later(
    key: tuple[Any, ...],
    fails: Callable[..., Any],
    operands: list[Any],
    error: Callable[[], Exception],
) -> None:
    """Record `fails(*arrays)`, a 0-dim bool, and raise `error()` at the next read if it is true.

    `key` names the condition: one kernel is made for each key and avals.
    """
    if state.immediate:
        return
    values = [operand._value() for operand in operands]
    if any(value.device.type == "meta" for value in values):
        return
    if all(_at_hand(value) for value in values):
        if bool(fails(*[value.host() for value in values])):
            raise error()
        return
    known = (*key, *[value.aval for value in values])
    kernel = _KERNELS.get(known)
    if kernel is None:
        from .._core.dtypes import bool_

        kernel = _KERNELS[known] = Kernel(
            key[0], lambda *arrays: (fails(*arrays),), [value.aval for value in values],
            (aval_of((), bool_),),
        )  # fmt: skip
    (flag,) = record(kernel, values)
    defer_check(flag, error)


def check_divisor(input: Any, other: Any) -> None:
    """Raise torch's RuntimeError where integers are divided by zero; floats give inf and nan.

    Numbers and host tensors are looked at here, other tensors when their program has run.
    """
    if not (_is_integral(input) and _is_integral(other)) or _is_empty(input):
        return
    if not isinstance(other, TensorBase):
        if other == 0:
            raise _zero_division()
        return
    array = other._value().array
    if isinstance(array, np.ndarray):
        if (array == 0).any():
            raise _zero_division()
        return
    check_later(("zero_divisor",), lambda y: (y == 0).any(), [other], _zero_division)


def _is_integral(operand: Any) -> bool:
    if isinstance(operand, TensorBase):
        return operand._aval.dtype.category <= INT
    return isinstance(operand, int)


def _is_empty(operand: Any) -> bool:
    return isinstance(operand, TensorBase) and operand._aval.numel == 0


def _zero_division() -> Exception:
    return RuntimeError("ZeroDivisionError")
