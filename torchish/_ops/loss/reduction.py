"""What the losses share: reductions, their old arguments, checks of shape and of values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from ..._basics.state import process
from ..call.operator import broadcast_check
from ..call.warning import user_level

REDUCTIONS = ("none", "mean", "sum")


def reduction_of(reduction: str, size_average: Any = None, reduce: Any = None) -> str:
    """The reduction that a loss's arguments ask for; `size_average` and `reduce` are the old form.

    Raises: ValueError for a reduction that torch does not have.
    """
    if size_average is not None or reduce is not None:
        if reduce is False:
            reduction = "none"
        else:
            reduction = "sum" if size_average is False else "mean"
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{reduction}' instead.",
            stacklevel=user_level(),
        )
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def in_default_float(tensor: Any) -> Any:
    """A tensor of integers in the default float dtype; any other one as it is."""
    if tensor.is_floating_point() or tensor.is_complex():
        return tensor
    return tensor.to(process.default_dtype)


def reduced(loss: Any, reduction: str) -> Any:
    """The elementwise loss, its mean or its sum (float32 is added up in float64)."""
    if reduction == "none":
        return loss
    add = jnp.mean if reduction == "mean" else jnp.sum
    if loss.dtype != jnp.float32:
        return add(loss)
    return add(loss, dtype=jnp.float64).astype(loss.dtype)


def warn_sizes(input: Any, target: Any) -> None:
    """torch's warning for operands whose shapes differ; its error where they do not broadcast."""
    if input.size() == target.size():
        return
    warnings.warn(
        f"Using a target size ({target.size()}) that is different to the input size "
        f"({input.size()}). This will likely lead to incorrect results due to broadcasting. Please "
        "ensure they have the same size.",
        stacklevel=user_level(),
    )
    broadcast_check([tuple(input.shape), tuple(target.shape)])


def by_reduction(none: str | Callable[..., str]) -> Callable[..., str]:
    """The grad node's name of a loss that torch reduces by another operator.

    `none` names the last step of the loss itself, or gives its name for the arguments.
    """

    def grad_name(reduction: str, **others: Any) -> str:
        if reduction == "none":
            return none if isinstance(none, str) else none(**others)
        return "MeanBackward0" if reduction == "mean" else "SumBackward0"

    return grad_name
