"""Powers and scaling by powers of two."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._autograd.tensor_base import TensorBase
from ..._basics import dtypes
from ..._basics.strides import contiguous_strides, elementwise_strides
from ..call.composites import last
from ..call.fronts import is_number
from ..registry import Operand, Tensor, composite, op, ops
from ..shared import numeric as num

# Exponents with a cheap formula of their own: they are part of the program, others are inputs.
_FORMULAS = {
    0.0: lambda x: jnp.ones_like(x) + 0 * x if num.is_float(x) else jnp.ones_like(x),
    0.5: lambda x: jnp.sqrt(x),
    1.0: lambda x: x,
    2.0: lambda x: x * x,
    3.0: lambda x: x * x * x,
    -0.5: lambda x: 1 / jnp.sqrt(x),
    -1.0: lambda x: 1 / x,
    -2.0: lambda x: 1 / (x * x),
}


@op("arith", into=("internal",), name="pow_fixed", grad_name="PowBackward0")
@num.widened
def _pow_fixed(input: Tensor, exponent: float) -> Array:
    """`input` to one of the exponents that have a cheap formula."""
    return _FORMULAS[exponent](input)


@op("arith", into=("internal",), name="pow_number", grad_name="PowBackward0")
@num.widened
def _pow_number(input: Tensor, exponent: Operand) -> Array:
    """`input` to a number that may differ at every call."""
    return _power(input, jax.lax.stop_gradient(exponent))


@op("arith", into=("internal",), name="pow_tensor", grad_name="PowBackward1")
@num.widened
def _pow_tensor(input: Operand, exponent: Operand) -> Array:
    """`input` to the elements of `exponent`."""
    if num.is_bool(input):
        raise num.not_implemented_for("pow", input)
    return _power(input, exponent)


def _power(base: Array, exponent: Array) -> Array:
    base, exponent = jnp.broadcast_arrays(base, exponent)
    if num.is_bool(base):
        return base | ~exponent
    if not num.is_inexact(base):
        return _int_power(base, exponent)
    return _float_power(base, exponent)


def _float_power_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    (a, b), (da, db) = primals, tangents
    one = jnp.ones_like(a)
    slope_a = jnp.where(b == 0, 0 * a, b * _float_power(a, jnp.where(b == 0, one, b - 1)))
    zero_base = (a == 0) & (b.real >= 0) if num.is_complex(b) else (a == 0) & (b >= 0)
    slope_b = jnp.where(zero_base, 0 * a, out * jnp.log(jnp.where(zero_base, one, a)))
    return slope_a * da + slope_b * db


def _power_value(a: Array, b: Array) -> Array:
    if num.is_complex(a):
        return jnp.where(b == 0, jnp.ones_like(a), jnp.power(a, b))
    return jax.lax.pow(a, b)


_float_power = num.with_derivative(_power_value, _float_power_tangent)


def _int_power(base: Array, exponent: Array) -> Array:
    """Square and multiply with wrap-around; a negative exponent gives 1/base rounded to 0."""

    def step(carry: Any) -> Any:
        result, square, rest = carry
        result = jnp.where(rest & 1 == 1, result * square, result)
        return result, square * square, rest >> 1

    start = (jnp.ones_like(base), base, jnp.maximum(exponent, jnp.zeros_like(exponent)))
    result, _, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[2] > 0), step, start)
    one, zero = jnp.ones_like(base), jnp.zeros_like(base)
    odd = exponent & 1 == 1
    unit = jnp.where(base == 1, one, jnp.where(base == -one, jnp.where(odd, -one, one), zero))
    return jnp.where(exponent < 0, unit, result)


def _check_negative(input: Any, exponent: Any) -> None:
    integral = not (input.dtype.is_floating_point or input.dtype.is_complex)
    if integral and isinstance(exponent, int) and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")


@composite(inplace=("method",), out=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """out = input ^ exponent; each may be a number or a tensor."""
    return _raised(input, exponent)


def _raised(input: Any, exponent: Any) -> Any:
    """The last call of `pow`: exponents with a formula, other numbers and tensors differ."""
    if not is_number(exponent):
        return last(_pow_tensor, input, exponent)
    if is_number(input):
        raise TypeError(
            "pow() received an invalid combination of arguments - got "
            f"({type(input).__name__}, {type(exponent).__name__})"
        )
    _check_negative(input, exponent)
    if exponent in _FORMULAS and _keeps_dtype(input, exponent):
        return last(_pow_fixed, input, exponent)
    return last(_pow_number, input, exponent)


def _keeps_dtype(input: Any, exponent: Any) -> bool:
    """Whether a number `exponent` leaves the dtype of `input` alone in promotion."""
    if input.dtype.is_floating_point or input.dtype.is_complex:
        return not isinstance(exponent, complex)
    return type(exponent) is int and input.dtype.name != "bool"


def _double(x: Any) -> Any:
    """A tensor in the widest dtype of its category; a number as it is."""
    if is_number(x):
        return x
    return x.to(dtypes.complex128 if x.dtype.is_complex else dtypes.float64)


def _check_base(input: Any, exponent: Any) -> None:
    """In place the tensor must have the dtype of the result."""
    turns = isinstance(exponent, complex) or getattr(exponent, "dtype", input.dtype).is_complex
    wide = dtypes.complex128 if turns or input.dtype.is_complex else dtypes.float64
    if input.dtype is not wide:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {dtypes.SCALAR_NAMES[input.dtype]} but "
            f"the operation's result requires dtype {dtypes.SCALAR_NAMES[wide]}"
        )


@composite(inplace=("method",), out=True, before=_check_base)
def float_power(input: Any, exponent: Any) -> Tensor:
    """`pow` computed in float64 (complex128 for complex operands)."""
    if is_number(input) and is_number(exponent):
        raise TypeError(
            "float_power() received an invalid combination of arguments - got "
            f"({type(input).__name__}, {type(exponent).__name__}), but expected a Tensor among them"
        )
    base, exponent = _double(input), _double(exponent)
    if isinstance(exponent, complex) and not is_number(base):
        base = base.to(dtypes.complex128)
    if is_number(base):
        wide = dtypes.complex128 if isinstance(base, complex) else dtypes.float64
        base = ops.full((), base, dtype=wide)
    return _raised(base, float(exponent) if isinstance(exponent, int) else exponent)


@op("none", inplace=True, grad_name="PowBackward0", elementwise=True, out_dtype="cast")
@num.widened
def square(input: Tensor) -> Array:
    """out = input * input."""
    return (input.astype(jnp.int64) if num.is_bool(input) else input) ** 2


def _ldexp_layout(avals: Any, operands: Any, key: Any) -> list[Any]:
    """torch multiplies with a tensor of powers, which lies row by row."""
    (a, powers), shape = operands, tuple(avals[0].shape)
    layouts = [(tuple(a._aval.shape), tuple(a._strides))]
    if isinstance(powers, TensorBase):
        size = tuple(powers._aval.shape)
        layouts.append((size, contiguous_strides(size)))
    return [elementwise_strides(shape, layouts)]


@op("float", inplace=("torch", "method"), layout=_ldexp_layout)
@num.widened
def ldexp(input: Tensor, other: Tensor) -> Array:
    """out = input * 2^other."""
    return input * jnp.exp2(other)


@op("none", returns="mantissa exponent", elementwise=True)
def frexp(input: Tensor) -> Any:
    """input = mantissa * 2^exponent with 0.5 <= |mantissa| < 1."""
    if not num.is_float(input):
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    wide = num.widen(input)
    exponent = jnp.frexp(jax.lax.stop_gradient(wide))[1]
    value = _mantissa(wide, exponent)
    return value.astype(input.dtype), exponent.astype(jnp.int32)


def _mantissa_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    wide, exponent = primals
    return tangents[0] * jnp.exp2(-exponent.astype(wide.dtype))


_mantissa = num.with_derivative(lambda wide, _: jnp.frexp(wide)[0], _mantissa_tangent)
