"""What the bodies of operators share: questions about dtypes, wide arithmetic for half types."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.numpy import ndarray as Array

HALF = (jnp.dtype(jnp.float16), jnp.dtype(jnp.bfloat16))


def is_float(x: Array) -> bool:
    """Whether `x` holds real floating point numbers."""
    return jnp.issubdtype(x.dtype, jnp.floating)


def is_complex(x: Array) -> bool:
    """Whether `x` holds complex numbers."""
    return jnp.issubdtype(x.dtype, jnp.complexfloating)


def is_inexact(x: Array) -> bool:
    """Whether `x` holds floating point or complex numbers."""
    return jnp.issubdtype(x.dtype, jnp.inexact)


def is_bool(x: Array) -> bool:
    """Whether `x` holds truth values."""
    return x.dtype == jnp.bool_


def is_half(dtype: Any) -> bool:
    """Whether torch computes this dtype in float32 (its "opmath" type)."""
    return dtype in HALF


def wide_dtype(dtype: Any) -> Any:
    """The dtype that torch computes in: float32 for the half types, else the dtype itself."""
    return jnp.dtype(jnp.float32) if dtype in HALF else dtype


def widen(x: Array) -> Array:
    """`x`, in float32 if it is of a half type."""
    return x.astype(jnp.float32) if x.dtype in HALF else x


def widened(body: Callable[..., Any]) -> Callable[..., Any]:
    """Compute `body` in float32 for half operands and round each result once, as torch does."""

    @functools.wraps(body)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        half = next((a.dtype for a in given if getattr(a, "dtype", None) in HALF), None)
        # An explicit `dtype=` argument says itself what to compute in.
        if half is None or any(hasattr(a, "np") for a in given):
            return body(*args, **kwargs)

        def up(a: Any) -> Any:
            return a.astype(jnp.float32) if getattr(a, "dtype", None) in HALF else a

        out = body(*map(up, args), **{k: up(v) for k, v in kwargs.items()})
        return jax.tree.map(lambda o: o.astype(half) if o.dtype == jnp.float32 else o, out)

    return wrapper


def scaled(x: Array, factor: Any) -> Array:
    """`x * factor` in the dtype of `x`; the literal 1 costs nothing."""
    if isinstance(factor, (int, float)) and factor == 1:
        return x
    return x * jnp.asarray(factor, x.dtype)


def as_dtype(value: Any, like: Array) -> Array:
    """A number (literal or 0-d array) in the dtype of `like`."""
    return jnp.asarray(value).astype(like.dtype)


def safe_divide(a: Array, b: Array, where_zero: float = 0.0) -> Array:
    """`a / b`, and `where_zero` where `b` is 0, with a gradient that is finite there too."""
    zero = b == 0
    return jnp.where(zero, as_dtype(where_zero, a), a / jnp.where(zero, as_dtype(1, b), b))


def with_derivative(
    value: Callable[..., Array], derivative: Callable[..., Any]
) -> Callable[..., Array]:
    """`value` with the tangent `derivative(out, primals, tangents)`, differentiable again."""
    wrapped = jax.custom_jvp(value)

    @wrapped.defjvp
    def _jvp(primals: Any, tangents: Any) -> Any:
        out = wrapped(*primals)
        return out, derivative(out, primals, tangents)

    return wrapped


def not_implemented_for(kernel: str, x: Array) -> RuntimeError:
    """torch's error for a kernel that lacks a dtype; torch raises NotImplementedError."""
    from ..._basics.dtypes import SCALAR_NAMES, from_np

    kind = SCALAR_NAMES[from_np(x.dtype)]
    return NotImplementedError(f"\"{kernel}\" not implemented for '{kind}'")


def finfo_min(dtype: Any) -> Any:
    """The smallest value of a dtype: -inf, the least integer, or False."""
    return _bound(dtype, low=True)


def _bound(dtype: Any, low: bool) -> Any:
    dtype = jnp.dtype(dtype)
    if dtype == jnp.bool_:
        return np.bool_(not low)
    if jnp.issubdtype(dtype, jnp.floating):
        return np.array(-np.inf if low else np.inf, dtype)
    info = jnp.iinfo(dtype)
    return np.array(info.min if low else info.max, dtype)
