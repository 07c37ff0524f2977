"""Arithmetic of two operands: add, mul, div, pow and their relatives.

The bodies receive operands already cast to the promoted dtype; jnp broadcasts them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..call.composites import last
from ..call.fronts import is_number, numbered_by, warn_old_form
from ..registry import Operand, Scalar, Tensor, composite, op
from ..shared import numeric as num
from ..shared.memory_format import reversed_pointwise
from ..shared.ranges import check_divisor


def _number_second(name: str) -> Any:
    """Bind `f(input, alpha, other)`, the form of old torch; None for any other call."""

    def overload(args: Any, kwargs: Any) -> Any:
        if len(args) != 3 or kwargs or not is_number(args[1]):
            return None
        warn_old_form(
            f"{name}(Tensor input, Number alpha, Tensor other, *, Tensor out = None)",
            f"{name}(Tensor input, Tensor other, *, Number alpha = 1, Tensor out = None)",
        )
        return (args[0], args[2]), {"alpha": args[1]}

    return overload


def _is_bool(operand: Any) -> bool:
    return operand is bool or getattr(getattr(operand, "dtype", None), "name", None) == "bool"


def _category(operand: Any) -> int:
    if hasattr(operand, "dtype"):
        return operand.dtype.category
    return {bool: 0, int: 1, float: 2, complex: 3}[operand]


def _check_alpha(input: Any, other: Any, alpha: Any) -> None:
    """torch's conditions on `alpha`, given as the type of the number."""
    highest = max(_category(input), _category(other))
    if alpha is bool and highest > 0:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if alpha is float and highest < 2:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if alpha is complex and highest < 3:
        raise RuntimeError(
            "For non-complex input tensors, argument alpha must not be a complex number."
        )


def _check_sub(input: Any, other: Any, alpha: Any) -> None:
    if _is_bool(input) and _is_bool(other) and hasattr(input, "dtype") and hasattr(other, "dtype"):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead."
        )
    if _is_bool(input) or _is_bool(other):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    _check_alpha(input, other, alpha)


@op("arith", inplace=True, overloads=_number_second("add"), check=_check_alpha)
def add(input: Operand, other: Operand, *, alpha: Scalar = 1) -> Array:
    """out = input + alpha * other."""
    return input + num.scaled(other, alpha)


@op("arith", inplace=True, overloads=_number_second("sub"), check=_check_sub)
def sub(input: Operand, other: Operand, *, alpha: Scalar = 1) -> Array:
    """out = input - alpha * other."""
    return input - num.scaled(other, alpha)


@op("arith", inplace=True, grad_name="SubBackward0", check=_check_sub)
def subtract(input: Operand, other: Operand, *, alpha: Scalar = 1) -> Array:
    """out = input - alpha * other."""
    return input - num.scaled(other, alpha)


@op(
    "arith", into=("torch",), out=False, check=_check_sub, elementwise=False,
    layout=reversed_pointwise,
)  # fmt: skip
def rsub(input: Tensor, other: Operand, alpha: Scalar = 1) -> Array:
    """out = other - alpha * input."""
    return other - num.scaled(input, alpha)


@op("arith", inplace=True, aliases=("multiply",))
def mul(input: Operand, other: Operand) -> Array:
    """out = input * other."""
    return input * other


@op("float", into=("internal",), name="div")
@num.widened
def _div(input: Operand, other: Operand) -> Array:
    return input / other


def _quotient(mode: str | None) -> Any:
    """The operator that divides with a rounding mode."""
    if mode is None:
        return _div
    if mode == "floor":
        return _div_floor
    if mode == "trunc":
        return _div_trunc
    raise RuntimeError(
        f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'"
    )


