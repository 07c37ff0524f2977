"""Order statistics: median, kthvalue, mode, quantile, and counts in bins."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._autograd.tensor_base import view_of
from ..call.composites import last
from ..registry import Scalar, Tensor, composite, op, ops, wrap_dim
from ..shared import numeric as num
from ..shared.dims import pick, shared_gradient


def _check_orderable(name: str, x: Array) -> None:
    if num.is_complex(x) or num.is_bool(x):
        raise num.not_implemented_for(f"{name}_out", x)


def _rank_index(x: Array, rank: Any, axis: int) -> Array:
    """The index of the element of stable rank `rank` (NaN ranks last)."""
    order = jnp.argsort(jax.lax.stop_gradient(x), axis=axis, stable=True)
    rank = jnp.broadcast_to(
        jnp.asarray(rank, jnp.int64), (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    )
    return jnp.take_along_axis(order.astype(jnp.int64), rank, axis=axis, mode="clip")


def _median_index(x: Array, axis: int) -> Array:
    """The lower median; the first NaN if there is one."""
    index = _rank_index(x, (x.shape[axis] - 1) // 2, axis)
    if not num.is_float(x):
        return index
    missing = jnp.isnan(x)
    first = jnp.argmax(missing, axis=axis, keepdims=True).astype(jnp.int64)
    return jnp.where(jnp.any(missing, axis=axis, keepdims=True), first, index)


def _nanmedian_index(x: Array, axis: int) -> Array:
    """The lower median of what is not NaN (NaNs rank last)."""
    if not num.is_float(x):
        return _median_index(x, axis)
    present = jnp.sum(~jnp.isnan(x), axis=axis, keepdims=True, dtype=jnp.int64)
    present = jnp.where(present == 0, x.shape[axis], present)
    return _rank_index(x, (present - 1) // 2, axis)


def _along(name: str, x: Array, dim: int, keepdim: bool, index_of: Any) -> tuple[Array, Array]:
    _check_orderable(name, x)
    axis = wrap_dim(dim, x.ndim)
    if x.ndim == 0:
        return x, jnp.zeros((), jnp.int64)
    if x.shape[axis] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
    return pick(x, index_of(x, axis), axis, keepdim)


def _of_all(name: str, x: Array, index_of: Any) -> Array:
    _check_orderable(name, x)
    flat = x.reshape(-1)
    if flat.size == 0:
        if not num.is_float(x):
            return jnp.full((), num.finfo_min(x.dtype), x.dtype)
        return jnp.full((), jnp.nan, x.dtype)
    index = index_of(flat, 0)[0]
    return shared_gradient(lambda x: x[index], flat)


@op(
    "none", into=("internal",), name="median", returns="values indices", grad_name="MedianBackward1"
)
def _median_dim(input: Tensor, dim: int, keepdim: bool = False) -> Any:
    return _along("median", input, dim, keepdim, _median_index)


@op(
    "none",
    into=("internal",),
    name="nanmedian",
    returns="values indices",
    grad_name="NanmedianBackward1",
)
def _nanmedian_dim(input: Tensor, dim: int, keepdim: bool = False) -> Any:
    return _along("nanmedian", input, dim, keepdim, _nanmedian_index)


@op("none", into=("internal",), name="median_all", grad_name="MedianBackward0")
def _median_all(input: Tensor) -> Array:
    return _of_all("median", input, _median_index)


@op("none", into=("internal",), name="nanmedian_all", grad_name="NanmedianBackward0")
def _nanmedian_all(input: Tensor) -> Array:
    return _of_all("nanmedian", input, _nanmedian_index)


@composite(out=True)
def median(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The lower median of all elements, or (values, indices) along `dim`; NaN if one is there."""
    if dim is None:
        return last(_median_all, input)
    return last(_median_dim, input, dim, keepdim)


