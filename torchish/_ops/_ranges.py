"""Range checks of index tensors: JAX clamps silently, torch raises.

Host indices are checked at once; for indices on a device (or pending) a flag is recorded with the
operator and looked at when the program has run, so nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._core.checks import defer_check
from .._core.kernels import Kernel
from .._core.state import state
from .._core.trace import record
from .._core.values import aval_of

_KERNELS: dict[Any, Kernel] = {}


def check_range(index: Any, low: int, high: int, error: Callable[[int], Exception]) -> None:
    """Raise `error(i)` for the first element `i` of `index` outside [low, high)."""
    value = index._value()
    if value.aval.numel == 0 or value.device.type == "meta":
        return
    if isinstance(value.array, np.ndarray):
        _raise_first(value.array, low, high, error)
        return
    if state.immediate:
        return  # under a JAX transformation there is no value to look at
    kernel = _KERNELS.get(value.aval)
    if kernel is None:
        from .._core.dtypes import bool_

        kernel = _KERNELS[value.aval] = Kernel(
            "index_range", _outside, (value.aval, int, int), (aval_of((), bool_),)
        )
    (flag,) = record(kernel, (value, low, high))
    defer_check(flag, lambda: _late(value, low, high, error))


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
