"""Which dimensions a reduction runs over, and picking one element along a dimension."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..registry import wrap_dims
from . import numeric as num


def check_nonempty(name: str, x: Array, dim: Any) -> None:
    """Refuse a reduction without identity over a dimension of size 0."""
    if dim is None and x.size == 0 and name in ("argmax", "argmin"):
        raise IndexError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
        )
    if dim is None and x.size == 0:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    if dim is None or x.size:
        return
    for d in wrap_dims(dim, x.ndim):
        if x.shape[d] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")


def keep_all(out: Array, ndim: int, keepdim: bool) -> Array:
    """The scalar `out` as a tensor of `ndim` dimensions of size 1 if `keepdim`."""
    return out.reshape((1,) * ndim) if keepdim else out


def take_at(x: Array, index: Array, axis: int) -> Array:
    """`x` at `index` (which has size 1 along `axis`); the gradient goes to that element alone.

    The tangent is a masked sum, which XLA fuses; the scatter that a gather's gradient would be is
    slow on the CPU.
    """
    return _taker(axis)(x, index)


@functools.lru_cache(maxsize=64)
def _taker(axis: int) -> Any:
    # What a rule closes over must not be traced: the index is an argument.
    @jax.custom_jvp
    def take(x: Array, index: Array) -> Array:
        return jnp.take_along_axis(x, index, axis=axis, mode="clip")

    @take.defjvp
    def _jvp(primals: Any, tangents: Any) -> Any:
        x, index = primals
        chosen = jax.lax.broadcasted_iota(index.dtype, x.shape, axis) == index
        dx = tangents[0]
        tangent = jnp.sum(jnp.where(chosen, dx, jnp.zeros_like(dx)), axis=axis, keepdims=True)
        return take(x, index), tangent

    return take


def first_extreme(x: Array, axis: int, largest: bool) -> Array:
    """The index of the first maximum (minimum, or NaN) along `axis`, which keeps size 1.

    Two plain reductions: XLA runs them several times faster than its argmax on the CPU.
    """
    best = (jnp.max if largest else jnp.min)(x, axis=axis, keepdims=True)
    place = jax.lax.broadcasted_iota(jnp.int32, x.shape, axis)
    beyond = jnp.int32(x.shape[axis])
    candidate = jnp.where((x == best) | (x != x), place, beyond)
    return jnp.min(candidate, axis=axis, keepdims=True).astype(jnp.int64)


def pick(x: Array, index: Array, axis: int, keepdim: bool) -> tuple[Array, Array]:
    """(values, indices) of a reduction that selects `index` (with size 1 along `axis`)."""
    values = take_at(x, index, axis)
    if not keepdim:
        values, index = values.squeeze(axis), index.squeeze(axis)
    return values, index


def shared_gradient(choose: Any, x: Array) -> Array:
    """The element `choose(x)` of all; elements equal to it (or NaN like it) share its gradient."""
    if not num.is_float(x):
        return choose(x)
    return _sharing(x, jax.lax.stop_gradient(choose(x)))


@jax.custom_jvp
def _sharing(x: Array, out: Array) -> Array:
    return out


@_sharing.defjvp
def _sharing_jvp(primals: Any, tangents: Any) -> Any:
    (x, out), (dx, _) = primals, tangents
    same = (x == out) | (jnp.isnan(x) & jnp.isnan(out))
    share = jnp.where(same, dx, jnp.zeros_like(dx))
    return _sharing(x, out), jnp.sum(share) / jnp.sum(same).astype(x.dtype)


def accumulate_dtype(x: Array, dtype: Any) -> Array:
    """`x` as sum, prod and the like read it: in `dtype`, else integers and bools as int64."""
    if dtype is not None:
        return x.astype(dtype.np)
    return x if num.is_inexact(x) else x.astype(jnp.int64)
