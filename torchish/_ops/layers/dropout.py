"""Dropout and the other activations that draw: alpha dropout, rrelu, gumbel_softmax.

Source: Hinton et al., arXiv:1207.0580; Klambauer et al., arXiv:1706.02515 (alpha dropout);
    Jang et al., arXiv:1611.01144 (Gumbel-softmax); Xu et al., arXiv:1505.00853 (rrelu).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._autograd.interop import host_array
from ..._autograd.tensor_base import TensorBase, from_value
from ..._basics import dtypes
from ..._basics.devices import META
from ..._basics.dtypes import SCALAR_NAMES
from ..._basics.strides import preserved_strides
from ..._core.values import aval_of
from ..._random.drawing import (
    Distribution,
    as_float,
    draw,
    not_implemented,
    on_host,
)
from ..._random.generator import Generator, thread_generator
from ..call.composites import last
from ..call.warning import user_level
from ..random.fills import BERNOULLI
from ..registry import Scalar, Tensor, composite, internal, op, ops

_SELU_SHIFT = 1.7580993408473766  # selu's scale * alpha


# -- masks -----------------------------------------------------------------------------------------


@op("none", into=("internal",), out=False, elementwise=True, grad_name="MulBackward0")
def dropout_scale(input: Tensor, mask: Tensor, scale: Scalar):
    """input * (mask * scale), the mask being 0 or 1."""
    return input * (mask.astype(input.dtype) * scale)


@op("none", into=("internal",), out=False, elementwise=True, grad_name="AddBackward0")
def dropout_shift(input: Tensor, mask: Tensor, a: Scalar, slope: Scalar, offset: Scalar):
    """input * (mask * a) + ((mask - 1) * slope + offset)."""
    kept = mask.astype(input.dtype)
    return input * (kept * a) + ((kept - 1) * slope + offset)


def _mask(input: Any, p: float, feature: bool) -> Any:
    """Where to keep: drawn with probability 1 - p, one value a channel for feature dropout."""
    dt = input._aval.dtype
    if dt.is_complex:
        raise not_implemented("bernoulli_scalar_cpu_", dt)
    if not dt.is_floating_point:
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {SCALAR_NAMES[dt]}"
        )
    shape, strides = tuple(input._aval.shape), None
    if feature:
        shape = shape[:2] + (1,) * (len(shape) - 2)
    elif not input._is_plain:
        strides = preserved_strides(shape, tuple(input._strides))
    dev = input._storage.device
    value = draw(BERNOULLI, (1.0 - p,), shape, dtypes.bool_, dev, None, strides)
    return from_value(value, strides)


def _noise_scale(p: float, dt: Any) -> float:
    """1 / (1 - p), divided and rounded as torch does it in the tensor's dtype."""
    if dt is dtypes.float64:
        return 1.0 / (1.0 - p)
    return float(np.asarray(np.float32(1.0) / np.float32(1.0 - p)).astype(dt.np))


def _drop(input: Any, p: Any, train: bool, feature: bool, alpha: bool) -> Any:
    """The four kinds of dropout after their arguments were checked: `input` or a last call."""
    p = as_float(p, "dropout", "p", 2)
    if p < 0 or p > 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    if p == 0 or not train or input._aval.numel == 0:
        return input
    if p == 1:
        zero = ops.zeros((), dtype=input._aval.dtype, device=input._storage.device)
        return last(ops.mul, input, zero)
    if feature and input._aval.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    mask = _mask(input, p, feature)
    if alpha:
        return last(internal.dropout_shift, input, mask, *_alpha_numbers(p))
    return last(internal.dropout_scale, input, mask, _noise_scale(p, input._aval.dtype))


def _alpha_numbers(p: float) -> tuple[float, float, float]:
    a = 1.0 / math.sqrt((_SELU_SHIFT * _SELU_SHIFT * p + 1) * (1 - p))
    return a, _SELU_SHIFT * a, _SELU_SHIFT * a * p


def _checked(p: Any) -> Any:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


