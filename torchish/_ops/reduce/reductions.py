"""Reductions: sums, products, means, variances, extrema and truth."""

import builtins
import math
import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..call.composites import checked, last
from ..call.warning import user_level
from ..registry import Dtype, Tensor, composite, op, ops, wrap_dim, wrap_dims
from ..shared import numeric as num
from ..shared.dims import (
    accumulate_dtype,
    check_nonempty,
    first_extreme,
    keep_all,
    pick,
    shared_gradient,
)


def _name_by_dim(name: str) -> Any:
    """torch numbers the forms over all elements and over `dim` apart."""

    def grad_name(dim: Any, **others: Any) -> str:
        return f"{name}Backward{0 if dim is None else 1}"

    return grad_name


@op("bool_int64", grad_name=_name_by_dim("Sum"))
@num.widened
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Dtype = None) -> Array:
    """The sum over `dim`; integers are summed in int64."""
    x = accumulate_dtype(input, dtype)
    return jnp.sum(x, axis=wrap_dims(dim, x.ndim), keepdims=keepdim, dtype=x.dtype)


def _check_nansum(input: Any, dtype: Any, **_: Any) -> None:
    if input.dtype.is_complex or (dtype is not None and dtype.is_complex):
        raise RuntimeError("nansum on CPU does not support complex inputs")


@op("bool_int64", check=_check_nansum)
@num.widened
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Dtype = None) -> Array:
    """The sum over `dim` with NaN counted as 0."""
    x = accumulate_dtype(input, dtype)
    if num.is_float(x):
        x = jnp.where(jnp.isnan(x), jnp.zeros_like(x), x)
    return jnp.sum(x, axis=wrap_dims(dim, x.ndim), keepdims=keepdim, dtype=x.dtype)


def _mean_operand(name: str, x: Array, dtype: Any) -> Array:
    if dtype is not None:
        x = x.astype(dtype.np)
    if not num.is_inexact(x):
        from ..._basics.dtypes import SCALAR_NAMES, from_np

        wanted = "Input dtype must be" if dtype is None else "Optional dtype must be"
        raise RuntimeError(
            f"{name}(): could not infer output dtype. {wanted} either a floating point or complex "
            f"dtype. Got: {SCALAR_NAMES[from_np(x.dtype)]}"
        )
    return x


@op("none", grad_name=_name_by_dim("Mean"), out_dtype="cast")
@num.widened
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Dtype = None) -> Array:
    """The mean over `dim`."""
    x = _mean_operand("mean", input, dtype)
    return jnp.mean(x, axis=wrap_dims(dim, x.ndim), keepdims=keepdim)


@op("none", grad_name="DivBackward0", out_dtype="cast")
@num.widened
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Dtype = None) -> Array:
    """The mean over `dim` of what is not NaN."""
    x = _mean_operand("nanmean", input, dtype)
    if num.is_complex(x):
        raise RuntimeError("nansum on CPU does not support complex inputs")
    axis = wrap_dims(dim, x.ndim)
    missing = jnp.isnan(x)
    total = jnp.sum(jnp.where(missing, jnp.zeros_like(x), x), axis=axis, keepdims=keepdim)
    count = jnp.sum(~missing, axis=axis, keepdims=keepdim)
    return total / count.astype(x.dtype)


@op("bool_int64", grad_name=_name_by_dim("Prod"))
@num.widened
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Dtype = None
) -> Array:
    """The product of all elements, or over one `dim`; zeros have the right gradient."""
    x = accumulate_dtype(input, dtype)
    return jnp.prod(x, axis=wrap_dims(dim, x.ndim), keepdims=keepdim).astype(x.dtype)


def _extreme(name: str, x: Array, dim: Any, keepdim: bool, reduce: Any) -> Array:
    if num.is_complex(x):
        raise num.not_implemented_for(f"{name}_values_cpu", x)
    check_nonempty(name, x, None if dim == () else dim)
    axis = wrap_dims(dim, x.ndim)
    return reduce(x, axis=axis, keepdims=keepdim)


@op("none")
def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Array:
    """The maximum over `dim`; equal maxima share the gradient."""
    return _extreme("amax", input, dim, keepdim, jnp.max)


@op("none")
def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Array:
    """The minimum over `dim`; equal minima share the gradient."""
    return _extreme("amin", input, dim, keepdim, jnp.min)


