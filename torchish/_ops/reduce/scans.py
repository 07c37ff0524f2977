"""Cumulative reductions along one dimension."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._basics import dtypes
from ..call.composites import Out
from ..registry import Dtype, Tensor, composite, op, ops, wrap_dim
from ..shared import numeric as num
from ..shared.dims import accumulate_dtype


def _exact(x: Array) -> Array:
    """`x` in the dtype that torch accumulates in on the CPU."""
    return x.astype(jnp.float64) if x.dtype == jnp.float32 else x


@op("bool_int64", inplace=True, overlap="lines")
@num.widened
def cumsum(input: Tensor, dim: int, *, dtype: Dtype = None) -> Array:
    """The running sum along `dim`."""
    x = accumulate_dtype(input, dtype)
    axis = wrap_dim(dim, x.ndim)
    if num.is_bool(x) and x.ndim and x.size:
        raise num.not_implemented_for("cumsum_out_cpu", x)
    return jnp.cumsum(_exact(x), axis=axis).astype(x.dtype) if x.ndim else x


@op("bool_int64", inplace=True, overlap="lines")
@num.widened
def cumprod(input: Tensor, dim: int, *, dtype: Dtype = None) -> Array:
    """The running product along `dim`; zeros have the right gradient."""
    x = accumulate_dtype(input, dtype)
    axis = wrap_dim(dim, x.ndim)
    if num.is_bool(x) and x.ndim and x.size:
        raise num.not_implemented_for("cumprod_out_cpu", x)
    return jnp.cumprod(_exact(x), axis=axis).astype(x.dtype) if x.ndim else x


def _log_add(a: Array, b: Array) -> Array:
    """log(exp(a) + exp(b)) of complex numbers, where -inf stands for log 0."""
    first = a.real >= b.real
    high, low = jnp.where(first, a, b), jnp.where(first, b, a)
    nothing = jnp.isneginf(low.real)
    gap = jnp.where(nothing, jnp.zeros_like(low), low - jnp.where(nothing, low, high))
    return jnp.where(nothing, high, high + jnp.log1p(jnp.exp(gap)))


def _check_logcumsumexp(input: Any, **_: Any) -> None:
    if input.dtype.category < dtypes.FLOAT:
        kind = dtypes.SCALAR_NAMES[input.dtype]
        raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{kind}'")


@op("float", elementwise=False, check=_check_logcumsumexp, out_dtype="exact")
@num.widened
def logcumsumexp(input: Tensor, dim: int) -> Array:
    """log(cumsum(exp(input))) along `dim`, stable."""
    axis = wrap_dim(dim, input.ndim)
    if input.ndim == 0:
        return input
    if num.is_complex(input):
        return jax.lax.associative_scan(_log_add, input, axis=axis)
    return jax.lax.cumlogsumexp(input, axis=axis)


def _running(name: str, x: Array, dim: int, better: Any) -> tuple[Array, Array]:
    """Running extremum with the index of its last occurrence, as torch reports it."""
    if x.size == 0:
        return x, jnp.zeros(x.shape, jnp.int64)
    axis = wrap_dim(dim, x.ndim)
    if x.ndim == 0:
        return x, jnp.zeros(x.shape, jnp.int64)
    if num.is_complex(x):
        raise num.not_implemented_for(f"{name}_cpu", x)

    def later_wins(a: Any, b: Any) -> Any:
        take_b = better(b[0], a[0])
        if num.is_float(x):
            take_b = take_b | jnp.isnan(b[0])
        return jnp.where(take_b, b[0], a[0]), jnp.where(take_b, b[1], a[1])

    position = jax.lax.broadcasted_iota(jnp.int64, x.shape, axis)
    ordered = jax.lax.stop_gradient(x)
    _, index = jax.lax.associative_scan(later_wins, (ordered, position), axis=axis)
    return jnp.take_along_axis(x, index, axis=axis, mode="clip"), index


@op("none", returns="values indices")
def cummax(input: Tensor, dim: int) -> Any:
    """The running maximum along `dim` and the index of its last occurrence."""
    return _running("cummax", input, dim, lambda new, old: new >= old)


@op("none", returns="values indices")
def cummin(input: Tensor, dim: int) -> Any:
    """The running minimum along `dim` and the index of its last occurrence."""
    return _running("cummin", input, dim, lambda new, old: new <= old)


@composite(out=Out("exact", history=False))
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """The n-th difference of neighbours along `dim`."""
    if input.dim() == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:  # torch ignores what would be joined on
        return input.clone()
    parts = [part for part in (prepend, input, append) if part is not None]
    x = ops.cat(parts, dim) if len(parts) > 1 else input
    for _ in range(n):
        if x.size(dim) <= 1:
            x = x.narrow(dim, 0, 0)
            break
        high, low = x.narrow(dim, 1, x.size(dim) - 1), x.narrow(dim, 0, x.size(dim) - 1)
        x = ops.logical_xor(high, low) if x.dtype.name == "bool" else high - low
    return x


def _panels(y: Any, x: Any, dx: Any, dim: int) -> Any:
    """The areas of the trapezoids between neighbours along `dim`."""
    size = y.size(dim)
    pairs = y.narrow(dim, 1, size - 1) + y.narrow(dim, 0, size - 1)
    if x is None:
        return pairs * dx / 2
    if x.dim() == 1 and y.dim() > 1:
        dim_back = dim if dim < 0 else dim - y.dim()
        x = x.reshape([-1] + [1] * (-dim_back - 1))
        dim = dim_back
    width = ops.diff(x, dim=dim)
    return pairs * width / 2


def _trapezoids(name: str, y: Any, x: Any, dx: Any, dim: int) -> Any:
    if y.dim() == 0 or not -y.dim() <= dim < y.dim():
        wrap_dim(dim, y.dim())
    if x is not None and x.dim() == 1 and x.size(0) != y.size(dim):
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    return _panels(y, x, dx, dim)


@composite(into=("torch",), aliases=("trapz",))
def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of `y` along `dim` by the trapezoid rule, over points `x` or spacing `dx`."""
    if y.size(dim) == 0:
        return y.new_zeros([s for d, s in enumerate(y.shape) if d != wrap_dim(dim, y.dim())])
    return _trapezoids("trapezoid", y, x, dx, dim).sum(dim)


@composite(into=("torch",))
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The running integral of `y` along `dim` by the trapezoid rule."""
    return _trapezoids("cumulative_trapezoid", y, x, dx, dim).cumsum(dim)
