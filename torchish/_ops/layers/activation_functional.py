"""`nn.functional`'s fronts of the activations: `inplace=`, trailing-underscore forms, softmaxes."""

import warnings
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._basics.dtypes import SCALAR_NAMES
from ..._core.layout import elementwise_strides
from ..call.fronts import in_place, is_number, to
from ..call.warning import user_level
from ..registry import Dtype, Tensor, composite, op, ops, wrap_dim
from ..shared import numeric as num
from . import activation as act

_F = ("nn.functional",)


def _choose(function: Any, inplace: bool, input: Any, *args: Any) -> Any:
    """The functional or the in-place form."""
    return in_place(function, input, *args) if inplace else function(input, *args)


@composite(into=_F)
def relu(input: Any, inplace: bool = False) -> Tensor:
    """max(0, input)."""
    return _choose(act.relu, inplace, input)


@composite(into=_F)
def relu6(input: Any, inplace: bool = False) -> Tensor:
    """min(max(0, input), 6)."""
    return _choose(act.hardtanh_op, inplace, input, 0.0, 6.0)


@composite(into=_F)
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input, times `negative_slope` where it is negative."""
    return _choose(act.leaky_relu_op, inplace, input, negative_slope)


@composite(into=_F)
def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input, or alpha * (exp(input) - 1) where it is negative."""
    return _choose(act.elu_op, inplace, input, alpha)


@composite(into=_F)
def selu(input: Any, inplace: bool = False) -> Tensor:
    """The self-normalising elu."""
    return _choose(act.selu, inplace, input)


@composite(into=_F)
def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _choose(act.celu, inplace, input, alpha)


@composite(into=_F)
def silu(input: Any, inplace: bool = False) -> Tensor:
    """x * sigmoid(x)."""
    return _choose(act.silu_op, inplace, input)


@composite(into=_F)
def softshrink(input: Any, lambd: float = 0.5, *, out: Any = None) -> Tensor:
    """x moved towards 0 by lambd, 0 if it would cross.

    Raises: RuntimeError unless 0 <= lambd <= the largest number of the dtype of `input`.
    """
    dt = input.dtype
    if not dt.is_floating_point:
        raise NotImplementedError(f"\"softshrink_check\" not implemented for '{SCALAR_NAMES[dt]}'")
    limit = float(jnp.finfo(dt.np).max)
    if is_number(lambd) and not 0 <= lambd <= limit:
        raise RuntimeError(
            f"lambda must be in range [0, {limit:.6g}] for input dtype {SCALAR_NAMES[dt]}, "
            f"but found {lambd:.6g}"
        )
    return act.softshrink_op(input, lambd, **to(out))


@composite(into=_F)
def mish(input: Any, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x))."""
    return _choose(act.mish_op, inplace, input)


@composite(into=_F)
def hardtanh(
    input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """input limited to [min_val, max_val].

    Raises: ValueError if min_val > max_val.
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _choose(act.hardtanh_op, inplace, input, min_val, max_val)


@composite(into=_F)
def hardswish(input: Any, inplace: bool = False) -> Tensor:
    """x * relu6(x + 3) / 6."""
    return _choose(act.hardswish_op, inplace, input)


