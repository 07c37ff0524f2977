"""Vector norms and what is made of them: norm, dist, renorm."""

import math
from typing import Any

import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._autograd.apply import without_gradient
from ..call.composites import Out, last
from ..call.describe import check_broadcastable
from ..pointwise.unary import modulus
from ..registry import Dtype, Scalar, Tensor, composite, linalg, op, wrap_dims
from ..shared import numeric as num
from .reductions import safe_sqrt


def vector_norm_of(x: Array, order: float, dim: Any, keepdim: bool) -> Array:
    """(sum |x|^order)^(1/order) over `dim`, with torch's subgradients: 0 where the norm is 0."""
    axis = wrap_dims(dim, x.ndim)
    order = float(order)
    if order == 0:
        return jnp.sum(x != 0, axis=axis, keepdims=keepdim).astype(x.real.dtype)
    if order == 2:
        squares = x.real * x.real + x.imag * x.imag if num.is_complex(x) else x * x
        return safe_sqrt(jnp.sum(squares, axis=axis, keepdims=keepdim))
    size = modulus(x)
    if order == 1:
        return jnp.sum(size, axis=axis, keepdims=keepdim)
    if math.isinf(order):
        if any(x.shape[d] == 0 for d in axis) and order < 0:
            raise RuntimeError(
                "linalg.vector_norm cannot compute the -inf norm on an empty tensor because the "
                "operation does not have an identity"
            )
        extreme = (
            jnp.max(size, axis=axis, keepdims=keepdim, initial=0)
            if order > 0
            else (jnp.min(size, axis=axis, keepdims=keepdim))
        )
        return extreme
    powers = _power_of_size(size, order)
    return _root(jnp.sum(powers, axis=axis, keepdims=keepdim), order)


def _power_of_size(size: Array, order: float) -> Array:
    """size^order with gradient 0 at 0."""
    zero = size == 0
    value = jnp.where(zero, jnp.ones_like(size), size) ** order
    return jnp.where(zero, jnp.full_like(size, 0.0 if order > 0 else jnp.inf), value)


def _root(total: Array, order: float) -> Array:
    """total^(1/order) with gradient 0 at 0."""
    zero = total == 0
    safe = jnp.where(zero, jnp.ones_like(total), total)
    return jnp.where(zero, jnp.zeros_like(total) ** (1 / order), safe ** (1 / order))


@op("none", into=("internal",), name="norm", grad_name="LinalgVectorNormBackward0")
@num.widened
def _norm(input: Tensor, p: float, dim: Any, keepdim: bool, dtype: Dtype = None) -> Array:
    x = input if dtype is None else input.astype(dtype.np)
    if not num.is_inexact(x):
        from ..._basics.dtypes import SCALAR_NAMES, from_np

        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. "
            f"Got {SCALAR_NAMES[from_np(x.dtype)]}"
        )
    return vector_norm_of(x, p, dim, keepdim)


@composite(out=Out(at=4))
def norm(
    input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """The p-norm over `dim`, of all elements if it is None ("nuc": sum of singular values)."""
    if p == "nuc":
        dim = (0, 1) if dim is None else dim
        return last(linalg.matrix_norm, input, "nuc", dim=dim, keepdim=keepdim, dtype=dtype)
    if p == "fro" or p is None:
        p = 2.0
    if p == 0:
        input = without_gradient(input)
    return last(_norm, input, float(p), dim, keepdim, dtype)


@op("arith", grad_name="DistBackward0", out=False, elementwise=False)
@num.widened
def dist(input: Tensor, other: Tensor, p: float = 2) -> Array:
    """The p-norm of input - other."""
    check_broadcastable(input.shape, other.shape)
    return vector_norm_of(input - other, p, None, False)


@op("none", inplace=True)
@num.widened
def renorm(input: Tensor, p: float, dim: int, maxnorm: Scalar) -> Array:
    """Shrink every slice along `dim` whose p-norm is above `maxnorm` to that norm."""
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if input.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions"
        )
    others = tuple(d for d in range(input.ndim) if d != dim % input.ndim)
    size = vector_norm_of(input, p, others, True)
    limit = jnp.asarray(maxnorm).real.astype(size.dtype)
    factor = jnp.where(size > limit, limit / (size + 1e-7), jnp.ones_like(size))
    return input * factor.astype(input.dtype)