@composite(out=True)
def nanmedian(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """`median` of what is not NaN."""
    if dim is None:
        return last(_nanmedian_all, input)
    return last(_nanmedian_dim, input, dim, keepdim)


@op("none", returns="values indices")
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest element along `dim` and its index."""
    axis = wrap_dim(dim, input.ndim)
    size = input.shape[axis] if input.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    if input.ndim == 0:
        return input, jnp.zeros((), jnp.int64)
    return _along("kthvalue", input, dim, keepdim, lambda x, axis: _rank_index(x, k - 1, axis))


@op("none", returns="values indices")
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along `dim` (the smallest of them) and its last index."""
    x, axis = input, wrap_dim(dim, input.ndim)
    if num.is_complex(x):
        raise num.not_implemented_for("mode", x)
    if x.ndim == 0:
        return x, jnp.zeros((), jnp.int64)
    if x.shape[axis] == 0:
        raise IndexError(f"mode(): Expected reduction dim {axis} to have non-zero size.")
    rows = jnp.moveaxis(jax.lax.stop_gradient(x), axis, -1)
    order = jnp.argsort(rows, axis=-1, stable=True)
    ordered = jnp.take_along_axis(rows, order, axis=-1, mode="clip")
    position = jax.lax.broadcasted_iota(jnp.int64, rows.shape, rows.ndim - 1)
    new_run = jnp.concatenate(
        [jnp.ones((*rows.shape[:-1], 1), jnp.bool_), ordered[..., 1:] != ordered[..., :-1]], -1
    )
    start = jax.lax.cummax(
        jnp.where(new_run, position, jnp.zeros_like(position)), axis=rows.ndim - 1
    )
    end = jnp.argmax(position - start, axis=-1, keepdims=True)  # of the first longest run
    index = jnp.take_along_axis(order.astype(jnp.int64), end, axis=-1, mode="clip")
    return pick(x, jnp.moveaxis(index, -1, axis), axis, keepdim)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@op("none", into=("internal",), name="quantile")
def _quantile(
    input: Tensor, q: Tensor, dim: Any, keepdim: bool, mode: str, skip_nan: bool
) -> Array:
    """Quantiles `q` (a vector, or a scalar) along `dim`; the q dimension is the last."""
    x, axis = input, 0
    if dim is None or x.ndim == 0:
        flat_ndim, x = x.ndim, x.reshape(-1)
    else:
        flat_ndim, axis = None, wrap_dim(dim, x.ndim)
    rows = jnp.sort(jnp.moveaxis(x, axis, -1), axis=-1)
    missing = jnp.isnan(rows)
    if skip_nan:
        count = jnp.sum(~missing, axis=-1, keepdims=True)
        last = jnp.maximum(count - 1, 0)
    else:
        last = jnp.full((*rows.shape[:-1], 1), rows.shape[-1] - 1)
    rank = q.reshape(-1) * last.astype(x.dtype)  # (..., Q)
    if not skip_nan:  # one NaN makes the quantile NaN: NaNs sort to the end
        rank = jnp.where(missing[..., -1:], last.astype(x.dtype), rank)
    out = _interpolated(rows, rank, mode)
    if not keepdim:
        return out
    if flat_ndim is not None:
        return out.reshape((1,) * flat_ndim + out.shape[-1:])
    return jnp.expand_dims(out, axis)


def _interpolated(rows: Array, rank: Array, mode: str) -> Array:
    if mode == "lower":
        rank = jnp.floor(rank)
    elif mode == "higher":
        rank = jnp.ceil(rank)
    elif mode == "nearest":
        rank = jnp.round(rank)
    below = jnp.floor(rank)
    low = _at(rows, below)
    if mode in ("lower", "higher", "nearest"):
        return low
    weight = jnp.full_like(rank, 0.5) if mode == "midpoint" else rank - below
    high = _at(rows, jnp.ceil(rank))
    return jnp.where(weight < 0.5, low + weight * (high - low), high - (high - low) * (1 - weight))


def _at(rows: Array, rank: Array) -> Array:
    return jnp.take_along_axis(rows, rank.astype(jnp.int64), axis=-1, mode="clip")


def _quantiles_first(found: Any, several: bool) -> Any:
    """The last dim as the first, or dropped: one view, under the name of torch's last."""

    def rule(shape: Any, strides: Any, offset: int) -> Any:
        if several:
            return (shape[-1], *shape[:-1]), (strides[-1], *strides[:-1]), offset
        return shape[:-1], strides[:-1], offset

    return view_of(found, "SqueezeBackward4", rule)


def _quantile_form(name: str, skip_nan: bool, doc: str) -> Any:
    def form(
        input: Any,
        q: Any,
        dim: Any = None,
        keepdim: bool = False,
        *,
        interpolation: str = "linear",
    ) -> Tensor:
        if input.dtype.name not in ("float32", "float64"):
            raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
        if input.numel() == 0:
            raise RuntimeError(f"{name}() input tensor must be non-empty")
        if interpolation not in _INTERPOLATIONS:
            raise RuntimeError(
                f"{name}() interpolation must be one of linear, lower, higher, midpoint or "
                f"nearest, but got {interpolation}"
            )
        if isinstance(q, (int, float)):
            if not 0 <= q <= 1:
                raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
            q = ops.full((), q, dtype=input.dtype, device=input.device)
        if q.dim() > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        if q.dtype is not input.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        if interpolation != "linear":
            q = q.detach()  # it only chooses
        found = _quantile(input, q, dim, keepdim, interpolation, skip_nan)
        return _quantiles_first(found, bool(q.dim()))

    form.__doc__ = doc
    return form


composite(name="quantile", out="exact")(
    _quantile_form("quantile", False, "The `q`-th quantiles along `dim`; NaN if one is there.")
)
composite(name="nanquantile", out="exact")(
    _quantile_form("nanquantile", True, "The `q`-th quantiles along `dim` of what is not NaN.")
)


def bin_counts(x: Array, weight: Array | None, bins: int, low: Array, high: Array) -> Array:
    """Counts (or sums of `weight`) in `bins` equal bins over [low, high], both ends included."""
    inside = (x >= low) & (x <= high)
    position = jnp.floor((x - low) / (high - low) * bins)
    position = jnp.where(inside, jnp.clip(position, 0, bins - 1), jnp.zeros_like(position))
    amount = jnp.ones_like(x) if weight is None else weight
    amount = jnp.where(inside, amount, jnp.zeros_like(amount))
    return jnp.zeros(bins, amount.dtype).at[position.astype(jnp.int32)].add(amount)


def bin_range(x: Array, low: Any, high: Any, margin: float = 1) -> tuple[Array, Array]:
    """The range of a histogram: [low, high], the data's if they are equal, never empty."""
    low, high = num.as_dtype(low, x), num.as_dtype(high, x)
    if x.size:
        use_data = low == high
        low, high = (
            jnp.where(use_data, jnp.min(x), low),
            jnp.where(use_data, jnp.max(x), high),
        )
    empty = low == high
    return jnp.where(empty, low - margin, low), jnp.where(empty, high + margin, high)


@op("none", differentiable=False)
@num.widened
def histc(input: Tensor, bins: int = 100, min: Scalar = 0, max: Scalar = 0) -> Array:
    """Counts in `bins` equal bins from `min` to `max` (of the data if both are equal)."""
    if not num.is_float(input):
        raise num.not_implemented_for("histogram_cpu", input)
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    x = input.reshape(-1)
    return bin_counts(x, None, bins, *bin_range(x, min, max))
