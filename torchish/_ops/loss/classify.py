"""Losses against classes: binary and categorical cross entropy, negative log likelihood."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from ..._autograd.require import require
from ..registry import OptTensor, Tensor, composite, internal, nnf, op
from ..shared import numeric as num
from ..shared.memory_format import pointwise
from .reduction import reduced, reduction_of

_F = ("nn.functional",)
_TARGET = "expected target dtype to be Long or Byte, but got {}"


def _type_name(x: Any) -> str:
    from ..._basics.dtypes import SCALAR_NAMES, from_np

    return SCALAR_NAMES[from_np(x.dtype)]


def _bce_value(x: Any, t: Any) -> Any:
    # torch keeps the logarithms at or above -100, so that 0 log 0 is 0.
    floor = num.as_dtype(-100.0, x)
    return (t - 1) * jnp.maximum(jnp.log1p(-x), floor) - t * jnp.maximum(jnp.log(x), floor)


def _bce_tangent(out: Any, primals: Any, tangents: Any) -> Any:
    (x, t), (dx, dt) = primals, tangents
    slope = (x - t) / jnp.maximum((1 - x) * x, num.as_dtype(1e-12, x))
    return slope * dx + (jnp.log1p(-x) - jnp.log(x)) * dt


_bce = num.with_derivative(_bce_value, _bce_tangent)


@op("none", into=("internal",), grad_name="BinaryCrossEntropyBackward0", layout=pointwise)
def binary_cross_entropy_op(
    input: Tensor, target: Tensor, weight: OptTensor, reduction: str
) -> Any:
    """-weight (target log input + (1 - target) log(1 - input))."""
    if target.dtype != input.dtype:
        raise RuntimeError(f"Found dtype {_type_name(target)} but expected {_type_name(input)}")
    loss = _bce(input, target)
    return reduced(loss if weight is None else loss * weight.astype(loss.dtype), reduction)


@composite(into=_F)
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Binary cross entropy of probabilities, reduced.

    Raises: RuntimeError for values outside [0, 1] (on a device: at the next read).
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}) is deprecated. Please ensure they have the same size."
        )
    for name, values in (("input", input), ("target", target)):
        if values.dtype.is_floating_point:
            _check_unit_interval(name, values)
    if weight is not None and weight.size() != target.size():
        _check_expands(tuple(weight.size()), tuple(target.size()))
    return internal.binary_cross_entropy_op(input, target, weight, reduction)


def _check_expands(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    for d in range(1, min(len(shape), len(wanted)) + 1):
        if shape[-d] not in (1, wanted[-d]) and wanted[-d] != 1:
            raise RuntimeError(
                f"Attempting to broadcast a dimension of length {shape[-d]} at {-d}! Mismatching "
                f"argument at index 1 had torch.Size({list(shape)}); but expected shape should be "
                f"broadcastable to {list(wanted)}"
            )


def _check_unit_interval(name: str, values: Any) -> None:
    require(
        "unit_interval",
        lambda x: ~((x >= 0) & (x <= 1)),
        [values.detach()],
        [],
        lambda *_: RuntimeError(f"all elements of {name} should be between 0 and 1"),
    )


def _softplus_value(x: Any) -> Any:
    return jnp.maximum(x, num.as_dtype(0.0, x)) + jnp.log1p(jnp.exp(-jnp.abs(x)))


# log(1 + exp(x)); written out, jax's own version guards infinities at some cost.
_softplus = num.with_derivative(
    _softplus_value, lambda out, primals, tangents: lax.logistic(primals[0]) * tangents[0]
)


@op("arith", into=("internal",), elementwise=False,
    grad_name="BinaryCrossEntropyWithLogitsBackward0", layout=pointwise)  # fmt: skip
def binary_cross_entropy_with_logits_op(
    input: Tensor, target: Tensor, weight: OptTensor, pos_weight: OptTensor, reduction: str
) -> Any:
    """(1 - target) input + (1 + (pos_weight - 1) target) log(1 + exp(-input)), weighted."""
    from ..call.operator import broadcast_check

    loss = _softplus(-input)
    if pos_weight is not None:
        broadcast_check([pos_weight.shape, input.shape])
        loss = loss * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input + loss
    if weight is not None:
        broadcast_check([weight.shape, input.shape])
        loss = loss * weight
    return reduced(loss, reduction)


@composite(into=_F)
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", pos_weight: Any = None,
) -> Tensor:  # fmt: skip
    """Binary cross entropy of logits, reduced."""
    reduction = reduction_of(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(
            f"Target size ({target.size()}) must be the same as input size ({input.size()})"
        )
    if not target.dtype.is_floating_point and input.dtype.is_floating_point:
        raise RuntimeError(
            f"result type {_type_name_of(input)} can't be cast to the desired output type "
            f"{_type_name_of(target)}"
        )
    return _logits_loss(input, target, weight, pos_weight, reduction)


def _logits_loss(input: Any, target: Any, weight: Any, pos_weight: Any, reduction: str) -> Tensor:
    """The loss in the target's dtype: PyTorch writes it in place into 1 - target."""
    loss = internal.binary_cross_entropy_with_logits_op(
        input, target, weight, pos_weight, reduction
    )
    return loss if loss.dtype is target.dtype else loss.to(target.dtype)