@composite(aliases=("divide",), inplace=("method",), out=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """out = input / other in floating point; `rounding_mode` "floor" or "trunc" keeps integers."""
    function = _quotient(rounding_mode)
    if rounding_mode is not None:
        check_divisor(input, other)
    return last(function, input, other)


@op("float", inplace=True, grad_name="DivBackward0")
@num.widened
def true_divide(input: Operand, other: Operand) -> Array:
    """out = input / other, always in floating point."""
    return input / other


def _only_real(kernel: str, x: Array) -> None:
    if num.is_complex(x):
        raise num.not_implemented_for(kernel, x)


@op("arith", into=("internal",), name="div_floor", grad_name="DivBackward2")
@num.widened
def _div_floor(input: Operand, other: Operand) -> Array:
    return _floor_division(input, other)


@op("arith", into=("internal",), name="div_trunc", grad_name="DivBackward2")
def _div_trunc(input: Operand, other: Operand) -> Array:
    if not num.is_inexact(input):
        return jax.lax.div(*jnp.broadcast_arrays(input, other))
    # A rounded quotient has gradient 0 everywhere; half types round the quotient first.
    _only_real("div_trunc_cpu", input)
    quotient = (num.widen(input) / num.widen(other)).astype(input.dtype)
    return jax.lax.stop_gradient(jnp.trunc(quotient))


@op("arith", into=("internal",), name="floor_divide", differentiable=False)
@num.widened
def _floor_divide(input: Operand, other: Operand) -> Array:
    return _floor_division(input, other)


@composite(inplace=("method",), out=True)
def floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down: Python's `//`."""
    check_divisor(input, other)
    return last(_floor_divide, input, other)


def _floor_division(a: Array, b: Array) -> Array:
    _only_real("div_floor_cpu", a)
    if num.is_bool(a):
        raise num.not_implemented_for("div_floor_cpu", a)
    if not num.is_inexact(a):
        return jnp.floor_divide(a, b)
    return jax.lax.stop_gradient(_floor_quotient(a, b))


def _floor_quotient(a: Array, b: Array) -> Array:
    """floor(a / b) that agrees with `a % b`, with the corrections CPython makes."""
    a, b = jnp.broadcast_arrays(a, b)
    rest = jax.lax.rem(a, b)
    quotient = (a - rest) / b
    quotient = jnp.where((rest != 0) & ((b < 0) != (rest < 0)), quotient - 1, quotient)
    floored = jnp.floor(quotient)
    floored = jnp.where(quotient - floored > 0.5, floored + 1, floored)
    exact_zero = jnp.copysign(jnp.zeros_like(a), a / b)
    result = jnp.where(quotient == 0, exact_zero, floored)
    return jnp.where(b == 0, a / b, result)


@op("arith", into=("internal",), name="remainder", grad_name=numbered_by("other", "Remainder"))
@num.widened
def _remainder(input: Operand, other: Operand) -> Array:
    if num.is_bool(input) or num.is_complex(input):
        raise num.not_implemented_for("remainder_cpu", input)
    a, b = jnp.broadcast_arrays(input, other)
    rest = jax.lax.rem(a, b)
    return jnp.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)


@composite(inplace=("method",), out=True)
def remainder(input: Any, other: Any) -> Tensor:
    """Python's `%`: the result has the sign of `other`."""
    check_divisor(input, other)
    return last(_remainder, input, other)


@op("arith", into=("internal",), name="fmod", grad_name=numbered_by("other", "Fmod"))
@num.widened
def _fmod(input: Tensor, other: Operand) -> Array:
    if num.is_bool(input) or num.is_complex(input):
        raise num.not_implemented_for("fmod_cpu", input)
    return jax.lax.rem(*jnp.broadcast_arrays(input, other))


@composite(inplace=("method",), out=True)
def fmod(input: Any, other: Any) -> Tensor:
    """C's fmod: the result has the sign of `input`."""
    check_divisor(input, other)
    return last(_fmod, input, other)


@op("arith", inplace=True)
def maximum(input: Tensor, other: Tensor) -> Array:
    """Elementwise maximum, NaN if either is; equal elements share the gradient."""
    if num.is_complex(input):
        raise RuntimeError("maximum not implemented for complex tensors.")
    return _maximum(*jnp.broadcast_arrays(input, other))


@op("arith", inplace=True)
def minimum(input: Tensor, other: Tensor) -> Array:
    """Elementwise minimum, NaN if either is; equal elements share the gradient."""
    if num.is_complex(input):
        raise RuntimeError("minimum does not support complex inputs.")
    return _minimum(*jnp.broadcast_arrays(input, other))


def _shared(keeps_a: Any) -> Any:
    """The tangent of an extremum: halves for equal elements, to both for NaN."""

    def tangent(out: Array, primals: Any, tangents: Any) -> Array:
        (a, b), (da, db) = primals, tangents
        zero, half = jnp.zeros_like(da), jnp.where(a == b, 0.5, 1.0).astype(a.dtype)
        return jnp.where(keeps_a(b, a), zero, half * da) + jnp.where(keeps_a(a, b), zero, half * db)

    return tangent


_maximum = num.with_derivative(lambda a, b: jnp.maximum(a, b), _shared(lambda a, b: a > b))
_minimum = num.with_derivative(lambda a, b: jnp.minimum(a, b), _shared(lambda a, b: a < b))


@op("arith")
def fmax(input: Tensor, other: Tensor) -> Array:
    """Elementwise maximum that prefers a number to NaN; equal elements: gradient to `input`."""
    if num.is_complex(input):
        raise num.not_implemented_for("fmax_cpu", input)
    if not num.is_inexact(input):
        return jnp.maximum(input, other)
    return jnp.where((input >= other) | jnp.isnan(other), input, other)


@op("arith")
def fmin(input: Tensor, other: Tensor) -> Array:
    """Elementwise minimum that prefers a number to NaN; equal elements: gradient to `input`."""
    if num.is_complex(input):
        raise num.not_implemented_for("fmin_cpu", input)
    if not num.is_inexact(input):
        return jnp.minimum(input, other)
    return jnp.where((input <= other) | jnp.isnan(other), input, other)


