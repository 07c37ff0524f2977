"""Making and taking apart complex numbers (the views `real`, `imag` and `conj` are elsewhere)."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._basics.dtypes import SCALAR_NAMES
from ..call.composites import last
from ..registry import Tensor, composite, op
from ..shared import numeric as num


def _check_parts(first: Any, second: Any) -> None:
    """torch's conditions on the two parts of a complex number."""
    names = [SCALAR_NAMES[x.dtype] for x in (first, second)]
    if not set(names) <= {"Half", "Float", "Double"}:
        raise RuntimeError(
            f"Expected both inputs to be Half, Float or Double tensors but got {names[0]} and "
            f"{names[1]}"
        )
    if names[0] != names[1]:
        raise RuntimeError(
            f"Expected object of scalar type {names[0]} but got scalar type {names[1]} for second "
            "argument"
        )


def _check_complex(real: Any, imag: Any) -> None:
    _check_parts(real, imag)


def _check_polar(abs: Any, angle: Any) -> None:
    _check_parts(abs, angle)


@op("none", into=("torch",), elementwise=True, check=_check_complex)
def complex(real: Tensor, imag: Tensor) -> Array:
    """real + i * imag."""
    return jax.lax.complex(*jnp.broadcast_arrays(real, imag))


@op("none", into=("torch",), elementwise=True, check=_check_polar)
def polar(abs: Tensor, angle: Tensor) -> Array:
    """abs * (cos(angle) + i * sin(angle))."""
    abs, angle = jnp.broadcast_arrays(abs, angle)
    return jax.lax.complex(abs * jnp.cos(angle), abs * jnp.sin(angle))


@op("float")
def angle(input: Tensor) -> Array:
    """The argument of a complex number; 0 or pi for a real one, without gradient."""
    if num.is_complex(input):
        return _angle(input)
    flat = jnp.where(input < 0, num.as_dtype(math.pi, input), jnp.zeros_like(input))
    return jax.lax.stop_gradient(jnp.where(jnp.isnan(input), input, flat))


def _angle_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    (z,), (dz,) = primals, tangents
    square = z.real * z.real + z.imag * z.imag
    return num.safe_divide(z.real * dz.imag - z.imag * dz.real, square)


_angle = num.with_derivative(lambda z: jnp.arctan2(z.imag, z.real), _angle_tangent)


@op("none", into=("internal",), name="conj_physical", elementwise=True,
    inplace_grad_name="ConjPhysicalBackward1")  # fmt: skip
def _conj_physical(input: Tensor) -> Array:
    return jnp.conj(input)


@composite(inplace=("torch", "method"), out="found")
def conj_physical(input: Any) -> Tensor:
    """The conjugate, written out; a real tensor itself."""
    return last(_conj_physical, input) if input.dtype.is_complex else input
