"""Losses between tensors of one shape: squared, absolute and log-likelihood errors."""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax.numpy as jnp

from ..call.operator import broadcast_check
from ..call.warning import user_level
from ..registry import OptTensor, Scalar, Tensor, composite, internal, op, ops
from ..shared import numeric as num
from ..shared.memory_format import pointwise
from .reduction import by_reduction, in_default_float, reduced, reduction_of, warn_sizes

_F = ("nn.functional",)


def _real(kernel: str, *arrays: Any) -> None:
    for x in arrays:
        if not num.is_float(x):
            raise num.not_implemented_for(kernel, x)


def _weighted(loss: Any, weight: Any, reduction: str) -> Any:
    """A loss with element weights: the mean divides by the sum of the weights."""
    if weight is None:
        return reduced(loss, reduction)
    total = loss * weight
    return jnp.sum(total) / jnp.sum(weight) if reduction == "mean" else reduced(total, reduction)


def _check_weight(input: Any, weight: Any) -> None:
    if weight is not None and weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")


@op("arith", into=("internal",), elementwise=False, grad_name="MseLossBackward0", layout=pointwise)
def mse_loss_op(input: Tensor, target: Tensor, weight: OptTensor, reduction: str) -> Any:
    """(input - target)^2."""
    _real("mse_cpu", input)
    return _weighted(jnp.square(input - target), weight, reduction)


@composite(into=_F)
def mse_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Any = None,
) -> Tensor:  # fmt: skip
    """(input - target)^2, reduced."""
    warn_sizes(input, target)
    reduction = reduction_of(reduction, size_average, reduce)
    _check_weight(input, weight)
    return internal.mse_loss_op(input, target, weight, reduction)


@op(
    "arith",
    into=("internal",),
    elementwise=False,
    grad_name=by_reduction("AbsBackward0"),
    layout=pointwise,
)
def l1_loss_op(input: Tensor, target: Tensor, weight: OptTensor, reduction: str) -> Any:
    """|input - target|, with gradient 0 where they are equal."""
    if reduction == "mean" and not num.is_inexact(input):
        from ..._basics.dtypes import SCALAR_NAMES, from_np

        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {SCALAR_NAMES[from_np(input.dtype)]}"
        )
    from ..pointwise.unary import modulus

    difference = input - target
    size = modulus(difference) if num.is_inexact(difference) else jnp.abs(difference)
    return _weighted(size, weight, reduction)


@composite(into=_F)
def l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Any = None,
) -> Tensor:  # fmt: skip
    """|input - target|, reduced."""
    warn_sizes(input, target)
    reduction = reduction_of(reduction, size_average, reduce)
    _check_weight(input, weight)
    return internal.l1_loss_op(input, target, weight, reduction)


@op(
    "arith",
    into=("internal",),
    elementwise=False,
    grad_name="SmoothL1LossBackward0",
    layout=pointwise,
)
def smooth_l1_loss_op(input: Tensor, target: Tensor, reduction: str, beta: Scalar) -> Any:
    """d^2 / (2 beta) where d = |input - target| < beta, else d - beta / 2."""
    _real("smooth_l1_cpu", input)
    from ..pointwise.unary import modulus

    d = modulus(input - target)
    beta = num.as_dtype(beta, input)
    inside = jnp.square(d) * 0.5 / jnp.where(beta == 0, jnp.ones_like(beta), beta)
    return reduced(jnp.where(d < beta, inside, d - 0.5 * beta), reduction)