@composite(into=_F)
def hardsigmoid(input: Any, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6."""
    return _choose(act.hardsigmoid_op, inplace, input)


@composite(into=_F)
def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """input where it is above `threshold`, else `value`."""
    return _choose(act.threshold_op, inplace, input, threshold, value)


def _underscore(name: str, function: Any, *defaults: Any) -> Callable[..., Any]:
    """The form `nn.functional.NAME_`, which writes into its input."""

    def form(input: Any, *args: Any, **kwargs: Any) -> Any:
        return in_place(function, input, *(args if args or kwargs else defaults), **kwargs)

    form.__name__ = form.__qualname__ = f"{name}_"
    form.__doc__ = f"In-place `{name}`."
    return form


for _name, _function in (
    ("relu", act.relu), ("leaky_relu", act.leaky_relu_op), ("elu", act.elu_op),
    ("selu", act.selu), ("celu", act.celu), ("hardtanh", act.hardtanh_op),
    ("threshold", act.threshold_op),
):  # fmt: skip
    composite(into=_F, name=f"{_name}_")(_underscore(_name, _function))


@composite(into=_F)
def softsign(input: Any) -> Tensor:
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


@composite(into=_F)
def tanhshrink(input: Any) -> Tensor:
    """x - tanh(x)."""
    return input - input.tanh()


@composite(into=_F)
def sigmoid(input: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    return input.sigmoid()


@composite(into=_F)
def tanh(input: Any) -> Tensor:
    """The hyperbolic tangent."""
    return input.tanh()


@composite(into=_F)
def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0."""
    return ops.hardshrink(input, lambd)


@composite(into=_F)
def prelu(input: Any, weight: Any) -> Tensor:
    """x where it is positive, else weight * x."""
    return ops.prelu(input, weight)


def _halved(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """The layout of an elementwise operator of two halves of the input."""
    x = operands[0]
    if x._is_plain:
        return None
    half = tuple(avals[0].shape)
    return [elementwise_strides(half, [(half, tuple(x._strides))] * 2)]


@op("none", into=("internal",), name="glu", layout=_halved)
def _glu(input: Tensor, dim: int) -> Array:
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    axis = wrap_dim(dim, input.ndim)
    if input.shape[axis] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {axis} is size {input.shape[axis]}"
        )
    left, right = jnp.split(num.widen(input), 2, axis=axis)
    return (left / (1 + jnp.exp(-right))).astype(input.dtype)


@composite(into=_F)
def glu(input: Any, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second."""
    return _glu(input, dim)


def _softmax_operand(kernel: str, x: Array, dtype: Any) -> tuple[Array, Any]:
    """The operand in the dtype to compute in, and the dtype of the result."""
    if dtype is not None:
        x = x.astype(dtype.np)
    if x.size and not num.is_float(x):
        raise num.not_implemented_for(kernel, x)
    return num.widen(x), x.dtype


@op("none", into=("internal",), name="softmax", saves="output")
def _softmax(input: Tensor, dim: int, dtype: Dtype = None) -> Array:
    x, result = _softmax_operand("softmax_lastdim_kernel_impl", input, dtype)
    axis = wrap_dim(dim, x.ndim)
    return _softmax_value(x, axis).astype(result)


def _softmax_value(x: Array, axis: int) -> Array:
    if x.size == 0 or x.ndim == 0:
        return jnp.exp(x - x) if x.ndim == 0 else x
    shifted = x - jnp.max(x, axis=axis, keepdims=True)
    powers = jnp.exp(shifted)
    return powers / jnp.sum(powers, axis=axis, keepdims=True)


@op("none", into=("internal",), name="log_softmax", saves="output")
def _log_softmax(input: Tensor, dim: int, dtype: Dtype = None) -> Array:
    x, result = _softmax_operand("log_softmax_lastdim_kernel_impl", input, dtype)
    axis = wrap_dim(dim, x.ndim)
    if x.size == 0 or x.ndim == 0:
        return (x - x).astype(result)
    shifted = x - jnp.max(x, axis=axis, keepdims=True)
    total = jnp.log(jnp.sum(jnp.exp(shifted), axis=axis, keepdims=True))
    return (shifted - total).astype(result)


@composite()
def softmax(input: Any, dim: int, dtype: Any = None, *, out: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`, computed in `dtype` if given."""
    return _softmax(input, dim, dtype) if out is None else _softmax(input, dim, dtype, out=out)


@composite()
def log_softmax(input: Any, dim: int, dtype: Any = None, *, out: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, stable."""
    if out is None:
        return _log_softmax(input, dim, dtype)
    return _log_softmax(input, dim, dtype, out=out)


def _implicit_dim(name: str, input: Any, stacklevel: int) -> int:
    """The dimension that torch's deprecated form without `dim` means."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=user_level(),
    )
    return 0 if input.dim() in (0, 1, 3) else 1


@composite(into=_F, name="softmax")
def _f_softmax(input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmax", input, _stacklevel)
    return _softmax(input, dim, dtype)


@composite(into=_F, name="softmin")
def _f_softmin(input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-x) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmin", input, _stacklevel)
    return _softmax(-input, dim, dtype)


@composite(into=_F, name="log_softmax")
def _f_log_softmax(input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input, _stacklevel)
    return _log_softmax(input, dim, dtype)