def _type_name_of(tensor: Any) -> str:
    from ..._basics.dtypes import SCALAR_NAMES

    return SCALAR_NAMES[tensor.dtype]


@composite(into=("torch",), name="binary_cross_entropy_with_logits")
def torch_binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: int = 0
) -> Tensor:
    """binary_cross_entropy_with_logits with torch's numbered reductions."""
    return _logits_loss(input, target, weight, pos_weight, ("none", "mean", "sum")[reduction])


def _class_dim(ndim: int) -> int:
    return 0 if ndim == 1 else 1


def _check_class_shapes(x: Any, target: Any, weight: Any) -> None:
    """Raise torch's errors for operands of nll_loss that do not fit together."""
    if x.ndim == 0:
        raise ValueError(f"Expected 1 or more dimensions (got {x.ndim})")
    if x.ndim != 1 and x.shape[0] != (target.shape[0] if target.ndim else 1):
        raise ValueError(
            f"Expected input batch_size ({x.shape[0]}) to match target batch_size "
            f"({target.shape[0] if target.ndim else 1})."
        )
    if _type_name(target) not in ("Long", "Byte"):
        raise RuntimeError(_TARGET.format(_type_name(target)))
    classes = x.shape[_class_dim(x.ndim)]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )
    if weight is not None and weight.dtype != x.dtype:
        raise RuntimeError(f"expected scalar type {_type_name(x)} but found {_type_name(weight)}")
    expected = list(x.shape[:1] + x.shape[2:])
    if x.ndim <= 2:
        if target.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    elif x.ndim == 4:
        if target.ndim != 3:
            raise RuntimeError(
                "only batches of spatial targets supported (3D tensors) but got targets of "
                f"dimension: {target.ndim}"
            )
        if list(target.shape) != expected:
            raise RuntimeError(
                f"size mismatch (got input: {list(x.shape)} , target: {list(target.shape)}"
            )
    elif list(target.shape) != expected:
        raise RuntimeError(f"Expected target size {expected}, got {list(target.shape)}")


def _picked(x: Any, target: Any, ignore_index: int) -> tuple[Any, Any, Any]:
    """x at the target class, the mask of counted targets, and the one-hot mask.

    A comparison with the class numbers, not a gather: its gradient is no scatter, and XLA fuses it
    into the softmax beside it.
    """
    axis = _class_dim(x.ndim)
    if x.ndim == 1:
        target = target.reshape(())
    classes = lax.broadcasted_iota(jnp.int64, x.shape, axis)
    labels = target.astype(jnp.int64)
    counted = labels != ignore_index
    hot = (classes == jnp.expand_dims(labels, axis)) & jnp.expand_dims(counted, axis)
    return jnp.sum(jnp.where(hot, x, jnp.zeros_like(x)), axis), counted, hot