@composite(into=_F)
def smooth_l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """Squared error near 0, absolute error beyond `beta`, reduced.

    Source: Girshick, 2015.
    """
    warn_sizes(input, target)
    reduction = reduction_of(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return internal.smooth_l1_loss_op(input, target, reduction, float(beta))


@op("none", into=("internal",), grad_name="HuberLossBackward0", layout=pointwise)
def huber_loss_op(
    input: Tensor, target: Tensor, weight: OptTensor, reduction: str, delta: Scalar
) -> Any:
    """d^2 / 2 where d = |input - target| <= delta, else delta (d - delta / 2)."""
    _real("huber_cpu", input)
    from ..pointwise.unary import modulus

    target = target.astype(input.dtype)
    broadcast_check([input.shape, target.shape])
    d = modulus(input - target)
    delta = num.as_dtype(delta, input)
    loss = jnp.where(d <= delta, 0.5 * jnp.square(d), delta * (d - 0.5 * delta))
    return _weighted(loss, weight, reduction)


@composite(into=_F)
def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Tensor:
    """Half the squared error near 0, linear beyond `delta`, reduced.

    Source: Huber, 1964.
    """
    warn_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    reduction = reduction_of(reduction)
    _check_weight(input, weight)
    return internal.huber_loss_op(input, target, weight, reduction, float(delta))


def _last_of_kl(log_target: bool, **_: Any) -> str:
    return "MulBackward0" if log_target else "SubBackward0"


@op(
    "arith",
    into=("internal",),
    elementwise=False,
    grad_name=by_reduction(_last_of_kl),
    layout=pointwise,
)
def kl_div_op(input: Tensor, target: Tensor, reduction: str, log_target: bool) -> Any:
    """target (log target - input), where 0 log 0 is 0."""
    broadcast_check([input.shape, target.shape])
    if log_target:
        return reduced(jnp.exp(target) * (target - input), reduction)
    zero = target == 0
    log = jnp.log(jnp.where(zero, jnp.ones_like(target), target))
    return reduced(jnp.where(zero, jnp.zeros_like(log), target * log) - target * input, reduction)


@composite(into=("torch",), name="kl_div")
def torch_kl_div(
    input: Any, target: Any, reduction: int = 0, *, log_target: bool = False
) -> Tensor:
    """kl_div with torch's numbered reductions."""
    return internal.kl_div_op(input, target, ("none", "mean", "sum")[reduction], log_target)


@composite(into=_F)
def kl_div(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """The divergence of exp(input) from target, reduced; "batchmean" divides by the batch size.

    Source: Kullback & Leibler, 1951.
    """
    if size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    elif reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next major "
            "release.",
            stacklevel=user_level(),
        )
    if reduction == "batchmean":
        total = internal.kl_div_op(input, target, "sum", log_target)
        return total / input.size(0) if input.dim() != 0 else total
    return internal.kl_div_op(input, target, reduction_of(reduction), log_target)


def _last_of_poisson(full: bool, **_: Any) -> str:
    return "AddBackward0" if full else "SubBackward0"


@op(
    "arith",
    into=("internal",),
    elementwise=False,
    grad_name=by_reduction(_last_of_poisson),
    layout=pointwise,
)
def poisson_nll_loss_op(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: Scalar, reduction: str
) -> Any:
    """exp(input) - target input, or input - target log(input + eps)."""
    broadcast_check([input.shape, target.shape])
    eps = num.as_dtype(eps, input)
    if log_input:
        loss = jnp.exp(input) - target * input
    else:
        loss = input - target * jnp.log(input + eps)
    if full:
        # Stirling's term, for targets above 1 only.
        large = target > 1
        t = jnp.where(large, target, jnp.full_like(target, 2))
        stirling = t * jnp.log(t) - t + 0.5 * jnp.log(2 * math.pi * t)
        loss = loss + jnp.where(large, stirling, jnp.zeros_like(stirling))
    return reduced(loss, reduction)


@composite(into=_F)
def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False,
    size_average: Any = None, eps: float = 1e-8, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The negative log likelihood of counts `target` under a Poisson law, reduced."""
    if size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    reduction_of(reduction)
    return internal.poisson_nll_loss_op(
        in_default_float(input), target, log_input, full, eps, reduction
    )


@composite(into=("torch",), name="poisson_nll_loss")
def torch_poisson_nll_loss(
    input: Any, target: Any, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """poisson_nll_loss with torch's numbered reductions."""
    name = ("none", "mean", "sum")[reduction]
    return internal.poisson_nll_loss_op(input, target, log_input, full, eps, name)


def _last_of_gaussian(full: bool, **_: Any) -> str:
    return "AddBackward0" if full else "MulBackward0"


@op(
    "arith",
    into=("internal",),
    elementwise=False,
    grad_name=by_reduction(_last_of_gaussian),
    layout=pointwise,
)
def gaussian_nll_loss_op(
    input: Tensor, target: Tensor, var: Tensor, full: bool, eps: Scalar, reduction: str
) -> Any:
    """(log var + (input - target)^2 / var) / 2, var at least eps."""
    broadcast_check([broadcast_check([input.shape, target.shape]), var.shape])
    from jax import lax

    eps = num.as_dtype(eps, input)
    floored = var + lax.stop_gradient(jnp.maximum(var, eps) - var)
    loss = 0.5 * (jnp.log(floored) + jnp.square(input - target) / floored)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction)


@composite(into=_F)
def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The negative log likelihood of `target` under N(input, var), reduced.

    Source: Nix & Weigend, 1994.
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * ops.ones_like(input)
    elif (var < 0).any():
        raise ValueError("var has negative entry/entries")
    if var.size() != input.size():
        if input.size()[:-1] == var.size():
            var = var.unsqueeze(-1)
        elif (
            input.dim() != var.dim()
            or sum(v for n, v in zip(input.size(), var.size(), strict=True) if n != v) != 1
        ):
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    return internal.gaussian_nll_loss_op(input, target, var, full, eps, reduction)
