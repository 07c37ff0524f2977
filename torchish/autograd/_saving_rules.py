"""Gradients from what torch keeps, where that is not what `jax.vjp` would keep.

Only nodes whose saved tensors are packed by hooks use them: there the gradient must come from what
the hooks gave back. A rule's names are torch's; `d` is how the operator was called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from .._ops.image.pool import _max_windows_of
from .._ops.image.winners import argmax_windows
from .._ops.registry import wrap_dim
from .._ops.shared import numeric as num

Arrays = dict[str, Any]


class Rule(NamedTuple):
    """`backward(d, kept, grad)`: gradients by the name of the argument.

    `results(d, operands)` computes results that only torch's own function returns (None: what is
    kept is the operator's result). A rule that has them is not for second derivatives.
    """

    backward: Callable[[Any, Arrays, Any], Arrays]
    results: Callable[[Any, Arrays], tuple[Any, ...]] | None = None


def _unary(formula: Callable[[Any, Any], Any]) -> Rule:
    def backward(d: Any, kept: Arrays, grad: Any) -> Arrays:
        y = kept["result"]
        return {"self": (formula(jnp.conj(y), grad)).astype(y.dtype)}

    return Rule(backward)


def _softmax(d: Any, kept: Arrays, grad: Any) -> Arrays:
    y = num.widen(kept["result"])
    g = num.widen(grad)
    axis = wrap_dim(d["dim"], y.ndim)
    if y.ndim == 0:
        return {"self": jnp.zeros_like(grad)}
    return {"self": y * (g - jnp.sum(g * y, axis, keepdims=True))}


def _log_softmax(d: Any, kept: Arrays, grad: Any) -> Arrays:
    y = num.widen(kept["result"])
    g = num.widen(grad)
    if y.ndim == 0:
        return {"self": jnp.zeros_like(grad)}
    axis = wrap_dim(d["dim"], y.ndim)
    return {"self": g - jnp.exp(y) * jnp.sum(g, axis, keepdims=True)}


def _normalised(x: Any, mean: Any, rstd: Any, grad: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """The normalised x, and the gradient of x from that of the normalised x."""
    hat = (x - mean) * rstd
    inner = jnp.mean(grad * hat, axes, keepdims=True)
    return hat, rstd * (grad - jnp.mean(grad, axes, keepdims=True) - hat * inner)


def _moments(x: Any, axes: tuple[int, ...], eps: Any) -> tuple[Any, Any]:
    mean = jnp.mean(x, axes, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axes, keepdims=True)
    return mean, lax.rsqrt(variance + num.as_dtype(eps, x))


def _eps(d: Any, given: Arrays) -> Any:
    return given["eps"] if "eps" in given else d["eps"]


def _kept_kind(operands: Arrays) -> Any:
    weight = operands.get("weight")
    return operands["input"].dtype if weight is None else weight.dtype


def _layer_axes(d: Any, x: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim - len(tuple(d["normalized_shape"])), x.ndim))


def _layer_results(d: Any, operands: Arrays) -> tuple[Any, ...]:
    x = num.widen(operands["input"])
    found = _moments(x, _layer_axes(d, x), _eps(d, operands))
    return tuple(s.astype(_kept_kind(operands)) for s in found)


def _layer_norm(d: Any, kept: Arrays, grad: Any) -> Arrays:
    x, g = num.widen(kept["input"]), num.widen(grad)
    axes = _layer_axes(d, x)
    weight = kept.get("weight")
    wide = g if weight is None else g * weight.astype(g.dtype)
    mean, rstd = (kept[k].astype(x.dtype) for k in ("result1", "result2"))
    hat, dx = _normalised(x, mean, rstd, wide, axes)
    lead = tuple(range(x.ndim - len(axes)))
    return {"input": dx, "weight": jnp.sum(g * hat, lead), "bias": jnp.sum(g, lead)}


def _channels(x: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)


def _batch_results(d: Any, operands: Arrays) -> tuple[Any, ...]:
    x = num.widen(operands["input"])
    found = _moments(x, _channels(x)[0], _eps(d, operands))
    return tuple(s.reshape(-1).astype(_kept_kind(operands)) for s in found)


def _batch_train(d: Any, kept: Arrays, grad: Any) -> Arrays:
    x, g = num.widen(kept["input"]), num.widen(grad)
    axes, shape = _channels(x)
    weight = kept.get("weight")
    wide = g if weight is None else g * weight.astype(g.dtype).reshape(shape)
    mean, rstd = (kept[k].astype(x.dtype).reshape(shape) for k in ("result1", "result2"))
    hat, dx = _normalised(x, mean, rstd, wide, axes)
    return {"input": dx, "weight": jnp.sum(g * hat, axes), "bias": jnp.sum(g, axes)}


def _batch_no_results(d: Any, operands: Arrays) -> tuple[Any, ...]:
    return tuple(jnp.zeros((0,), _kept_kind(operands)) for _ in range(2))


def _batch_eval(d: Any, kept: Arrays, grad: Any) -> Arrays:
    x, g = num.widen(kept["input"]), num.widen(grad)
    axes, shape = _channels(x)
    rstd = lax.rsqrt(kept["running_var"].astype(x.dtype) + num.as_dtype(_eps(d, kept), x))
    rstd, mean = rstd.reshape(shape), kept["running_mean"].astype(x.dtype).reshape(shape)
    weight = kept.get("weight")
    dx = g * rstd if weight is None else g * rstd * weight.astype(x.dtype).reshape(shape)
    hat = (x - mean) * rstd
    return {"input": dx, "weight": jnp.sum(g * hat, axes), "bias": jnp.sum(g, axes)}


def _grouped(d: Any, x: Any) -> Any:
    groups = d["num_groups"]
    return x.reshape(x.shape[0], groups, x.size // max(x.shape[0] * groups, 1))


def _group_results(d: Any, operands: Arrays) -> tuple[Any, ...]:
    found = _moments(_grouped(d, num.widen(operands["input"])), (2,), _eps(d, operands))
    return tuple(s[..., 0].astype(_kept_kind(operands)) for s in found)


def _group_norm(d: Any, kept: Arrays, grad: Any) -> Arrays:
    x, g = num.widen(kept["input"]), num.widen(grad)
    axes, shape = _channels(x)
    weight = kept.get("weight")
    wide = g if weight is None else g * weight.astype(g.dtype).reshape(shape)
    mean, rstd = (kept[k].astype(x.dtype)[..., None] for k in ("result1", "result2"))
    hat, dx = _normalised(_grouped(d, x), mean, rstd, _grouped(d, wide), (2,))
    hat, dx = hat.reshape(x.shape), dx.reshape(x.shape)
    return {"input": dx, "weight": jnp.sum(g * hat, axes), "bias": jnp.sum(g, axes)}


def _pool_results(d: Any, operands: Arrays) -> tuple[Any, ...]:
    x, names = operands["self"], ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "nd")
    windows = _max_windows_of(x, *[d[name] for name in names])
    return (argmax_windows(x, windows)[1].astype(jnp.int64),)


def _max_pool(d: Any, kept: Arrays, grad: Any) -> Arrays:
    x, index, nd = kept["self"], kept["result1"], d["nd"]
    lead = x.shape[: x.ndim - nd]
    rows = 1
    for n in lead:
        rows *= n
    flat = jnp.zeros((rows, x.size // max(rows, 1)), grad.dtype)
    where, what = index.reshape(rows, -1), grad.reshape(rows, -1)
    flat = flat.at[jnp.arange(rows)[:, None], where].add(what)
    return {"self": flat.reshape(x.shape)}


def _chosen(d: Any, kept: Arrays, grad: Any) -> Arrays:
    """The gradient of what `indices` chose along a dim goes back to where it came from."""
    index, shape = kept["indices"], d["shape"]
    if not shape:
        return {"self": grad}
    dim = wrap_dim(d.get("dim", -1), len(shape))
    if index.ndim < len(shape):
        index, grad = jnp.expand_dims(index, dim), jnp.expand_dims(grad, dim)
    at = list(jnp.indices(index.shape, sparse=True))
    at[dim] = index
    return {"self": jnp.zeros(shape, grad.dtype).at[tuple(at)].add(grad)}


# By the name of the operator in the registry.
RULES: dict[str, Rule] = {
    "exp": _unary(lambda y, g: g * y),
    "exp2": _unary(lambda y, g: g * y * math.log(2)),
    "expm1": _unary(lambda y, g: g * (y + 1)),
    "sqrt": _unary(lambda y, g: g / (2 * y)),
    "rsqrt": _unary(lambda y, g: -0.5 * g * y * y * y),
    "reciprocal": _unary(lambda y, g: -g * (y * y)),
    "sigmoid": _unary(lambda y, g: g * ((1 - y) * y)),
    "tanh": _unary(lambda y, g: g * (1 - y * y)),
    "tan": _unary(lambda y, g: g * (1 + y * y)),
    "relu": _unary(lambda y, g: jnp.where(y <= 0, 0, g)),
    "softmax": Rule(_softmax),
    "log_softmax": Rule(_log_softmax),
    "layer_norm": Rule(_layer_norm, _layer_results),
    "batch_norm_train": Rule(_batch_train, _batch_results),
    "batch_norm_eval": Rule(_batch_eval, _batch_no_results),
    "group_norm": Rule(_group_norm, _group_results),
    "max_pool": Rule(_max_pool, _pool_results),
    **dict.fromkeys(
        ("max", "min", "median", "nanmedian", "kthvalue", "mode", "sort", "topk"), Rule(_chosen)
    ),
}
# Which result of ours a name of torch's is; some mean another one for a node.
RESULTS = {
    "result": 0, "result0": 0, "indices": 1, "min": 0, "max": 1, "solution": 0, "eigenvalues": 0,
    "eigenvectors": 1, "U": 0, "S": 1, "Vh": 2, "Q": 0, "R": 1, "LU": 0, "pivots": 1, "inverse": 0,
}  # fmt: skip
RESULTS_OF = {
    "LinalgLuBackward0": {"P": 0, "L": 1, "U": 2},
    "LinalgCholeskyExBackward0": {"L": 0},
    "StdMeanBackward0": {"result0": 0},
}
# What torch keeps for its shape or its values though this engine's gradient has no use for it:
# an operand whenever its own gradient is wanted. Results are kept with the same operands.
OWN = {
    "AngleBackward0": "self",
    "AdaptiveAvgPool2DBackward0": "self",
    "AvgPool2DBackward0": "self",
    "AvgPool3DBackward0": "self",
    "GatherBackward0": "self",
    "IndexAddBackward0": "source",
    "IndexCopyBackward0": "source",
    "NextafterBackward0": "other self",
    "PowBackward0": "self",
    "PutBackward0": "source",
    "ReflectionPad1DBackward0": "self",
    "ReflectionPad2DBackward0": "self",
    "ReflectionPad3DBackward0": "self",
    "ReplicationPad1DBackward0": "self",
    "ReplicationPad2DBackward0": "self",
    "ReplicationPad3DBackward0": "self",
    "SgnBackward0": "self",
    "TakeBackward0": "self",
    # The exponent's derivative is the one that takes the result.
    "PowBackward1": "exponent",
}
# Operators whose node has the name of another one in torch: what torch keeps on the way.
KEPT_ON_THE_WAY = {
    "max_pool": "self | result1 |",
    "median": "| indices | dim keepdim",
    "nanmedian": "| indices | dim keepdim",
    "_linear_addmm": "mat1 mat2 | |",
    "_linear_mm": "self mat2 | |",
    "_linear_addmm_view": "mat1 mat2 | |",
    "_linear_mm_view": "self mat2 | |",
}
