"""`nn.functional`'s fronts of the activations, and the softmaxes."""

import warnings
from typing import Any

import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._basics.dtypes import SCALAR_NAMES
from ..._basics.strides import elementwise_strides
from ..call.composites import last
from ..call.fronts import is_number
from ..call.warning import user_level
from ..registry import Dtype, Tensor, composite, op, ops, wrap_dim
from ..shared import numeric as num
from ..shared.memory_format import follows
from . import activation as act

_F = ("nn.functional",)


@composite(into=_F, flag=True, inplace=_F)
def relu(input: Any) -> Tensor:
    """max(0, input)."""
    return last(act.relu, input)


@composite(into=_F, flag=True)
def relu6(input: Any) -> Tensor:
    """min(max(0, input), 6).

    Source: Krizhevsky, 2010.
    """
    return last(act.hardtanh_op, input, 0.0, 6.0)


@composite(into=_F, flag=True, inplace=_F)
def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """input, times `negative_slope` where it is negative.

    Source: Maas et al., 2013.
    """
    return last(act.leaky_relu_op, input, negative_slope)


@composite(into=_F, flag=True, inplace=_F)
def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """input, or alpha * (exp(input) - 1) where it is negative.

    Source: Clevert et al., 2015.
    """
    return last(act.elu_op, input, alpha)


@composite(into=_F, flag=True, inplace=_F)
def selu(input: Any) -> Tensor:
    """The self-normalising elu.

    Source: Klambauer et al., 2017.
    """
    return last(act.selu, input)


@composite(into=_F, flag=True, inplace=_F)
def celu(input: Any, alpha: float = 1.0) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).

    Source: Barron, 2017.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return last(act.celu, input, alpha)


@composite(into=_F, flag=True)
def silu(input: Any) -> Tensor:
    """x * sigmoid(x).

    Source: Elfwing et al., 2017.
    """
    return last(act.silu_op, input)


@composite(into=_F, out=True)
def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
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
    return last(act.softshrink_op, input, lambd)


@composite(into=_F, flag=True)
def mish(input: Any) -> Tensor:
    """x * tanh(softplus(x)).

    Source: Misra, 2019.
    """
    return last(act.mish_op, input)


@composite(into=_F, flag=True, inplace=_F)
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """input limited to [min_val, max_val].

    Raises: ValueError if min_val > max_val.
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return last(act.hardtanh_op, input, min_val, max_val)


@composite(into=_F, flag=True)
def hardswish(input: Any) -> Tensor:
    """x * relu6(x + 3) / 6.

    Source: Howard et al., 2019.
    """
    return last(act.hardswish_op, input)


@composite(into=_F, flag=True)
def hardsigmoid(input: Any) -> Tensor:
    """relu6(x + 3) / 6.

    Source: Courbariaux et al., 2015.
    """
    return last(act.hardsigmoid_op, input)


@composite(into=_F, flag=True, inplace=_F)
def threshold(input: Any, threshold: float, value: float) -> Tensor:
    """input where it is above `threshold`, else `value`."""
    return last(act.threshold_op, input, threshold, value)


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


@follows
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
    """The first half along `dim` times the sigmoid of the second.

    Source: Dauphin et al., 2016.
    """
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


@composite(out=True)
def softmax(input: Any, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`, computed in `dtype` if given."""
    return last(_softmax, input, dim, dtype)


@composite(out=True)
def log_softmax(input: Any, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, stable."""
    return last(_log_softmax, input, dim, dtype)


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
