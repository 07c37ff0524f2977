"""Python's operators on tensors: `a + b`, `a += b`, `-a`, by the registry's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._autograd.tensor_base import TensorBase
from .._basics import dtypes
from .._ops import registry
from .._ops.call import calling
from .._ops.protocol import overriding
from .._ops.registry import ops

_usual: set[type] = {float, int, bool, complex}  # and the tensor class: what needs no closer look


def _sent(func: Any, found: Any, args: tuple[Any, ...]) -> Any:
    """Dispatch an operator to `__torch_function__`; a TypeError tells Python to try the other."""
    try:
        return overriding.send(func, found, args, {})
    except TypeError:
        return NotImplemented


def _binary(name: str, label: str, swapped: bool = False, own: bool = False) -> Callable[..., Any]:
    """`a + b` by operator name; what is no operand gives NotImplemented, as Python expects.

    `own`: the protocol sees the operator itself rather than the method of that name.
    """
    function = getattr(ops, name)
    operator: Any = getattr(function, "operator", None)
    direct = operator is not None and not swapped

    def method(self: Any, other: Any) -> Any:
        if overriding.engaged:
            found = overriding.look((self, other), {})
            if found is not None:
                return _sent(seen, found, (self, other))
        if type(other) not in _usual and not isinstance(other, TensorBase):
            if isinstance(other, np.ndarray):
                other = ops.as_tensor(other)
            elif not _operand(other):
                found = overriding.collect((other,))
                return _sent(seen, found, (self, other)) if found else NotImplemented
            else:
                return function(other, self) if swapped else function(self, other)
        if direct:
            return calling.call(operator, (self, other), {})
        return function(other, self) if swapped else function(self, other)

    seen = method if own else registry.table("method")[name]
    return _named(method, label)


def _named(method: Any, label: str) -> Any:
    method.__name__ = label
    method.__qualname__ = f"Tensor.{label}"
    overriding.note_place("method", label, method)
    return method


def _inplace(name: str, label: str, own: bool) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        if own and overriding.engaged:
            found = overriding.look((self, other), {})
            if found is not None:
                return _sent(method, found, (self, other))
        if not isinstance(other, TensorBase | int | float | complex | np.number | np.bool_):
            if not overriding.collect((other,)):
                return NotImplemented
        return getattr(self, name)(other)

    return _named(method, label)


_PLAIN = {
    "__add__": "add", "__radd__": "add", "__sub__": "sub", "__mul__": "mul", "__rmul__": "mul",
    "__truediv__": "div", "__div__": "div", "__floordiv__": "floor_divide", "__mod__": "remainder",
    "__pow__": "pow", "__matmul__": "matmul", "__and__": "bitwise_and", "__or__": "bitwise_or",
    "__xor__": "bitwise_xor", "__rand__": "bitwise_and", "__ror__": "bitwise_or",
    "__rxor__": "bitwise_xor", "__lshift__": "bitwise_left_shift",
    "__rshift__": "bitwise_right_shift", "__eq__": "eq", "__ne__": "ne", "__lt__": "lt",
    "__le__": "le", "__gt__": "gt", "__ge__": "ge",
}  # fmt: skip
_SWAPPED = {
    "__rmod__": "remainder", "__rpow__": "pow", "__rmatmul__": "matmul",
    "__rlshift__": "bitwise_left_shift", "__rrshift__": "bitwise_right_shift",
    "__rfloordiv__": "floor_divide",
}  # fmt: skip
# Operators that `__torch_function__` sees under their own names.
_OWN = frozenset((
    "__and__", "__or__", "__xor__", "__lshift__", "__rshift__", "__eq__",
    "__floordiv__", *_SWAPPED, "__iand__", "__ior__", "__ixor__", "__ilshift__", "__irshift__",
))  # fmt: skip
_IN_PLACE = {
    "__iadd__": "add_", "__isub__": "sub_", "__imul__": "mul_", "__itruediv__": "div_",
    "__ifloordiv__": "floor_divide_", "__imod__": "remainder_", "__ipow__": "pow_",
    "__iand__": "bitwise_and_", "__ior__": "bitwise_or_", "__ixor__": "bitwise_xor_",
    "__ilshift__": "bitwise_left_shift_", "__irshift__": "bitwise_right_shift_",
}  # fmt: skip


def _hash(self: Any) -> int:
    """Tensors are keys by identity, and torch's hash is the id itself."""
    return id(self)


def _rsub(self: Any, other: Any) -> Any:
    if overriding.engaged:
        found = overriding.look((self, other), {})
        if found is not None:
            return _sent(_rsub, found, (self, other))
    return ops.rsub(self, other) if _operand(other) else NotImplemented


def _rdiv(self: Any, other: Any) -> Any:
    if overriding.engaged:
        found = overriding.look((self, other), {})
        if found is not None:
            return _sent(_rdiv, found, (self, other))
    return ops.mul(ops.reciprocal(self), other) if _operand(other) else NotImplemented


def _invert(self: Any) -> Any:
    if overriding.engaged:
        found = overriding.look((self,), {})
        if found is not None:
            return _sent(_invert, found, (self,))
    if self._aval.dtype.category > dtypes.INT:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return ops.bitwise_not(self)


def _operand(other: Any) -> bool:
    return isinstance(other, TensorBase | int | float | complex | np.number | np.bool_)


def attach(cls: Any) -> None:
    """Put the registry's methods and Python's operators on the tensor class."""

    _usual.add(cls)

    def own(name: str) -> bool:
        return any(name in c.__dict__ for c in cls.__mro__[:-1])  # `object` has __eq__ too

    for name, method in registry.table("method").items():
        if not own(name):
            setattr(cls, name, method)
    for name, label in _PLAIN.items():
        if not own(name) or name in ("__eq__", "__ne__"):
            setattr(cls, name, _binary(label, name, own=name in _OWN))
    for name, label in _SWAPPED.items():
        if not own(name):
            setattr(cls, name, _binary(label, name, swapped=True, own=True))
    for name, label in _IN_PLACE.items():
        setattr(cls, name, _inplace(label, name, name in _OWN))
    cls.__rsub__ = _named(_rsub, "__rsub__")  # type: ignore[attr-defined]
    cls.__rtruediv__ = cls.__rdiv__ = _named(_rdiv, "__rdiv__")  # type: ignore[attr-defined]
    cls.__invert__ = _named(_invert, "__invert__")  # type: ignore[attr-defined]
    for name, label in (("__neg__", "neg"), ("__pos__", "positive"), ("__abs__", "abs")):
        setattr(cls, name, registry.table("method")[label])
    cls.__hash__ = _hash  # type: ignore[method-assign]
