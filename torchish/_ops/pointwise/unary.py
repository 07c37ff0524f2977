"""Elementary functions of one operand: signs, roots, exponentials, trigonometry, rounding."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..registry import Scalar, Tensor, composite, op
from ..shared import numeric as num
from . import accurate

_NEG_BOOL = (
    "Negation, the `-` operator, on a bool tensor is not supported. "
    "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
)


@op("none", inplace=True, aliases=("negative",), elementwise=True)
def neg(input: Tensor) -> Array:
    """out = -input."""
    if num.is_bool(input):
        raise RuntimeError(_NEG_BOOL)
    return -input


@composite(into=("torch", "method"))
def positive(input: Any) -> Tensor:
    """`input` itself; a bool tensor is refused, as by torch."""
    if input.dtype.name == "bool":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@op("none", inplace=True, aliases=("absolute",), elementwise=True)
def abs(input: Tensor) -> Array:
    """The absolute value (modulus for complex numbers); the gradient at 0 is 0."""
    if num.is_bool(input):
        raise num.not_implemented_for("abs_cpu", input)
    return modulus(input) if num.is_inexact(input) else jnp.abs(input)


def _modulus_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    (x,), (dx,) = primals, tangents
    if num.is_complex(x):
        return (jnp.conj(_unit(x)) * dx).real
    return _sign(x) * dx


# |x| for real or complex x; the gradient at 0 is 0.
modulus = num.with_derivative(jnp.abs, _modulus_tangent)


def _unit(z: Array) -> Array:
    """z / |z|, and 0 at 0, with a finite gradient there."""
    zero, far = z == 0, jnp.isinf(z)
    parts = [jnp.where(jnp.isinf(p), jnp.sign(p), jnp.zeros_like(p)) for p in (z.real, z.imag)]
    z = jnp.where(far, jax.lax.complex(*parts), z)
    safe = jnp.where(zero, jnp.ones_like(z), z)
    # The unit does not depend on the scale, so the scale is a constant to differentiation.
    scale = jax.lax.stop_gradient(jnp.maximum(jnp.abs(safe.real), jnp.abs(safe.imag)))
    safe = jax.lax.complex(safe.real / scale, safe.imag / scale)
    # |z| written out, so that differentiating it needs no further special case.
    size = jnp.sqrt(safe.real * safe.real + safe.imag * safe.imag)
    return jnp.where(zero, jnp.zeros_like(z), safe / size.astype(z.dtype))


@op("none", inplace=True, elementwise=True)
def sign(input: Tensor) -> Array:
    """-1, 0 or 1; 0 for NaN."""
    if num.is_complex(input):
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. "
            "Please use torch.sgn instead."
        )
    return _sign(input)


def _sign(x: Array) -> Array:
    if num.is_bool(x):
        return x
    if num.is_float(x):
        return jax.lax.stop_gradient(jnp.where(jnp.isnan(x), jnp.zeros_like(x), jnp.sign(x)))
    return jnp.sign(x)


@op("none", inplace=True, elementwise=True)
def sgn(input: Tensor) -> Array:
    """`sign` for real numbers, z / |z| for complex ones."""
    return _unit(input) if num.is_complex(input) else _sign(input)


@op("none", elementwise=True)
def signbit(input: Tensor) -> Array:
    """Whether the sign bit is set (so True for -0.0)."""
    if num.is_complex(input):
        raise num.not_implemented_for("signbit_cpu", input)
    if num.is_float(input):
        return jnp.signbit(input)
    return input < 0 if not num.is_bool(input) else jnp.zeros_like(input)


@op("float", inplace=True, saves="output")
def reciprocal(input: Tensor) -> Array:
    """out = 1 / input."""
    return 1 / input


@op("float", inplace=True, saves="output")
def sqrt(input: Tensor) -> Array:
    """The square root."""
    return jnp.sqrt(input)


@op("float", inplace=True, saves="output")
@num.widened
def rsqrt(input: Tensor) -> Array:
    """out = 1 / sqrt(input)."""
    return 1 / jnp.sqrt(input) if num.is_complex(input) else jax.lax.rsqrt(input)


@op("float", inplace=True, saves="output")
def exp(input: Tensor) -> Array:
    """e^input."""
    return jnp.exp(input)


@op("float", inplace=True, saves="output")
@num.widened
def exp2(input: Tensor) -> Array:
    """2^input."""
    return jnp.exp2(input)


@op("float", inplace=True, saves="output")
def expm1(input: Tensor) -> Array:
    """e^input - 1, accurate near 0."""
    return jnp.expm1(input)


@op("float", inplace=True)
def log(input: Tensor) -> Array:
    """The natural logarithm."""
    return jnp.log(input)


@op("float", inplace=True)
@num.widened
def log2(input: Tensor) -> Array:
    """The logarithm to base 2."""
    return jnp.log2(input)


@op("float", inplace=True)
@num.widened
def log10(input: Tensor) -> Array:
    """The logarithm to base 10."""
    return jnp.log10(input)


@op("float", inplace=True, grad_name="Log1PBackward0")
def log1p(input: Tensor) -> Array:
    """log(1 + input), accurate near 0."""
    return accurate.log1p(input)


@op("float", inplace=True)
def sin(input: Tensor) -> Array:
    """The sine."""
    return jnp.sin(input)


@op("float", inplace=True)
def cos(input: Tensor) -> Array:
    """The cosine."""
    return jnp.cos(input)


@op("float", inplace=True, saves="output")
@num.widened
def tan(input: Tensor) -> Array:
    """The tangent."""
    return jnp.tan(input)


@op("float", inplace=True, aliases=("arcsin",))
@num.widened
def asin(input: Tensor) -> Array:
    """The inverse sine."""
    return jnp.arcsin(input)


@op("float", inplace=True, aliases=("arccos",))
@num.widened
def acos(input: Tensor) -> Array:
    """The inverse cosine."""
    return jnp.arccos(input)


@op("float", inplace=True, aliases=("arctan",))
@num.widened
def atan(input: Tensor) -> Array:
    """The inverse tangent."""
    return jnp.arctan(input)


@op("float", inplace=True)
@num.widened
def sinh(input: Tensor) -> Array:
    """The hyperbolic sine."""
    return jnp.sinh(input)


@op("float", inplace=True)
@num.widened
def cosh(input: Tensor) -> Array:
    """The hyperbolic cosine."""
    return jnp.cosh(input)


@op("float", inplace=True, saves="output")
def tanh(input: Tensor) -> Array:
    """The hyperbolic tangent."""
    return accurate.tanh(input)


@op("float", inplace=True, aliases=("arcsinh",), inplace_grad_name="AsinhBackward1")
@num.widened
def asinh(input: Tensor) -> Array:
    """The inverse hyperbolic sine."""
    return jnp.arcsinh(input)


@op("float", inplace=True, aliases=("arccosh",), inplace_grad_name="AcoshBackward1")
@num.widened
def acosh(input: Tensor) -> Array:
    """The inverse hyperbolic cosine."""
    return _acosh(input) if num.is_complex(input) else jnp.arccosh(input)


def _acosh_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    (z,) = primals  # two roots, so that the branch cut lies where torch's does
    return tangents[0] / (jnp.sqrt(z - 1) * jnp.sqrt(z + 1))


_acosh = num.with_derivative(jnp.arccosh, _acosh_tangent)


@op("float", inplace=True, aliases=("arctanh",), inplace_grad_name="AtanhBackward1")
@num.widened
def atanh(input: Tensor) -> Array:
    """The inverse hyperbolic tangent."""
    return jnp.arctanh(input)


@op("float", inplace=True, grad_name="Deg2RadBackward0")
@num.widened
def deg2rad(input: Tensor) -> Array:
    """Degrees to radians."""
    if num.is_complex(input):
        raise RuntimeError("deg2rad is not supported for complex tensors.")
    return input * (math.pi / 180)


@op("float", inplace=True, grad_name="Rad2DegBackward0")
@num.widened
def rad2deg(input: Tensor) -> Array:
    """Radians to degrees."""
    if num.is_complex(input):
        raise RuntimeError("rad2deg is not supported for complex tensors.")
    return input * (180 / math.pi)


def _rounded(x: Array, rounding: Any, kernel: str) -> Array:
    """`rounding(x)` without gradient; integers are whole already."""
    if num.is_complex(x):
        raise RuntimeError(f"{kernel} is not supported for complex inputs")
    if num.is_bool(x):
        raise num.not_implemented_for(f"{kernel}_vml_cpu", x)
    return jax.lax.stop_gradient(rounding(x)) if num.is_float(x) else x


@op("none", inplace=True, elementwise=True)
def ceil(input: Tensor) -> Array:
    """The smallest integer not below."""
    return _rounded(input, jnp.ceil, "ceil")


@op("none", inplace=True, elementwise=True)
def floor(input: Tensor) -> Array:
    """The largest integer not above."""
    return _rounded(input, jnp.floor, "floor")


@op("none", inplace=True, aliases=("fix",), elementwise=True)
def trunc(input: Tensor) -> Array:
    """The integer part."""
    return _rounded(input, jnp.trunc, "trunc")


@op("none", inplace=True, elementwise=True)
def frac(input: Tensor) -> Array:
    """input - trunc(input)."""
    if not num.is_float(input):
        raise num.not_implemented_for("frac_cpu", input)
    return input - jax.lax.stop_gradient(jnp.trunc(input))


def _round_name(input: Any, decimals: Any) -> str:
    return f"RoundBackward{0 if decimals is None else 1}"


@op("none", inplace=True, elementwise=True, grad_name=_round_name)
@num.widened
def round(input: Tensor, *, decimals: int | None = None) -> Array:
    """Round half to even, at `decimals` places."""
    if decimals and not num.is_float(input):
        raise num.not_implemented_for("round_vml_cpu", input)
    if not decimals:
        return _rounded(input, jnp.round, "round")
    ten = 10.0 ** math.fabs(decimals)
    rounded = jnp.round(input * ten) / ten if decimals > 0 else jnp.round(input / ten) * ten
    return jax.lax.stop_gradient(rounded)


@op("none", inplace=True, elementwise=True)
def nan_to_num(
    input: Tensor,
    nan: Scalar = None,
    posinf: Scalar = None,
    neginf: Scalar = None,
) -> Array:
    """Replace NaN (by 0), inf and -inf (by the largest and smallest number)."""
    if not num.is_inexact(input):
        return input
    if num.is_complex(input):
        parts = [_finite(p, nan, posinf, neginf) for p in (input.real, input.imag)]
        return jax.lax.complex(*parts)
    return _finite(input, nan, posinf, neginf)


def _finite(x: Array, nan: Any, posinf: Any, neginf: Any) -> Array:
    info = jnp.finfo(x.dtype)
    values = [
        num.as_dtype(given if given is not None else default, x)
        for given, default in ((nan, 0.0), (posinf, info.max), (neginf, info.min))
    ]
    out = jnp.where(jnp.isnan(x), values[0], x)
    out = jnp.where(x == jnp.inf, values[1], out)
    return jnp.where(x == -jnp.inf, values[2], out)
