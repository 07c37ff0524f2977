"""Losses with a margin: rankings, embeddings, hinges over classes, triplets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from ..._autograd.require import require
from ..call.operator import broadcast_check
from ..registry import OptTensor, Scalar, Tensor, composite, internal, nnf, op, ops
from ..shared import numeric as num
from ..shared.memory_format import pointwise
from .reduction import by_reduction, in_default_float, reduced, reduction_of

_F = ("nn.functional",)
_CODES = ("none", "mean", "sum")


def _numbered(function: Any, name: str, count: int) -> None:
    """Register torch.NAME, whose reduction is a number and by default 0 ("none")."""

    def numbered(*args: Any, reduction: int = 0, **kwargs: Any) -> Any:
        if len(args) == count:
            *args, reduction = args  # type: ignore[assignment]
        return function(*args, reduction=_CODES[reduction], **kwargs)

    numbered.__name__ = numbered.__qualname__ = name
    numbered.__doc__ = function.__doc__
    composite(into=("torch",), name=name)(numbered)


def _floor(x: Any) -> Any:
    """max(x, 0) with torch's clamp_min gradient: 1 at 0."""
    return jnp.where(x >= 0, x, jnp.zeros_like(x))


def _check_cosine(x1: Any, x2: Any, target: Any) -> None:
    sizes = f"found inputs with sizes {list(x1.shape)} and {list(x2.shape)}."
    if target.ndim not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    wanted = 2 if target.ndim else 1
    if x1.ndim != wanted or x2.ndim != wanted:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {wanted}D input tensors, but {sizes}"
        )


@op("arith", into=("internal",), elementwise=False, grad_name=by_reduction("AddBackward0"))
def cosine_embedding_op(
    input1: Tensor, input2: Tensor, target: Tensor, margin: Scalar, reduction: str
) -> Any:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1."""
    _check_cosine(input1, input2, target)
    broadcast_check([input1.shape, input2.shape])
    axis = input1.ndim - 1
    eps = num.as_dtype(1e-12, input1)
    dot = jnp.sum(input1 * input2, axis)
    squares = (jnp.sum(jnp.square(x), axis) + eps for x in (input1, input2))
    cosine = dot / jnp.sqrt(next(squares) * next(squares))
    broadcast_check([target.shape, cosine.shape])
    apart = _floor(cosine - num.as_dtype(margin, cosine))
    zero = jnp.zeros_like(cosine)
    loss = jnp.where(target == 1, 1 - cosine, zero) + jnp.where(target == -1, apart, zero)
    return reduced(loss, reduction)


@composite(into=_F)
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - cos(input1, input2) for pairs that belong together, max(0, cos - margin) for others."""
    reduction = reduction_of(reduction, size_average, reduce)
    pair = tuple(in_default_float(x) for x in (input1, input2))
    return internal.cosine_embedding_op(*pair, target.detach(), float(margin), reduction)


@composite(into=_F)
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, -target (input1 - input2) + margin)."""
    reduction = reduction_of(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return _reduce(((-target) * (input1 - input2) + margin).clamp_min(0), reduction)


def _reduce(loss: Any, reduction: str) -> Any:
    if reduction == "mean":
        return loss.mean()
    return loss.sum() if reduction == "sum" else loss


@composite(into=_F)
def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """input where target is 1, max(0, margin - input) where it is -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    zeros = ops.zeros_like(input)
    near = ops.where(target != 1, (margin - input).clamp_min(0), zeros)
    return _reduce(near + ops.where(target != -1, input, zeros), reduction)


@op(
    "arith",
    into=("internal",),
    elementwise=False,
    grad_name="SoftMarginLossBackward0",
    layout=pointwise,
)
def soft_margin_op(input: Tensor, target: Tensor, reduction: str) -> Any:
    """log(1 + exp(-target input))."""
    broadcast_check([input.shape, target.shape])
    from .classify import _softplus

    return reduced(_softplus(-target * input), reduction)


@composite(into=_F)
def soft_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target input)) for targets 1 and -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    return internal.soft_margin_op(input, target, reduction)


@composite(into=_F)
def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Binary cross entropy of each label's logit, averaged over labels."""
    reduction = reduction_of(reduction, size_average, reduce)
    loss = -(target * nnf.logsigmoid(input) + (1 - target) * nnf.logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _reduce(loss.sum(dim=-1) / input.size(-1), reduction)


def _check_rows(x: Any) -> None:
    if x.ndim > 2 or 0 in x.shape[1:] or (x.ndim == 1 and x.shape[0] == 0):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(x.shape)}"
        )


