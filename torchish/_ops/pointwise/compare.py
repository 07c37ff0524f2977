"""Comparisons, predicates, logical and bitwise operators: results without gradients."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._autograd.tensor_base import TensorBase
from ..registry import Operand, Scalar, Tensor, composite, op, ops
from ..shared import numeric as num


def _ordered(name: str, x: Array) -> None:
    if num.is_complex(x):
        raise num.not_implemented_for(f"{name}_cpu", x)


@op("arith", inplace=True)
def eq(input: Tensor, other: Operand) -> Array:
    """input == other."""
    return input == other


@op("arith", inplace=True, aliases=("not_equal",))
def ne(input: Tensor, other: Operand) -> Array:
    """input != other."""
    return input != other


@op("arith", inplace=True, aliases=("less",))
def lt(input: Tensor, other: Operand) -> Array:
    """input < other."""
    _ordered("lt", input)
    return input < other


@op("arith", inplace=True, aliases=("less_equal",))
def le(input: Tensor, other: Operand) -> Array:
    """input <= other."""
    _ordered("le", input)
    return input <= other


@op("arith", inplace=True, aliases=("greater",))
def gt(input: Tensor, other: Operand) -> Array:
    """input > other."""
    _ordered("gt", input)
    return input > other


@op("arith", inplace=True, aliases=("greater_equal",))
def ge(input: Tensor, other: Operand) -> Array:
    """input >= other."""
    _ordered("ge", input)
    return input >= other


@op("none", out=False, elementwise=True)
def isnan(input: Tensor) -> Array:
    """Whether each element is NaN."""
    return jnp.isnan(input) if num.is_inexact(input) else jnp.zeros(input.shape, jnp.bool_)


@op("none", out=False, elementwise=True)
def isinf(input: Tensor) -> Array:
    """Whether each element is infinite (in either part)."""
    return jnp.isinf(input) if num.is_inexact(input) else jnp.zeros(input.shape, jnp.bool_)


@op("none", out=False, elementwise=True)
def isfinite(input: Tensor) -> Array:
    """Whether each element is neither infinite nor NaN."""
    return jnp.isfinite(input) if num.is_inexact(input) else jnp.ones(input.shape, jnp.bool_)


@op("none", elementwise=True)
def isposinf(input: Tensor) -> Array:
    """Whether each element is +inf."""
    if num.is_complex(input):
        raise RuntimeError("isposinf does not support complex inputs.")
    return input == jnp.inf if num.is_float(input) else jnp.zeros(input.shape, jnp.bool_)


@op("none", elementwise=True)
def isneginf(input: Tensor) -> Array:
    """Whether each element is -inf."""
    if num.is_complex(input):
        raise RuntimeError("isneginf does not support complex inputs.")
    return input == -jnp.inf if num.is_float(input) else jnp.zeros(input.shape, jnp.bool_)


@op("none", out=False, elementwise=True)
def isreal(input: Tensor) -> Array:
    """Whether the imaginary part of each element is 0."""
    return input.imag == 0 if num.is_complex(input) else jnp.ones(input.shape, jnp.bool_)


def _same_dtypes(a: Any, b: Any) -> None:
    if a.dtype is not b.dtype:
        from ..._basics.dtypes import SCALAR_NAMES

        raise RuntimeError(f"{SCALAR_NAMES[a.dtype]} did not match {SCALAR_NAMES[b.dtype]}")


@op("arith", into=("internal",), name="isclose", differentiable=False)
def _isclose(
    input: Tensor, other: Tensor, rtol: Scalar, atol: Scalar, equal_nan: bool = False
) -> Array:
    close = input == other
    if equal_nan:
        close = close | (jnp.isnan(input) & jnp.isnan(other))
    error = jnp.abs(input - other)
    allowed = jnp.abs(atol) + jnp.abs(rtol * other)
    return close | (jnp.isfinite(error) & (error <= allowed))


@composite(into=("torch", "method"))
def isclose(
    input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """|input - other| <= atol + rtol * |other|, elementwise."""
    for position, (name, x) in enumerate((("input", input), ("other", other))):
        if not isinstance(x, TensorBase):
            raise TypeError(
                f"isclose(): argument '{name}' (position {position + 1}) must be Tensor, not "
                f"{type(x).__name__}"
            )
    _same_dtypes(input, other)
    if rtol < 0:
        raise RuntimeError(f"rtol must be greater than or equal to zero, but got {rtol:g}")
    if atol < 0:
        raise RuntimeError(f"atol must be greater than or equal to zero, but got {atol:g}")
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        # The tolerances are no integers; large integers must still be equal exactly.
        close = _isclose(input.double(), other.double(), rtol, atol)
        return ops.logical_or(ops.eq(input, other), close)
    return _isclose(input, other, rtol, atol, bool(equal_nan))


@composite(into=("torch", "method"))
def allclose(
    input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close."""
    return bool(ops.isclose(input, other, rtol, atol, equal_nan).all().item())