@op("none", returns="min max")
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The minimum and the maximum."""
    if input.size == 0 and dim is None:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    low = _extreme("aminmax", input, dim, keepdim, jnp.min)
    return low, _extreme("aminmax", input, dim, keepdim, jnp.max)


def _arg(name: str, x: Array, dim: int | None, keepdim: bool, largest: bool) -> Array:
    if num.is_complex(x) or num.is_bool(x):
        raise num.not_implemented_for(f"{name}_cpu", x)
    check_nonempty(name, x, dim)
    if x.ndim == 0:
        wrap_dims(dim, 0)
        return jnp.zeros((), jnp.int64)
    if dim is None:
        return keep_all(first_extreme(x.reshape(-1), 0, largest)[0], x.ndim, keepdim)
    axis = wrap_dim(dim, x.ndim)
    index = first_extreme(x, axis, largest)
    return index if keepdim else index.squeeze(axis)


@op("none")
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Array:
    """The index of the (first) maximum, of the flattened tensor if `dim` is None."""
    return _arg("argmax", input, dim, keepdim, True)


@op("none")
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Array:
    """The index of the (first) minimum, of the flattened tensor if `dim` is None."""
    return _arg("argmin", input, dim, keepdim, False)


def _pick_extreme(
    name: str, x: Array, dim: int, keepdim: bool, largest: bool
) -> tuple[Array, Array]:
    if num.is_complex(x):
        raise num.not_implemented_for(f"{name}_cpu", x)
    check_nonempty(name, x, dim)
    axis = wrap_dim(dim, x.ndim)
    if x.ndim == 0:
        return x, jnp.zeros((), jnp.int64)
    return pick(x, first_extreme(x, axis, largest), axis, keepdim)


@op("none", into=("internal",), name="max", returns="values indices")
def _max_dim(input: Tensor, dim: int, keepdim: bool = False) -> Any:
    return _pick_extreme("max", input, dim, keepdim, True)


@op("none", into=("internal",), name="min", returns="values indices")
def _min_dim(input: Tensor, dim: int, keepdim: bool = False) -> Any:
    return _pick_extreme("min", input, dim, keepdim, False)


@op("none", into=("internal",), name="max_all", grad_name="MaxBackward1", out_dtype="cast")
def _max_all(input: Tensor) -> Array:
    return _extreme_of_all("max", input, jnp.max)


@op("none", into=("internal",), name="min_all", grad_name="MinBackward1", out_dtype="cast")
def _min_all(input: Tensor) -> Array:
    return _extreme_of_all("min", input, jnp.min)


def _extreme_of_all(name: str, x: Array, reduce: Any) -> Array:
    if num.is_complex(x):
        raise num.not_implemented_for(f"{name}_all", x)
    if x.size == 0:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    return shared_gradient(reduce, x)


@composite(out=True)
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None):
    """The maximum of all elements; (values, indices) along `dim`; or of two tensors elementwise."""
    return _extremum(input, dim, keepdim, other, (_max_all, _max_dim, "maximum"))


@composite(out=True)
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None):
    """The minimum of all elements; (values, indices) along `dim`; or of two tensors elementwise."""
    return _extremum(input, dim, keepdim, other, (_min_all, _min_dim, "minimum"))


def _extremum(input: Any, dim: Any, keepdim: bool, other: Any, forms: Any) -> Any:
    of_all, along_dim, binary = forms
    if hasattr(dim, "dtype"):
        dim, other = None, dim
    if other is not None:
        return last(getattr(ops, binary), input, other)
    if dim is None:
        return last(of_all, input)
    return last(along_dim, input, dim, keepdim)


def _truth(x: Array) -> Array:
    return x if num.is_bool(x) else x != 0


def _truth_dtype(x: Array) -> Any:
    return jnp.uint8 if x.dtype == jnp.uint8 else jnp.bool_  # torch keeps uint8 here


@op("none")
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Array:
    """Whether all elements are nonzero; `dim=()` reduces over none."""
    axis = () if dim == () else wrap_dims(dim, input.ndim)
    return jnp.all(_truth(input), axis=axis, keepdims=keepdim).astype(_truth_dtype(input))


@op("none")
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Array:
    """Whether some element is nonzero; `dim=()` reduces over none."""
    axis = () if dim == () else wrap_dims(dim, input.ndim)
    return jnp.any(_truth(input), axis=axis, keepdims=keepdim).astype(_truth_dtype(input))


@op("none", out=False)
def count_nonzero(input: Tensor, dim: Any = None) -> Array:
    """How many elements are nonzero."""
    return jnp.sum(_truth(input), axis=wrap_dims(dim, input.ndim), dtype=jnp.int64)


@op("float", elementwise=False)
@num.widened
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Array:
    """log(sum(exp(input))) over `dim`, stable."""
    axis = wrap_dims(dim, input.ndim)
    if num.is_complex(input):
        peak = jnp.max(input.real, axis=axis, keepdims=True)
    else:
        peak = jnp.max(input, axis=axis, keepdims=True, initial=-jnp.inf)
    peak = jax.lax.stop_gradient(jnp.where(jnp.isfinite(peak), peak, jnp.zeros_like(peak)))
    shifted = jnp.exp(input - peak.astype(input.dtype))
    out = jnp.log(jnp.sum(shifted, axis=axis, keepdims=True)) + peak.astype(input.dtype)
    return out if keepdim else out.squeeze(axis)


def _sqrt_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    return num.safe_divide(tangents[0], 2 * out)


# The square root whose gradient at 0 is 0: that of a standard deviation or norm.
safe_sqrt = num.with_derivative(jnp.sqrt, _sqrt_tangent)


def _variance(name: str, x: Array, dim: Any, correction: float, keepdim: bool) -> Array:
    if not num.is_inexact(x):
        raise RuntimeError(
            f"{name} only support floating point and complex dtypes"
            if "mean" in name
            else "std and var only support floating point and complex dtypes"
        )
    if num.is_complex(x):
        real, imag = (_variance(name, part, dim, correction, keepdim) for part in (x.real, x.imag))
        return real + imag
    axis = wrap_dims(dim, x.ndim)
    count = math.prod(x.shape[d] for d in axis)
    wide = x.astype(jnp.float64) if x.dtype == jnp.float32 else x  # as torch accumulates
    centred = wide - jnp.mean(wide, axis=axis, keepdims=True)
    total = jnp.sum(centred * centred, axis=axis, keepdims=keepdim)
    return (total / builtins.max(0.0, count - correction)).astype(x.dtype)


@op("none", into=("internal",), name="var", out_dtype="cast")
@num.widened
def _var(input: Tensor, dim: Any, correction: float, keepdim: bool) -> Array:
    return _variance("var", input, dim, correction, keepdim)


@op("none", into=("internal",), name="std", saves="output", out_dtype="cast")
@num.widened
def _std(input: Tensor, dim: Any, correction: float, keepdim: bool) -> Array:
    return safe_sqrt(_variance("std", input, dim, correction, keepdim))


@op("none", into=("internal",), name="var_mean")
@num.widened
def _var_mean(input: Tensor, dim: Any, correction: float, keepdim: bool) -> Any:
    variance = _variance("var_mean", input, dim, correction, keepdim)
    return variance, jnp.mean(input, axis=wrap_dims(dim, input.ndim), keepdims=keepdim)


@op("none", into=("internal",), name="std_mean")
@num.widened
def _std_mean(input: Tensor, dim: Any, correction: float, keepdim: bool) -> Any:
    variance = _variance("std_mean", input, dim, correction, keepdim)
    centre = jnp.mean(input, axis=wrap_dims(dim, input.ndim), keepdims=keepdim)
    return safe_sqrt(variance), centre


def _warn_of_no_freedom(name: str, input: Any, correction: float, made: Any) -> None:
    """Warn, as torch does, of a correction that leaves no degrees of freedom."""
    made = made[0] if isinstance(made, tuple) else made
    if input._aval.numel // builtins.max(made._aval.numel, 1) <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "reduction factor (input numel divided by output numel).",
            stacklevel=user_level(),
        )


def _spread_form(kernel: Any, doc: str) -> Any:
    """The call forms that var, std, var_mean and std_mean share, in front of `kernel`."""

    def spread(
        input: Any,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Tensor:
        if isinstance(dim, bool):  # var(input, unbiased)
            dim, unbiased = None, dim
        if correction is None:
            correction = 1 if unbiased is None or unbiased else 0
        call = last(kernel, input, dim, float(correction), keepdim)
        return checked(
            call, lambda made: _warn_of_no_freedom(kernel.__name__, input, correction, made)
        )

    spread.__doc__ = doc
    return spread


for _name, _kernel, _doc in (
    ("var", _var, "The variance over `dim`: squared distance to the mean / (n - correction)."),
    ("std", _std, "The standard deviation over `dim`; where it is 0 its gradient is 0."),
):
    composite(name=_name, out=True)(_spread_form(_kernel, _doc))
for _name, _kernel, _doc in (
    ("var_mean", _var_mean, "The variance and the mean over `dim`."),
    ("std_mean", _std_mean, "The standard deviation and the mean over `dim`."),
):
    composite(into=("torch",), name=_name, out=True)(_spread_form(_kernel, _doc))


@op("none")
def trace(input: Tensor) -> Array:
    """The sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    x = accumulate_dtype(input, None)
    size = builtins.min(x.shape)
    diagonal = jnp.where(jnp.eye(size, dtype=jnp.bool_), x[:size, :size], jnp.zeros((), x.dtype))
    return jnp.sum(diagonal, dtype=x.dtype)
