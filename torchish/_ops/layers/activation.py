"""Activation functions: one operator each; the fronts of `nn.functional` add `inplace=`."""

import math

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..pointwise.unary import modulus
from ..registry import Scalar, Tensor, op
from ..shared import numeric as num
from ..shared.memory_format import preserve


def _floating(kernel: str, x: Array) -> None:
    if not num.is_inexact(x):
        raise num.not_implemented_for(kernel, x)


@op("none", inplace=True, saves="output", elementwise=True)
def relu(input: Tensor) -> Array:
    """max(0, input); NaN stays NaN, the gradient at 0 is 0."""
    if num.is_bool(input):
        raise RuntimeError("Boolean inputs not supported for relu")
    if num.is_complex(input):
        raise num.not_implemented_for("clamp_min_scalar_cpu", input)
    return jnp.where(input <= 0, jnp.zeros_like(input), input)


@op("float", inplace=True, saves="output")
def sigmoid(input: Tensor) -> Array:
    """1 / (1 + exp(-input))."""
    return 1 / (1 + jnp.exp(-input)) if num.is_complex(input) else jax.nn.sigmoid(input)


@op("none", into=("internal",), name="leaky_relu", elementwise=True, inplace=True,
    inplace_grad_name="LeakyReluBackward1")  # fmt: skip
@num.widened
def leaky_relu_op(input: Tensor, negative_slope: Scalar = 0.01) -> Array:
    """input where it is positive, else negative_slope * input."""
    _floating("leaky_relu_cpu", input)
    return jnp.where(input > 0, input, input * num.as_dtype(negative_slope, input))


@op("none", into=("internal",), name="elu", elementwise=True, inplace_grad_name="EluBackward1")
@num.widened
def elu_op(
    input: Tensor, alpha: Scalar = 1.0, scale: Scalar = 1.0, input_scale: Scalar = 1.0
) -> Array:
    """scale * (input, or alpha * (exp(input_scale * input) - 1) where it is negative)."""
    _floating("elu_cpu", input)
    alpha, scale = num.as_dtype(alpha, input), num.as_dtype(scale, input)
    below = jnp.where(input > 0, jnp.zeros_like(input), input)
    negative = alpha * jnp.expm1(below * num.as_dtype(input_scale, input))
    return scale * jnp.where(input > 0, input, negative)


_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@op("none", inplace=True, into=("torch", "internal"), grad_name="EluBackward0", elementwise=True,
    inplace_grad_name="EluBackward1")  # fmt: skip
@num.widened
def selu(input: Tensor) -> Array:
    """The self-normalising elu.

    Source: Klambauer et al., 2017.
    """
    return elu_op.operator.body(input, _SELU_ALPHA, _SELU_SCALE)


@op("none", inplace=True, into=("torch", "internal"), elementwise=True,
    inplace_grad_name="CeluBackward1")  # fmt: skip
@num.widened
def celu(input: Tensor, alpha: Scalar = 1.0) -> Array:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).

    Source: Barron, 2017.
    """
    _floating("elu_cpu", input)
    alpha = num.as_dtype(alpha, input)
    below = jnp.where(input > 0, jnp.zeros_like(input), input)
    return jnp.where(input > 0, input, alpha * jnp.expm1(below / alpha))


@op("none", into=("nn.functional",), out=True, elementwise=True)
@num.widened
def gelu(input: Tensor, *, approximate: str = "none") -> Array:
    """x * Phi(x), exactly or by the tanh formula.

    Source: Hendrycks, Gimpel, "Gaussian error linear units".
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    _floating("GeluKernelImpl", input)
    if approximate == "none":
        return input * (0.5 * (1 + jax.lax.erf(input * math.sqrt(0.5))))
    inner = math.sqrt(2 / math.pi) * (input + 0.044715 * input * input * input)
    return 0.5 * input * (1 + jnp.tanh(inner))


@op("none", into=("internal",), name="silu", elementwise=True)
@num.widened
def silu_op(input: Tensor) -> Array:
    """x * sigmoid(x)."""
    _floating("silu_cpu", input)
    if num.is_complex(input):
        return input / (1 + jnp.exp(-input))
    return input * jax.nn.sigmoid(input)


@op("none", into=("internal",), name="mish", elementwise=True)
@num.widened
def mish_op(input: Tensor) -> Array:
    """x * tanh(softplus(x))."""
    _floating("mish_cpu", input)
    return input * jnp.tanh(jax.nn.softplus(input))


