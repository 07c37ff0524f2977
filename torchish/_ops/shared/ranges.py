"""Range checks of index tensors: JAX clamps silently, torch raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._autograd.require import require
from ..._autograd.tensor_base import TensorBase
from ..._basics.dtypes import INT


def check_range(index: Any, low: int, high: int, error: Callable[[int], Exception]) -> None:
    """Raise `error(i)` for the first element `i` of `index` outside [low, high)."""

    def first(array: Any) -> Exception:
        return error(int(array[_outside(array, low, high)].reshape(-1)[0]))

    require("index_range", _outside, [index], [low, high], first)


def _outside(x: Any, low: Any, high: Any) -> Any:
    return (x < low) | (x >= high)


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
    require("zero_divisor", _is_zero, [other], [], lambda _: _zero_division())


def _is_zero(y: Any) -> Any:
    return y == 0


def _is_integral(operand: Any) -> bool:
    if isinstance(operand, TensorBase):
        return operand._aval.dtype.category <= INT
    return isinstance(operand, int)


def _is_empty(operand: Any) -> bool:
    return isinstance(operand, TensorBase) and operand._aval.numel == 0


def _zero_division() -> Exception:
    return RuntimeError("ZeroDivisionError")
