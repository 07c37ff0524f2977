"""Layers over jagged tensors: products with the packed values, norms, attention by sample."""

from __future__ import annotations

from typing import Any

from ..._ops.registry import nnf, ops
from ._dims import inner_dim
from ._elementwise import matches
from ._table import RULES, rule
from .nested_tensor import (
    NestedTensor,
    from_padded,
    to_padded,
)


@rule("linear")
def linear(input: NestedTensor, weight: Any, bias: Any = None) -> Any:
    """Each element of the last dim, by one product of all samples."""
    inner_dim(input, -1, "linear")
    return input.like(nnf.linear(input._values, weight, bias))


def _check_normalized(x: NestedTensor, shape: Any, name: str) -> None:
    if len(tuple(shape)) > x.dim() - x._ragged_idx - 1:
        raise ValueError(
            f"{name}(): Normalization over the ragged dim not supported for nested tensors"
        )


@rule("layer_norm")
def layer_norm(
    input: NestedTensor, normalized_shape: Any, weight: Any = None, bias: Any = None,
    eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Over the last dims, which must be dense."""
    _check_normalized(input, normalized_shape, "layer_norm")
    return input.like(nnf.layer_norm(input._values, normalized_shape, weight, bias, eps))


@rule("rms_norm")
def rms_norm(
    input: NestedTensor, normalized_shape: Any, weight: Any = None, eps: Any = None
) -> Any:
    """Over the last dims, which must be dense."""
    _check_normalized(input, normalized_shape, "rms_norm")
    return input.like(nnf.rms_norm(input._values, normalized_shape, weight, eps))


@rule("embedding")
def embedding(input: Any, weight: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Rows of a table for a nested tensor of indices."""
    return input.like(nnf.embedding(input._values, weight, *args, **kwargs))


@rule("matmul", "__matmul__", "bmm")
def matmul(a: Any, b: Any) -> Any:
    """Products with a dense matrix, by sample with dense ones, or over the ragged dim."""
    nested = isinstance(a, NestedTensor), isinstance(b, NestedTensor)
    if nested == (True, False) and a._ragged_idx < a.dim() - 1:
        if b.dim() == 2:
            return a.like(ops.matmul(a._values, b))
        if b.dim() == a.dim():
            return from_padded(ops.matmul(to_padded(a, 0.0), b), a)
    if nested == (False, True) and b._ragged_idx >= 2:
        if a.dim() == 2 and b.dim() > 2:
            return b.like(ops.matmul(a, b._values))
        if a.dim() == b.dim():
            return from_padded(ops.matmul(a, to_padded(b, 0.0)), b)
    if nested == (True, True):
        if a.dim() > 3 and b.dim() > 3 and matches(a, b):
            return a.like(ops.matmul(a._values, b._values))
        over = a.dim() == b.dim() == 3 and (a._ragged_idx, b._ragged_idx) == (2, 1)
        if over and a.shape[2] == b.shape[1]:
            return ops.matmul(to_padded(a, 0.0), to_padded(b, 0.0))
    raise RuntimeError(
        f"matmul(): not supported between inputs of shapes {tuple(a.shape)} and {tuple(b.shape)}"
    )


RULES["__rmatmul__"] = lambda a, b: matmul(b, a)


@rule("scaled_dot_product_attention")
def attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """Attention within each sample: (batch, heads, ragged, features), by way of a padded one."""
    parts = (query, key, value)
    if not all(isinstance(x, NestedTensor) for x in parts):
        raise ValueError(
            "Expected query, key, and value to all be nested jagged tensors or none of them"
        )
    if attn_mask is not None:
        raise ValueError("Masks are not yet supported!")
    if query.dim() < 3:
        raise ValueError(
            "Expected query, key, and value to all be  at least 3 dimensional, but got query.dim: "
            f"{query.dim()}, key.dim: {key.dim()} and value.dim: {value.dim()} instead."
        )
    padded = [to_padded(x, 0.0) for x in parts]
    width = padded[1].shape[-2]
    lengths = key._offsets.diff() if key._lengths is None else key._lengths
    there = ops.arange(width, device=lengths.device) < lengths.unsqueeze(1)
    mask = there.reshape(there.shape[0], *[1] * (query.dim() - 2), width)
    if is_causal:
        rows = padded[0].shape[-2]
        mask = mask & ops.ones(rows, width, dtype=mask.dtype, device=mask.device).tril()
    out = nnf.scaled_dot_product_attention(
        *padded, attn_mask=mask, dropout_p=dropout_p, scale=scale, enable_gqa=enable_gqa
    )
    return from_padded(out, query)
