"""Normalisation over a batch, a layer, groups or instances.

Statistics take two passes (mean, then the mean of squared deviations): one pass cancels badly where
the mean is large, and measured only 3% faster over a whole DCGAN step on the CPU.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..._basics.state import process
from ..call.composites import Out, last
from ..registry import OptTensor, Scalar, Tensor, composite, internal, nnf, op, ops
from ..shared import numeric as num
from ..shared.memory_format import follow, preserve

_MIXED = "mixed dtype (CPU): all inputs must share same datatype."


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _moments(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Mean and biased variance over `axes`, dimensions kept."""
    mean = jnp.mean(x, axes, keepdims=True)
    return mean, jnp.mean(jnp.square(x - mean), axes, keepdims=True)


@_moments.defjvp
def _moments_jvp(axes: tuple[int, ...], primals: Any, tangents: Any) -> Any:
    """Deviations add up to 0, so the mean's tangent has no part in the variance's: one sum less."""
    (x,), (dx,) = primals, tangents
    mean, var = _moments(x, axes)
    spread = 2 * jnp.mean((x - mean) * dx, axes, keepdims=True)
    return (mean, var), (jnp.mean(dx, axes, keepdims=True), spread)


def _affine(x: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> Any:
    if weight is not None:
        x = x * weight.astype(x.dtype).reshape(shape)
    if bias is not None:
        x = x + bias.astype(x.dtype).reshape(shape)
    return x


def _check_float(x: Any, kernel: str, *others: Any) -> None:
    if not num.is_float(x):
        raise num.not_implemented_for(kernel, x)
    for other in others:
        if other is None or other.dtype == x.dtype:
            continue
        if not (num.is_half(x.dtype) and other.dtype == jnp.float32):
            raise RuntimeError(_MIXED)


def _check_channels(x: Any, **per_channel: Any) -> None:
    count = x.shape[1] if x.ndim > 1 else 0
    for name, value in per_channel.items():
        if value is not None and value.size != count:
            raise RuntimeError(f"{name} should contain {count} elements not {value.size}")


def _batch_statistics(x: Any, weight: Any, bias: Any, eps: Any) -> tuple[Any, Any, Any, Any]:
    """Normalised x, and the mean, biased variance and inverse deviation of each channel."""
    wide = num.widen(x)
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var = _moments(wide, axes)
    inverse = lax.rsqrt(var + num.as_dtype(eps, wide))
    scale = inverse if weight is None else inverse * weight.astype(wide.dtype).reshape(shape)
    out = _affine((wide - mean) * scale, None, bias, shape).astype(x.dtype)
    return out, mean.reshape(-1), var.reshape(-1), inverse.reshape(-1)


@op("none", into=("internal",), grad_name="NativeBatchNormBackward0", layout=follow)
def batch_norm_train(
    input: Tensor, weight: OptTensor, bias: OptTensor, running_mean: OptTensor,
    running_var: OptTensor, momentum: Scalar, eps: Scalar,
) -> Any:  # fmt: skip
    """Normalise by the batch's statistics; also the updated running mean and variance."""
    _check_channels(
        input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    _check_float(input, "batch_norm", running_mean, running_var, weight, bias)
    out, mean, var, _ = _batch_statistics(input, weight, bias, eps)
    if running_mean is None and running_var is None:
        return out
    count = input.size // input.shape[1]
    news = []
    for running, batch in ((running_mean, mean), (running_var, var * (count / (count - 1)))):
        if running is not None:
            step = num.as_dtype(momentum, running)
            news.append(running * (1 - step) + batch.astype(running.dtype) * step)
    return out, *news


@op("none", into=("internal",), grad_name="NativeBatchNormBackward0", layout=follow)
def batch_norm_eval(
    input: Tensor, weight: OptTensor, bias: OptTensor, running_mean: OptTensor,
    running_var: OptTensor, eps: Scalar,
) -> Any:  # fmt: skip
    """Normalise by the running statistics."""
    for name, value in (("running_mean", running_mean), ("running_var", running_var)):
        if value is None:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
    _check_channels(
        input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    _check_float(input, "batch_norm", running_mean, running_var, weight, bias)
    wide = num.widen(input)
    shape = (1, -1) + (1,) * (input.ndim - 2)
    variance = running_var.astype(wide.dtype) + num.as_dtype(eps, wide)
    scale = lax.rsqrt(variance).reshape(shape)
    if weight is not None:
        scale = scale * weight.astype(wide.dtype).reshape(shape)
    mean = running_mean.astype(wide.dtype).reshape(shape)
    return _affine((wide - mean) * scale, None, bias, shape).astype(input.dtype)


@composite(into=("nn.functional",))
def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Batch normalisation; while training the running statistics are updated in place.

    Source: Ioffe & Szegedy, 2015.
    """
    if training:
        _check_batch(tuple(input.shape), f"torch.Size({list(input.shape)})")
        if eps <= 0.0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    return _batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


@composite(into=("torch",), name="batch_norm")
def torch_batch_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    momentum: float, eps: float, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Batch normalisation with torch.batch_norm's argument order."""
    return _batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


def _batch_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    momentum: float, eps: float,
) -> Any:  # fmt: skip
    if input.dim() < 2 and input.numel() == 0:
        return input.clone()
    if not training:
        return internal.batch_norm_eval(input, weight, bias, running_mean, running_var, eps)
    _check_running(running_mean, running_var)
    outs = internal.batch_norm_train(input, weight, bias, running_mean, running_var, momentum, eps)
    if running_mean is None and running_var is None:
        return outs
    out, *news = outs
    assign([r for r in (running_mean, running_var) if r is not None], news)
    return out


def assign(targets: list[Any], values: list[Any]) -> None:
    """Write new statistics into running buffers, outside any history."""
    from ..._autograd.grad_mode import no_grad

    with no_grad():
        for target, value in zip(targets, values, strict=True):
            try:
                target.copy_(value)
            except RuntimeError as error:
                if not str(error).startswith("vmap:"):
                    raise
                raise RuntimeError(
                    "Batch norm got a batched tensor as input while the running_mean or "
                    "running_var, which will be updated in place, were not batched."
                ) from None


def _check_running(mean: Any, variance: Any) -> None:
    if (mean is None) != (variance is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")


def _check_batch(shape: tuple[int, ...], text: Any) -> None:
    """Raise torch's ValueError for a batch with one value per channel."""
    if shape[0] * math.prod(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {text}"
        )


_FIRST = (True, False, False)  # the statistics carry no gradient


@op("none", into=("internal",), grad_name="NativeBatchNormBackward0", layout=follow,
    differentiable=_FIRST)  # fmt: skip
def batch_norm_parts(
    input: Tensor, weight: OptTensor, bias: OptTensor, running_mean: OptTensor,
    running_var: OptTensor, training: bool, eps: Scalar,
) -> Any:  # fmt: skip
    """Output, batch mean and inverse deviation."""
    if training:
        _check_float(input, "batch_norm", weight, bias)
        out, mean, _, inverse = _batch_statistics(input, weight, bias, eps)
        return out, *_kept((mean, inverse), input, weight)
    out = batch_norm_eval.operator.body(input, weight, bias, running_mean, running_var, eps)
    empty = jnp.zeros((0,), num.wide_dtype(input.dtype))
    return out, *_kept((empty, empty), input, weight)


@composite(into=("torch",))
def native_batch_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    momentum: float, eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Output, batch mean and inverse deviation; training updates the running statistics.

    Source: Ioffe & Szegedy, 2015.
    """
    _check_running(running_mean, running_var)
    parts = internal.batch_norm_parts(input, weight, bias, running_mean, running_var, training, eps)
    running = [r for r in (running_mean, running_var) if r is not None]
    if training and running:
        _, *news = internal.batch_norm_train(
            input.detach(), None, None, running_mean, running_var, momentum, eps
        )
        assign(running, news)
    return tuple(parts)


def _kept(statistics: Any, x: Any, weight: Any, gradient: bool = False) -> Any:
    """Mean and inverse deviation as torch returns them: wide only beside wide weights."""
    kind = x.dtype if weight is None else weight.dtype
    return [(s if gradient else lax.stop_gradient(s)).astype(kind) for s in statistics]


def _check_layer(
    x: Any, shape: Any, weight: Any, bias: Any, separator: str = ", "
) -> tuple[int, ...]:
    """The dimensions that `normalized_shape` covers.

    Raises: torch's errors when the shapes do not match.
    """
    if not isinstance(shape, tuple):
        raise TypeError(
            "layer_norm(): argument 'normalized_shape' (position 2) must be tuple of ints, not "
            f"{type(shape).__name__}"
        )
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(value.shape)} and normalized_shape = {list(shape)}"
            )
    if x.ndim < len(shape) or x.shape[x.ndim - len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*{separator}{', '.join(map(str, shape))}], but got input of size{list(x.shape)}"
        )
    return tuple(range(x.ndim - len(shape), x.ndim))


def _layer_norm(x: Any, shape: Any, weight: Any, bias: Any, eps: Any) -> tuple[Any, Any, Any]:
    axes = _check_layer(x, shape, weight, bias)
    _check_float(x, "LayerNormKernelImpl", weight, bias)
    wide = num.widen(x)
    mean, var = _moments(wide, axes)
    inverse = lax.rsqrt(var + num.as_dtype(eps, wide))
    out = _affine((wide - mean) * inverse, weight, bias, tuple(shape))
    return out.astype(x.dtype), *_kept((mean, inverse), x, weight)


@op("none", into=("nn.functional",), out=False, grad_name="NativeLayerNormBackward0")
def layer_norm(
    input: Tensor, normalized_shape: Any, weight: OptTensor = None, bias: OptTensor = None,
    eps: Scalar = 1e-5,
) -> Any:  # fmt: skip
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions.

    Source: Ba et al., 2016.
    """
    return _layer_norm(input, normalized_shape, weight, bias, eps)[0]


@composite(into=("torch",), name="layer_norm")
def torch_layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """Layer normalisation with torch.layer_norm's arguments."""
    return nnf.layer_norm(input, normalized_shape, weight, bias, eps)


@op("none", into=("torch",), out=False, differentiable=_FIRST)
def native_layer_norm(
    input: Tensor, normalized_shape: Any, weight: OptTensor, bias: OptTensor, eps: Scalar
) -> Any:
    """Layer normalisation with the mean and inverse deviation it used.

    Source: Ba et al., 2016.
    """
    return _layer_norm(input, normalized_shape, weight, bias, eps)


@op("none", into=("internal",), name="rms_norm", grad_name="MulBackward0", layout=follow)
def _rms_norm(input: Tensor, normalized_shape: Any, weight: OptTensor, eps: Scalar) -> Any:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions."""
    axes = _check_layer(input, normalized_shape, weight, None, separator="")
    if not num.is_inexact(input):
        raise num.not_implemented_for("rms_norm", input)
    wide = num.widen(input)
    if eps is None:
        eps = float(jnp.finfo(wide.dtype).eps)
    square = jnp.square(wide)  # of complex numbers too: torch takes no absolute value here
    inverse = lax.rsqrt(jnp.mean(square, axes, keepdims=True) + num.as_dtype(eps, square))
    return _affine(wide * inverse.astype(wide.dtype), weight, None, tuple(normalized_shape)).astype(
        input.dtype
    )


@composite(into=("torch", "nn.functional"))
def rms_norm(
    input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Tensor:
    """Root-mean-square normalisation; eps None means the dtype's epsilon.

    Source: Zhang & Sennrich, 2019.
    """
    return internal.rms_norm(input, normalized_shape, weight, eps)


def _group_norm(x: Any, groups: int, weight: Any, bias: Any, eps: Any) -> tuple[Any, Any, Any]:
    if x.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    if groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {groups}")
    shape = list(x.shape)
    if x.shape[1] % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {shape} and num_groups={groups}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != (x.shape[1],):
            # torch's text names the weight's shape for a wrong bias too.
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape {list((value if weight is None else weight).shape)} and "
                f"input of shape {shape}"
            )
    _check_float(x, "GroupNormKernelImpl", weight, bias)
    wide = num.widen(x).reshape(x.shape[0], groups, x.size // max(x.shape[0] * groups, 1))
    mean, var = _moments(wide, (2,))
    inverse = lax.rsqrt(var + num.as_dtype(eps, wide))
    out = ((wide - mean) * inverse).reshape(x.shape)
    out = _affine(out, weight, bias, (1, -1) + (1,) * (x.ndim - 2)).astype(x.dtype)
    return out, *_kept((mean[..., 0], inverse[..., 0]), x, weight, True)


@op(
    "none", into=("internal",), name="group_norm", grad_name="NativeGroupNormBackward0",
    layout=follow,
)  # fmt: skip
def _group_norm_op(
    input: Tensor, num_groups: int, weight: OptTensor, bias: OptTensor, eps: Scalar
) -> Any:
    """Normalise each group of channels of each sample."""
    return _group_norm(input, num_groups, weight, bias, eps)[0]


@op("none", into=("torch",), out=False, layout=follow)
def native_group_norm(
    input: Tensor, weight: OptTensor, bias: OptTensor, N: int, C: int, HxW: int, group: int,
    eps: Scalar,
) -> Any:  # fmt: skip
    """Group normalisation with the mean and inverse deviation it used.

    Raises: RuntimeError where N, C and HxW (pixels) are not the input's.
    Source: Wu & He, 2018.
    """
    if N * C * HxW != input.size:
        raise RuntimeError("Expected X.numel() == N * C * HxW to be true, but got false.")
    return _group_norm(input, group, weight, bias, eps)


@composite(into=("nn.functional",))
def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """Group normalisation: channels in `num_groups` groups, statistics for each sample.

    Source: Wu & He, 2018.
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    sizes = [shape[0] * shape[1] // num_groups, num_groups, *shape[2:]]
    if sizes[0] * math.prod(sizes[2:]) == 1:
        _check_batch(tuple(sizes), list(shape))
    return internal.group_norm(input, num_groups, weight, bias, eps)


@composite(into=("torch",), name="group_norm")
def torch_group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Group normalisation with torch.group_norm's arguments."""
    return internal.group_norm(input, num_groups, weight, bias, eps)


@op("none", into=("internal",), name="instance_norm", grad_name="ViewBackward0")
def _instance_norm_op(
    input: Tensor, weight: OptTensor, bias: OptTensor, running_mean: OptTensor,
    running_var: OptTensor, momentum: Scalar, eps: Scalar,
) -> Any:  # fmt: skip
    """Normalise each channel of each sample; also the updated running statistics, if given."""
    batch, channels = input.shape[:2]
    for name, value in (("running_mean", running_mean), ("running_var", running_var)):
        if value is not None and value.size != channels:
            raise RuntimeError(
                f"{name} should contain {batch * channels} elements not {batch * value.size}"
            )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.size != channels:
            raise RuntimeError(
                f"{name} should contain {batch * channels} elements not {batch * value.size}"
            )
    _check_float(input, "batch_norm", weight, bias)
    wide = num.widen(input)
    axes = tuple(range(2, input.ndim))
    mean, var = _moments(wide, axes)
    out = (wide - mean) * lax.rsqrt(var + num.as_dtype(eps, wide))
    shape = (1, -1) + (1,) * len(axes)
    out = _affine(out, weight, bias, shape).astype(input.dtype)
    if running_mean is None and running_var is None:
        return out
    count = math.prod(input.shape[2:])
    unbiased = var * (count / max(count - 1, 1))
    news = []
    for running, value in ((running_mean, mean), (running_var, unbiased)):
        if running is not None:
            step = num.as_dtype(momentum, running)
            average = value.reshape(batch, channels).mean(0).astype(running.dtype)
            news.append(running * (1 - step) + average * step)
    return out, *news


@composite(into=("nn.functional",))
def instance_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalise each channel of each sample; running statistics are updated in place.

    Source: Ulyanov et al., 2016.
    """
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(
            "Expected more than 1 spatial element when training, got input size "
            f"torch.Size({list(input.shape)})"
        )
    return _instance_norm(
        input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps
    )


@composite(into=("torch",), name="instance_norm")
def torch_instance_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any,
    use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Instance normalisation with torch.instance_norm's argument order."""
    return _instance_norm(
        input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps
    )


def _instance_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any,
    use_input_stats: bool, momentum: float, eps: float,
) -> Any:  # fmt: skip
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "Expected running_mean and running_var to be defined when use_input_stats is false"
            )
        return internal.batch_norm_eval(input, weight, bias, running_mean, running_var, eps)
    outs = internal.instance_norm(input, weight, bias, running_mean, running_var, momentum, eps)
    if running_mean is None and running_var is None:
        return outs
    out, *news = outs
    assign([r for r in (running_mean, running_var) if r is not None], news)
    return out


@composite(into=("nn.functional",))
def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """input / (k + alpha * mean of squares over `size` neighbouring channels) ** beta.

    Source: Krizhevsky et al., 2012.
    """
    whole = not (input.is_floating_point() or input.is_complex())
    if whole and not input.numel() and input.dim() > 2:
        return input
    x = input.to(process.default_dtype) if whole else input
    return internal.local_response_norm(x, size, alpha, beta, k, whole)


@op(
    "none", into=("internal",), name="local_response_norm", grad_name="DivBackward0",
    layout=preserve,
)  # fmt: skip
def _local_response_norm(
    input: Tensor, size: int, alpha: Scalar, beta: Scalar, k: Scalar, whole: bool
) -> Any:
    """The same; `whole` input stands for integers, whose average torch rounds down."""
    if input.ndim < 3:
        raise ValueError(
            "Expected 3D or higher dimensionality                          input (got "
            f"{input.ndim} dimensions)"
        )
    if input.size == 0:
        return input
    channels = input.shape[1]
    pads = ((0, 0), (size // 2, (size - 1) // 2)) + ((0, 0),) * (input.ndim - 2)
    squares = jnp.pad(jnp.square(input), pads)
    total: Any = sum(lax.slice_in_dim(squares, k, k + channels, axis=1) for k in range(size))
    mean = jnp.floor(total / size) if whole else total / size
    alpha, beta, k = (num.as_dtype(v, input) for v in (alpha, beta, k))
    return input / jnp.power(mean * alpha + k, beta)


@composite(into=("nn.functional",), out=Out(at=4))
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """input / max(||input||_p, eps) along `dim`."""
    size = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return last(ops.div, input, size)
