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


def _sides(y: Any, dim: int) -> tuple[Any, Any]:
    """What stands left and right of each pair of neighbours along `dim`."""
    count = max(y.size(dim) - 1, 0)
    return y.narrow(dim, 0, count), y.narrow(dim, min(1, y.size(dim)), count)


def _widths(name: str, y: Any, x: Any, dim: int) -> Any:
    """The distances of neighbouring points, broadcast to the samples."""
    if "bool" in (y.dtype.name, x.dtype.name):
        raise RuntimeError(
            f"{name}: received a bool input for `x` or `y`, but bool is not supported"
        )
    if x.dim() == 1:
        if x.size(0) != y.size(dim):
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        x = x.view([x.size(0) if d == dim else 1 for d in range(y.dim())])
    elif x.dim() < y.dim():
        x = x.reshape((1,) * (y.dim() - x.dim()) + tuple(x.shape))
    left, right = _sides(x, dim)
    return right - left


def _spacing(name: str, y: Any, dx: Any) -> float:
    if y.dtype.name == "bool":
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported")
    if isinstance(dx, bool | complex):
        raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")
    return float(dx)


@composite(into=("torch",), aliases=("trapz",))
def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of `y` along `dim` by the trapezoid rule, over points `x` or spacing `dx`."""
    count, d = y.size(dim), wrap_dim(dim, y.dim())
    if count == 0:
        return y.new_zeros([s for e, s in enumerate(y.shape) if e != d])
    if x is not None:
        widths = _widths("trapezoid", y, x, d)
        left, right = _sides(y, d)
        return ((left + right) * widths).sum(d) / 2.0
    step = _spacing("trapezoid", y, dx)
    return (y.sum(d) - (y.select(d, 0) + y.select(d, -1)) * 0.5) * step


@composite(into=("torch",))
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The running integral of `y` along `dim` by the trapezoid rule."""
    d = wrap_dim(dim, y.dim())
    left, right = _sides(y, d)
    if x is not None:
        widths = _widths("cumulative_trapezoid", y, x, d)
        return ((left + right) * widths).cumsum(d) / 2.0
    step = _spacing("cumulative_trapezoid", y, dx)
    return (step / 2.0 * (left + right)).cumsum(d)