@composite(into=("torch", "method"))
def equal(input: Any, other: Any) -> bool:
    """Whether both have the same size and the same elements."""
    if not hasattr(other, "dtype"):
        raise TypeError(
            f"equal(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}"
        )
    if input.dtype is not other.dtype and tuple(input.shape) == tuple(other.shape):
        other = other.to(input.dtype) if input.dtype.category >= other.dtype.category else other
    if tuple(input.shape) != tuple(other.shape):
        return False
    return bool(ops.eq(input, other).all().item())


def _truth(x: Array) -> Array:
    return x if num.is_bool(x) else x != 0


@op("arith", inplace=True)
def logical_and(input: Tensor, other: Tensor) -> Array:
    """Both are nonzero."""
    return _truth(input) & _truth(other)


@op("arith", inplace=True)
def logical_or(input: Tensor, other: Tensor) -> Array:
    """At least one is nonzero."""
    return _truth(input) | _truth(other)


@op("arith", inplace=True)
def logical_xor(input: Tensor, other: Tensor) -> Array:
    """Exactly one is nonzero."""
    return _truth(input) ^ _truth(other)


@op("none", inplace=True, elementwise=True, out_dtype="cast")
def logical_not(input: Tensor) -> Array:
    """The element is zero."""
    return ~_truth(input)


def _integral(name: str, x: Array) -> None:
    if num.is_inexact(x):
        raise num.not_implemented_for(f"{name}_cpu", x)


@op("arith", inplace=True)
def bitwise_and(input: Operand, other: Operand) -> Array:
    """input & other."""
    _integral("bitwise_and", input)
    return input & other


@op("arith", inplace=True)
def bitwise_or(input: Operand, other: Operand) -> Array:
    """input | other."""
    _integral("bitwise_or", input)
    return input | other


@op("arith", inplace=True)
def bitwise_xor(input: Operand, other: Operand) -> Array:
    """input ^ other."""
    _integral("bitwise_xor", input)
    return input ^ other


@op("none", inplace=True, elementwise=True)
def bitwise_not(input: Tensor) -> Array:
    """~input; logical for bool."""
    _integral("bitwise_not", input)
    return ~input


def _left_shift(x: Array, by: Array) -> Array:
    x, by = jnp.broadcast_arrays(x, by)
    bits = jnp.iinfo(x.dtype).bits
    outside = (by < 0) | (by >= bits)
    safe = jnp.where(outside, jnp.zeros_like(by), by)
    return jnp.where(outside, jnp.zeros_like(x), jax.lax.shift_left(x, safe))


def _right_shift(x: Array, by: Array) -> Array:
    x, by = jnp.broadcast_arrays(x, by)
    info = jnp.iinfo(x.dtype)
    most = info.bits - (1 if info.min < 0 else 0)  # a signed number keeps its sign bit
    outside = (by < 0) | (by >= most)
    if info.min < 0:
        safe = jnp.where(outside, jnp.full_like(by, most), by)
        return jax.lax.shift_right_arithmetic(x, safe)
    safe = jnp.where(outside, jnp.zeros_like(by), by)
    return jnp.where(outside, jnp.zeros_like(x), jax.lax.shift_right_logical(x, safe))


@op("arith", inplace=True)
def bitwise_left_shift(input: Operand, other: Operand) -> Array:
    """input << other, 0 where `other` is outside of the width."""
    _no_shift("lshift", input)
    return _left_shift(input, other)


@op("arith", inplace=True)
def bitwise_right_shift(input: Operand, other: Operand) -> Array:
    """input >> other, arithmetic for signed numbers."""
    _no_shift("rshift", input)
    return _right_shift(input, other)


def _no_shift(name: str, x: Array) -> None:
    if num.is_inexact(x) or num.is_bool(x):
        raise num.not_implemented_for(f"{name}_cpu", x)


@composite(into=("method",))
def __lshift__(self: Any, other: Any) -> Tensor:
    """self << other."""
    return ops.bitwise_left_shift(self, other)


@composite(into=("method",))
def __rshift__(self: Any, other: Any) -> Tensor:
    """self >> other."""
    return ops.bitwise_right_shift(self, other)


@composite(into=("method",))
def __ilshift__(self: Any, other: Any) -> Any:
    """self <<= other."""
    return self.bitwise_left_shift_(other)


@composite(into=("method",))
def __irshift__(self: Any, other: Any) -> Any:
    """self >>= other."""
    return self.bitwise_right_shift_(other)