@composite(into=("nn.functional",), flag=True)
def dropout(input: Any, p: Any = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability `p` and scale the others by 1 / (1 - p).

    Raises: ValueError unless 0 <= p <= 1.
    """
    return _drop(input, _checked(p), training, False, False)


@composite(into=("nn.functional",), flag=True)
def alpha_dropout(input: Any, p: Any = 0.5, training: bool = False) -> Tensor:
    """Dropout that keeps mean and variance of SELU activations.

    Raises: ValueError unless 0 <= p <= 1.
    """
    return _drop(input, _checked(p), training, False, True)


@composite(into=("nn.functional",), flag=True)
def feature_alpha_dropout(input: Any, p: Any = 0.5, training: bool = False) -> Tensor:
    """Alpha dropout of whole channels.

    Raises: ValueError unless 0 <= p <= 1.
    """
    return _drop(input, _checked(p), training, True, True)


def _batched(input: Any, p: Any, training: bool, dims: int) -> Any:
    """Feature dropout; an input of `dims` dims has no batch dim."""
    if input._aval.ndim != dims:
        return _drop(input, p, training, True, False)
    made = _drop(input.unsqueeze(0), p, training, True, False)
    return (made() if isinstance(made, last) else made).squeeze(0)


@composite(into=("nn.functional",), flag=True)
def dropout1d(input: Any, p: Any = 0.5, training: bool = True) -> Tensor:
    """Zero whole channels of a (N, C, L) or (C, L) input.

    Raises: ValueError unless 0 <= p <= 1, RuntimeError for another number of dims.
    """
    _checked(p)
    ndim = input._aval.ndim
    if ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {ndim}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _batched(input, p, training, 2)


def _warn_dims(name: str, ndim: int, spatial: int) -> None:
    warnings.warn(
        f"{name}: Received a {ndim}-D input to {name}, which is deprecated and will result in an "
        "error in a future release. To retain the behavior and silence this warning, please use "
        f"dropout instead. Note that {name} exists to provide channel-wise dropout on inputs with "
        f"{spatial} spatial dimensions, a channel dimension, and an optional batch dimension (i.e. "
        f"{spatial + 1}D or {spatial + 2}D inputs).",
        stacklevel=user_level(),
    )


@composite(into=("nn.functional",), flag=True)
def dropout2d(input: Any, p: Any = 0.5, training: bool = True) -> Tensor:
    """Zero whole channels of a (N, C, H, W) input; a 3-D input counts as (N, C, L).

    Raises: ValueError unless 0 <= p <= 1.
    """
    _checked(p)
    ndim = input._aval.ndim
    if ndim not in (3, 4):
        _warn_dims("dropout2d", ndim, 2)
    if ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. This behavior will change in a future release to interpret the input as one "
            "without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
            "dropout behavior, please switch to using dropout1d instead.",
            stacklevel=user_level(),
        )
    return _drop(input, p, training, True, False)


@composite(into=("nn.functional",), flag=True)
def dropout3d(input: Any, p: Any = 0.5, training: bool = True) -> Tensor:
    """Zero whole channels of a (N, C, D, H, W) or (C, D, H, W) input.

    Raises: ValueError unless 0 <= p <= 1.
    """
    _checked(p)
    ndim = input._aval.ndim
    if ndim not in (4, 5):
        _warn_dims("dropout3d", ndim, 3)
    if ndim == 5:
        return _drop(input, p, training, True, False)
    return _batched(input, p, training, ndim)


def _torch_forms(name: str, feature: bool, alpha: bool) -> None:
    """`torch.dropout(input, p, train)` and `torch.dropout_`."""

    def function(input: Any, p: Any, train: bool) -> Any:
        return _drop(input, p, train, feature, alpha)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "`nn.functional` has this with defaults; here p and train are required."
    composite(into=("torch",), inplace=("torch",))(function)


for _name, _feature, _alpha in (
    ("dropout", False, False),
    ("feature_dropout", True, False),
    ("alpha_dropout", False, True),
    ("feature_alpha_dropout", True, True),
):
    _torch_forms(_name, _feature, _alpha)


@op("none", into=("internal",), out=False, elementwise=True, grad_name="NativeDropoutBackward0")
def native_dropout_scale(input: Tensor, mask: Tensor, scale: Scalar):
    """`dropout_scale` under the name that torch gives it here."""
    return input * (mask.astype(input.dtype) * scale)


@composite(into=("torch",))
def native_dropout(input: Any, p: Any, train: Any) -> Any:
    """Dropout and its mask of booleans."""
    p = as_float(p, "native_dropout", "p")
    if p == 0 or train is False:
        return input, ops.ones_like(input, dtype=dtypes.bool_)
    if p == 1:
        return ops.zeros_like(input), ops.zeros_like(input, dtype=dtypes.bool_)
    mask = _mask(input, p, False)
    return internal.native_dropout_scale(input, mask, _noise_scale(p, input._aval.dtype)), mask


# -- randomised leaky relu -------------------------------------------------------------------------


@op("none", into=("internal",), out=False, grad_name="RreluWithNoiseBackward0",
    inplace_grad_name="RreluWithNoiseBackward1")  # fmt: skip
def rrelu_apply(input: Tensor, slopes: Tensor):
    """input * slope of each element (1 where the input is positive)."""
    return input * slopes


@op("none", into=("internal",), out=False, grad_name="RreluWithNoiseBackward0",
    inplace_grad_name="RreluWithNoiseBackward1")  # fmt: skip
def rrelu_mean(input: Tensor, slope: Scalar):
    """The leaky relu that evaluation uses."""
    return jnp.where(input <= 0, input * slope, input)


def _host_slopes(gen: Generator, x: Any, lower: float, upper: float) -> Any:
    """Slopes in the order of the elements: only those up to zero draw one."""
    from ..._random.draws import uniform

    slopes = np.ones(x.shape, np.float64)
    below = np.less_equal(x, 0)
    slopes[below] = uniform(gen, int(below.sum()), np.dtype(np.float64), lower, upper)
    return slopes.astype(x.dtype)


def _no_host(*args: Any) -> Any:
    raise AssertionError("slopes on the CPU are drawn by _host_slopes")


def _device_slopes(key: Any, shape: Any, dt: Any, lower: Any, upper: Any) -> Any:
    return lower + jax.random.uniform(key, shape, jnp.float32) * (upper - lower)


_SLOPES = Distribution("rrelu", _no_host, _device_slopes)


@composite(into=("nn.functional",), flag=True, inplace=("torch", "nn.functional"))
def rrelu(input: Any, lower: Any = 1.0 / 8, upper: Any = 1.0 / 3, training: bool = False) -> Tensor:
    """x where x > 0, else a x with `a` uniform in [lower, upper) (their mean in evaluation).

    Raises: RuntimeError for bounds out of order.
    """
    lower, upper = as_float(lower, "rrelu", "lower", 2), as_float(upper, "rrelu", "upper", 3)
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not input._aval.dtype.is_floating_point:
        kernel = "rrelu_with_noise_out_cpu" if training else "leaky_relu_cpu"
        raise not_implemented(kernel, input._aval.dtype)
    if training:
        return last(internal.rrelu_apply, input, _slopes(input, lower, upper))
    return last(internal.rrelu_mean, input, (lower + upper) / 2)


def _slopes(input: Any, lower: float, upper: float) -> Any:
    dev, aval = input._storage.device, input._aval
    if dev is META:
        return ops.empty_like(input)
    if dev.type == "cpu":
        x, gen = host_array(input), thread_generator()
        made = on_host(lambda: _host_slopes(gen, x, lower, upper), aval_of(x.shape, aval.dtype))
        return from_value(made)
    drawn = from_value(draw(_SLOPES, (lower, upper), tuple(aval.shape), aval.dtype, dev, None))
    return ops.where(input.detach() <= 0, drawn, ops.ones_like(drawn))


@composite(into=("torch",), name="rrelu")
def torch_rrelu(
    input: Any, lower: Any = 1.0 / 8, upper: Any = 1.0 / 3, training: bool = False
) -> Tensor:
    """`nn.functional.rrelu` without `inplace`."""
    return rrelu(input, lower, upper, training)


# -- Gumbel-softmax --------------------------------------------------------------------------------


@composite(into=("nn.functional",))
def gumbel_softmax(
    logits: Any, tau: Any = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + g) / tau), g Gumbel noise; `hard` gives one-hot values with that gradient.

    Example:
        >>> gumbel_softmax(torch.zeros(2, 5), tau=0.5).sum(-1)
    """
    if not isinstance(logits, TensorBase):
        raise TypeError(f"gumbel_softmax(): logits must be a Tensor, not {type(logits).__name__}")
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=user_level())
    shape, dt = tuple(logits._aval.shape), logits._aval.dtype
    noise = ops.empty(shape, dtype=dt, device=logits._storage.device)
    gumbels = -noise.exponential_().log()
    soft = ((logits + gumbels) / tau).softmax(dim)
    if not hard:
        return soft
    places = soft.max(dim, keepdim=True)[1]
    return ops.zeros_like(noise).scatter_(dim, places, 1.0) - soft.detach() + soft