@op("none", into=("nn.functional",), out=True, elementwise=True)
@num.widened
def softplus(input: Tensor, beta: Scalar = 1.0, threshold: Scalar = 20.0) -> Array:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold.

    Source: Dugas et al., 2000.
    """
    _floating("softplus_cpu", input)
    beta = num.as_dtype(beta, input)
    large = input * beta > num.as_dtype(threshold, input)
    safe = jnp.where(large, jnp.zeros_like(input), input * beta)
    return jnp.where(large, input, jnp.log1p(jnp.exp(safe)) / beta)


@op("none", into=("internal",), name="softshrink", out=True, elementwise=True)
def softshrink_op(input: Tensor, lambd: Scalar = 0.5) -> Array:
    """x moved towards 0 by lambd, 0 if it would cross."""
    limit = num.as_dtype(lambd, input)
    # x * 0 keeps NaN and the sign of 0; its gradient 0 is torch's.
    inner = jax.lax.stop_gradient(input * 0)
    shrunk = jnp.where(input < -limit, input + limit, inner)
    return jnp.where(input > limit, input - limit, shrunk)


@op("none", elementwise=True)
def hardshrink(input: Tensor, lambd: Scalar = 0.5) -> Array:
    """x where |x| > lambd, else 0."""
    _floating("hardshrink_cpu", input)
    limit = num.as_dtype(lambd, input)
    return jnp.where((input >= -limit) & (input <= limit), jnp.zeros_like(input), input)


@op("none", into=("internal",), name="hardtanh", elementwise=True)
def hardtanh_op(input: Tensor, min_val: Scalar = -1.0, max_val: Scalar = 1.0) -> Array:
    """x limited to [min_val, max_val]; the gradient on the limits is 0."""
    if num.is_bool(input):
        raise RuntimeError("Bool inputs not supported for hardtanh")
    low, high = num.as_dtype(min_val, input), num.as_dtype(max_val, input)
    return jnp.where(input <= low, low, jnp.where(input >= high, high, input))


@op("none", into=("internal",), name="hardswish", elementwise=True)
@num.widened
def hardswish_op(input: Tensor) -> Array:
    """x * relu6(x + 3) / 6."""
    _floating("hardswish_cpu", input)
    middle = input * (input + 3) / 6
    return jnp.where(input <= -3, jnp.zeros_like(input), jnp.where(input < 3, middle, input))


@op("none", into=("internal",), name="hardsigmoid", elementwise=True)
@num.widened
def hardsigmoid_op(input: Tensor) -> Array:
    """relu6(x + 3) / 6."""
    _floating("hardsigmoid_cpu", input)
    zero, one = jnp.zeros_like(input), jnp.ones_like(input)
    return jnp.where(input <= -3, zero, jnp.where(input >= 3, one, (input + 3) / 6))


@op(
    "none", into=("torch", "internal"), name="threshold", inplace=("torch",), elementwise=True,
    expanded="write", inplace_grad_name="ThresholdBackward1",
)  # fmt: skip
def threshold_op(input: Tensor, threshold: Scalar, value: Scalar) -> Array:
    """x where it is above `threshold`, else `value`."""
    limit, value = num.as_dtype(threshold, input), num.as_dtype(value, input)
    return jnp.where(input <= limit, value, input)


@op("none", into=("nn.functional",), out=True, grad_name="LogSigmoidBackward0")
@num.widened
def logsigmoid(input: Tensor) -> Array:
    """log(sigmoid(x)), stable."""
    _floating("log_sigmoid_cpu", input)
    return jnp.minimum(input, jnp.zeros_like(input)) - jnp.log1p(jnp.exp(-modulus(input)))


@op("none", elementwise=False, grad_name="PreluKernelBackward0", layout=preserve)
def prelu(input: Tensor, weight: Tensor) -> Array:
    """x where it is positive, else weight * x, with one weight or one a channel (dim 1).

    Source: He et al., 2015.
    """
    if input.dtype != weight.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {_cpp(input)} and {_cpp(weight)}"
        )
    if weight.size != 1:
        if weight.ndim != 1:
            raise RuntimeError(
                "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = "
                f"{weight.ndim}"
            )
        if input.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if channels != weight.size:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.size} and channel size = {channels}."
            )
    slope = (
        weight.reshape((-1,) + (1,) * max(input.ndim - 2, 0))
        if input.ndim > 1
        else (weight.reshape(()))
    )
    return jnp.where(input > 0, input, slope * input)


def _cpp(x: Array) -> str:
    from ..._basics.dtypes import CPP_NAMES, from_np

    return CPP_NAMES[from_np(x.dtype)]