def _nll(log_prob: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    axis = _class_dim(log_prob.ndim)
    picked, counted, hot = _picked(log_prob, target, ignore_index)
    loss = -picked
    if weight is None:
        weights = counted.astype(loss.dtype)
    else:
        along = weight.reshape([-1 if d == axis else 1 for d in range(log_prob.ndim)])
        weights = jnp.sum(jnp.where(hot, along, jnp.zeros_like(along)), axis)
        loss = loss * weights
    if reduction == "mean":
        return jnp.sum(loss) / jnp.sum(weights)
    if reduction == "none" and log_prob.ndim == 1:
        return loss.reshape(target.shape)
    return reduced(loss, reduction)


def _nll_name(input: Any, reduction: str, label_smoothing: float = 0.0, **_: Any) -> str:
    if label_smoothing:
        return "AddBackward0"
    if input.ndim <= 2:
        return "NllLossBackward0"
    # torch makes every number of spatial dims two and, for losses one by one, that number again.
    again = reduction == "none" and input.ndim != 4
    return "ViewBackward0" if again else "NllLoss2DBackward0"


@op("none", into=("internal",), grad_name=_nll_name)
def nll_loss_op(
    input: Tensor, target: Tensor, weight: OptTensor, ignore_index: int, reduction: str
) -> Any:
    """-weight[target] input[target], over all targets but `ignore_index`."""
    _check_class_shapes(input, target, weight)
    if not num.is_float(input):
        raise num.not_implemented_for("nll_loss_out_frame", input)
    return _nll(input, target, weight, ignore_index, reduction)


def _check_targets(input: Any, target: Any, ignore_index: int) -> None:
    """Class numbers must be in range: IndexError, on a device at the next read."""
    if target.dtype.name not in ("int64", "uint8") or input.dim() == 0:
        return
    classes = input.shape[_class_dim(input.dim())]

    def outside(t: Any, classes: Any, ignored: Any) -> Any:
        return ((t < 0) | (t >= classes)) & (t != ignored)

    def error(values: Any) -> Exception:
        bad = values[outside(values, classes, ignore_index)].reshape(-1)
        return IndexError(f"Target {int(bad[0])} is out of bounds.")

    numbers = [classes, ignore_index]
    if target.dtype.name == "uint8":
        target = target.long()
    require("class_range", outside, [target], numbers, error)


@composite(into=_F)
def nll_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-input[target], weighted by class and reduced; input (N, C, ...) holds log probabilities."""
    reduction = reduction_of(reduction, size_average, reduce)
    out = internal.nll_loss_op(input, target, weight, ignore_index, reduction)
    _check_targets(input, target, ignore_index)
    return out


def _log_softmax(x: Any, axis: int) -> Any:
    shifted = x - lax.stop_gradient(jnp.max(x, axis, keepdims=True))
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis, keepdims=True))


@op("none", into=("internal",), grad_name=_nll_name)
def cross_entropy_index(
    input: Tensor, target: Tensor, weight: OptTensor, ignore_index: int, reduction: str,
    label_smoothing: float,
) -> Any:  # fmt: skip
    """nll_loss of log_softmax(input); smoothing mixes in the mean over all classes."""
    _check_class_shapes(input, target, weight)
    _check_logits(input)
    axis = _class_dim(input.ndim)
    log_prob = _log_softmax(num.widen(input), axis)
    wide_weight: Any = None if weight is None else num.widen(weight)
    hard = _nll(log_prob, target, wide_weight, ignore_index, reduction)
    if label_smoothing == 0.0:
        return hard.astype(input.dtype)
    scaled = log_prob
    if weight is not None:
        scaled = log_prob * wide_weight.reshape([-1 if d == axis else 1 for d in range(input.ndim)])
    smooth = -jnp.sum(scaled, axis)
    labels = target.reshape(()) if input.ndim == 1 else target
    counted = labels.astype(jnp.int64) != ignore_index
    smooth = jnp.where(counted, smooth, jnp.zeros_like(smooth))
    if reduction == "mean":
        if weight is None:
            smooth = jnp.sum(smooth) / jnp.sum(counted.astype(smooth.dtype))
        else:
            picked = -_nll(jnp.ones_like(log_prob), target, wide_weight, ignore_index, "sum")
            smooth = jnp.sum(smooth) / picked
    else:
        smooth = reduced(smooth, reduction)
        if reduction == "none":
            smooth = smooth.reshape(target.shape)
    share = label_smoothing / input.shape[axis]
    return ((1 - label_smoothing) * hard + share * smooth).astype(input.dtype)


def _soft_name(reduction: str, **_: Any) -> str:
    return "DivBackward1" if reduction == "mean" else "NegBackward0"


@op("none", into=("internal",), grad_name=_soft_name)
def cross_entropy_prob(
    input: Tensor, target: Tensor, weight: OptTensor, reduction: str, label_smoothing: float
) -> Any:
    """-target log_softmax(input), summed over classes; the mean is over samples."""
    _check_logits(input)
    axis = _class_dim(input.ndim)
    classes = input.shape[axis]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            "cross_entropy: weight tensor should be defined either for all "
            f"{classes} classes or no classes but got weight tensor of shape: {list(weight.shape)}"
        )
    target = num.widen(target)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    log_prob = _log_softmax(num.widen(input), axis)
    loss = -log_prob * target.astype(log_prob.dtype)
    if weight is not None:
        loss = loss * num.widen(weight).reshape([-1 if d == axis else 1 for d in range(input.ndim)])
    loss = jnp.sum(loss, axis)
    if reduction == "mean":
        loss = jnp.sum(loss) / (input.size // classes if classes else 0)
    else:
        loss = reduced(loss, reduction)
    return loss.astype(input.dtype)


def _check_logits(x: Any) -> None:
    if not num.is_float(x):
        raise num.not_implemented_for("log_softmax_lastdim_kernel_impl", x)


@composite(into=_F)
def cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Cross entropy of logits (N, C, ...) against class numbers or class probabilities."""
    reduction = reduction_of(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if target.shape == input.shape:
        if not target.dtype.is_floating_point:
            raise RuntimeError(
                "Expected floating point type for target with class probabilities, got "
                f"{_type_name_of(target)}"
            )
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return internal.cross_entropy_prob(input, target, weight, reduction, float(label_smoothing))
    out = internal.cross_entropy_index(
        input, target, weight, ignore_index, reduction, float(label_smoothing)
    )
    _check_targets(input, target, ignore_index)
    return out


@composite(into=_F)
def linear_cross_entropy(
    input: Any, linear_weight: Any, target: Any, *, linear_bias: Any = None, weight: Any = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:  # fmt: skip
    """cross_entropy of linear(input, linear_weight, linear_bias).

    `options` only steer how torch cuts the work into chunks; XLA plans that itself.
    """
    if input.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}"
        )
    if input.shape[-1] != linear_weight.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {linear_weight.shape[-1]}, respectively"
        )
    outputs = tuple(linear_weight.shape[:-1])
    if len(outputs) > 1 and input.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} "
            f"requires batched input, (N, {input.shape[-1]}), got unbatched input with shape "
            f"{tuple(input.shape)}"
        )
    if linear_bias is not None and tuple(linear_bias.shape) != outputs:
        raise RuntimeError(f"expected linear_bias shape {outputs}, got {tuple(linear_bias.shape)}")
    flat = linear_weight.reshape(-1, linear_weight.shape[-1])
    logits = nnf.linear(input, flat, None if linear_bias is None else linear_bias.reshape(-1))
    logits = logits.reshape(*input.shape[:-1], *outputs)
    if target.shape == logits.shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    return nnf.cross_entropy(
        logits, target, weight, reduction=reduction, label_smoothing=label_smoothing,
        ignore_index=-100 if ignore_index is None else ignore_index,
    )  # fmt: skip