@op("none", into=("internal",), grad_name="MultiMarginLossBackward0")
def multi_margin_op(
    input: Tensor, target: Tensor, weight: OptTensor, p: int, margin: Scalar, reduction: str
) -> Any:
    """sum over other classes of weight[target] max(0, margin - x[target] + x)^p / classes."""
    _check_rows(input)
    rows = jnp.atleast_2d(input) if input.ndim < 2 else input
    labels = target.reshape(-1) if target.ndim == 0 or input.ndim < 2 else target
    if labels.shape != (rows.shape[0],):
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{rows.shape[0]}], but got "
            f"{list(target.shape)}. Input has shape {list(input.shape)}."
        )
    classes = rows.shape[1]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"inconsistent weight size, expected {classes} but got {list(weight.shape)}"
        )
    if target.dtype != jnp.int64:
        from .classify import _type_name

        raise RuntimeError(f"expected scalar type Long but found {_type_name(target)}")
    hot = lax.broadcasted_iota(jnp.int64, rows.shape, 1) == labels[:, None]
    zero = jnp.zeros_like(rows)
    own = jnp.sum(jnp.where(hot, rows, zero), 1, keepdims=True)
    gap = num.as_dtype(margin, rows) - own + rows
    # torch gives no gradient where the gap is exactly 0.
    term = jnp.where(gap > 0, gap, zero)
    term = term if p == 1 else jnp.square(term)
    if weight is not None:
        term = term * jnp.sum(jnp.where(hot, weight, zero), 1, keepdims=True)
    loss = jnp.sum(jnp.where(hot, zero, term), 1) / classes
    if reduction == "none" and target.ndim == 0:
        return loss.reshape(())
    return reduced(loss, reduction)


@composite(into=_F)
def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The hinge loss of class scores, p = 1 or 2."""
    reduction = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    out = internal.multi_margin_op(input, target, weight, p, float(margin), reduction)
    error = RuntimeError("target out of range")
    require(
        "class_bounds", lambda t, n: (t < 0) | (t >= n), [target],
        [input.shape[-1] if input.dim() else 1],
        lambda _: error,
    )  # fmt: skip
    return out


@op("none", into=("internal",), grad_name="MultilabelMarginLossBackward0")
def multilabel_margin_op(input: Tensor, target: Tensor, reduction: str) -> Any:
    """sum over labels y and other classes j of max(0, 1 - x[y] + x[j]) / classes."""
    _check_rows(input)
    if target.shape != input.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    rows, labels = jnp.atleast_2d(input), jnp.atleast_2d(target).astype(jnp.int64)
    classes = rows.shape[1]
    # Labels run up to the first -1.
    listed = jnp.cumprod((labels != -1).astype(jnp.int32), 1) > 0
    hot = (labels[:, :, None] == jnp.arange(classes)) & listed[:, :, None]  # N, label, class
    is_label = hot.any(1)
    own = jnp.take_along_axis(rows, jnp.clip(labels, 0, classes - 1), 1)
    gap = 1 - own[:, :, None] + rows[:, None, :]
    counts = listed[:, :, None] & ~is_label[:, None, :] & (gap > 0)
    loss = jnp.sum(jnp.where(counts, gap, jnp.zeros_like(gap)), (1, 2)) / classes
    return reduced(loss.reshape(input.shape[:-1]), reduction)


@composite(into=_F)
def multilabel_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """The hinge loss between every label of a sample and every other class."""
    reduction = reduction_of(reduction, size_average, reduce)
    labels = target.long() if target.is_floating_point() else target
    out = internal.multilabel_margin_op(input, labels, reduction)
    error = RuntimeError("argument #2 'target' is out of range")
    require(
        "label_bounds", lambda t, n: (t < -1) | (t >= n), [labels],
        [input.shape[-1] if input.dim() else 1],
        lambda _: error,
    )  # fmt: skip
    return out


def _check_triplet(anchor: Any, positive: Any, negative: Any, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    dims = (anchor.dim(), positive.dim(), negative.dim())
    if len(set(dims)) != 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {dims[0]}D, positive {dims[1]}D, and negative {dims[2]}D "
            "inputs"
        )


def _triplet(
    anchor: Any, positive: Any, negative: Any, distance: Callable[..., Any], margin: float,
    swap: bool, reduction: str,
) -> Any:  # fmt: skip
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return _reduce(ops.clamp_min(margin + near - far, 0), reduction)


@composite(into=_F)
def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2,
    eps: float = 1e-6, swap: bool = False, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being the p-norm distance.

    Source: Balntas et al., 2016.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _check_triplet(anchor, positive, negative, margin)

    def distance(a: Any, b: Any) -> Any:
        return nnf.pairwise_distance(a, b, p, eps)

    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


@composite(into=_F)
def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *, distance_function: Any = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """triplet_margin_loss with any distance.

    Source: Balntas et al., 2016.
    """
    if reduction not in _CODES:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    _check_triplet(anchor, positive, negative, margin)
    distance = nnf.pairwise_distance if distance_function is None else distance_function
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


# How many positional arguments each takes; the last is the reduction.
for _name, _count in (
    ("cosine_embedding_loss", 5), ("margin_ranking_loss", 5), ("hinge_embedding_loss", 4),
    ("triplet_margin_loss", 8),
):  # fmt: skip
    _numbered(getattr(nnf, _name), _name, _count)