@op("float", inplace=True, aliases=("arctan2",))
@num.widened
def atan2(input: Tensor, other: Tensor) -> Array:
    """The angle of the point (other, input); its gradient at the origin is 0."""
    _only_real("atan2_cpu", input)
    return _atan2(*jnp.broadcast_arrays(input, other))


def _atan2_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    (y, x), (dy, dx) = primals, tangents
    return num.safe_divide(x * dy - y * dx, x * x + y * y)


_atan2 = num.with_derivative(jnp.arctan2, _atan2_tangent)


@op("arith", inplace=True)
@num.widened
def hypot(input: Tensor, other: Tensor) -> Array:
    """sqrt(input^2 + other^2) without overflow."""
    if not num.is_float(input):
        raise num.not_implemented_for("hypot_cpu", input)
    return _hypot(*jnp.broadcast_arrays(input, other))


def _hypot_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    (a, b), (da, db) = primals, tangents
    return a / out * da + b / out * db


_hypot = num.with_derivative(jnp.hypot, _hypot_tangent)


@op("float", inplace=True, grad_name=numbered_by("other", "Copysign", 1, 0))
def copysign(input: Tensor, other: Operand) -> Array:
    """The magnitude of `input` with the sign of `other`."""
    return _copysign(*jnp.broadcast_arrays(input, other))


def _copysign_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    magnitude, _ = primals
    return jax.lax.stop_gradient(num.safe_divide(out, magnitude)) * tangents[0]


_copysign = num.with_derivative(jnp.copysign, _copysign_tangent)


@jax.custom_jvp
def _nextafter(x: Array, towards: Array) -> Array:
    return jax.lax.nextafter(x, towards)


_nextafter.defjvps(lambda dx, out, x, towards: dx, lambda dt, out, x, towards: jnp.zeros_like(dt))


@op("arith", inplace=True)
def nextafter(input: Tensor, other: Tensor) -> Array:
    """The next representable number after `input` towards `other`."""
    return _nextafter(*jnp.broadcast_arrays(input, other))


def _check_heaviside(input: Any, values: Any) -> None:
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


@op("arith", inplace=True, differentiable=False, check=_check_heaviside)
def heaviside(input: Tensor, values: Tensor) -> Array:
    """0 below zero, `values` at zero, 1 above."""
    zero, one = jnp.zeros_like(input), jnp.ones_like(input)
    return jnp.where(input == zero, values, jnp.where(input < zero, zero, one))


@op("arith", inplace=("torch", "method"))
def gcd(input: Tensor, other: Tensor) -> Array:
    """Greatest common divisor of integers, never negative."""
    return jnp.gcd(input, other)


@op("arith", inplace=("torch", "method"))
def lcm(input: Tensor, other: Tensor) -> Array:
    """Least common multiple of integers, never negative."""
    return jnp.lcm(input, other)


@op("arith")
@num.widened
def logaddexp(input: Tensor, other: Tensor) -> Array:
    """log(exp(input) + exp(other)), stable."""
    if not num.is_inexact(input):
        raise num.not_implemented_for("logaddexp_cpu", input)
    if num.is_complex(input):
        ordered = input.real >= other.real
        high, low = jnp.where(ordered, input, other), jnp.where(ordered, other, input)
        return high + jnp.log(1 + jnp.exp(low - high))
    return jnp.logaddexp(input, other)


@op("arith")
@num.widened
def logaddexp2(input: Tensor, other: Tensor) -> Array:
    """log2(2^input + 2^other), stable."""
    if not num.is_float(input):
        raise num.not_implemented_for("logaddexp2_cpu", input)
    return jnp.logaddexp2(input, other)


def _xlogy_name(input: Any, other: Any, **_: Any) -> str:
    both = hasattr(input, "shape") and hasattr(other, "shape")
    return f"XlogyBackward{0 if both else 2 if hasattr(input, 'shape') else 1}"


@op("float", inplace=("torch", "method"), grad_name=_xlogy_name)
@num.widened
def xlogy(input: Operand, other: Operand) -> Array:
    """input * log(other), and 0 where `input` is 0 (NaN where `other` is)."""
    _only_real("xlogy_cpu", input)
    return xlogy_with(jnp.log, input, other)


def xlogy_with(log: Any, x: Array, y: Array) -> Array:
    """x * log(y) with 0 * anything but NaN equal to 0, safe under differentiation."""
    x, y = jnp.broadcast_arrays(x, y)
    # Where x is 0 the gradient of x is still log(y), unless that is not finite.
    bad = (x == 0) & ~jnp.isnan(y) & ~jnp.isfinite(log(y))
    return jnp.where(bad, x * 0, x * log(jnp.where(bad, jnp.ones_like(y), y)))
