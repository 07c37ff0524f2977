"""Attention: scaled dot products, and the whole multi-head layer as a composite.

Source: Vaswani et al., 2017.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax.numpy as jnp

from ..call.operator import broadcast_check
from ..call.warning import user_level
from ..registry import OptTensor, Scalar, Tensor, composite, internal, nnf, op, ops
from ..shared import numeric as num
from . import fused_attention

_F = ("nn.functional",)


def _scalar_name(x: Any) -> str:
    from ..._basics.dtypes import SCALAR_NAMES, from_np

    return {"Float": "float", "Double": "double", "Long": "long int", "Int": "int",
            "Bool": "bool"}.get(name := SCALAR_NAMES[from_np(x.dtype)], "c10::" + name)  # fmt: skip


def _check_attention(q: Any, k: Any, v: Any, mask: Any) -> None:
    if not q.dtype == k.dtype == v.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{_scalar_name(q)} key.dtype: {_scalar_name(k)} and value.dtype: {_scalar_name(v)} "
            "instead."
        )
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{q.ndim} key.dim: {k.ndim} and value.dim: {v.ndim} instead."
        )
    if mask is not None and not (
        num.is_bool(mask) or mask.dtype == jnp.float32 or mask.dtype == q.dtype
    ):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {_scalar_name(mask)} and  query.dtype: {_scalar_name(q)} instead."
        )


def _share_heads(q: Any, k: Any, v: Any) -> tuple[Any, Any]:
    """Keys and values repeated so that every query head has its own."""
    if q.shape[-3] % k.shape[-3] or q.shape[-3] % v.shape[-3]:
        raise RuntimeError("Number of heads in key and value must divide the number of heads in ")
    k = jnp.repeat(k, q.shape[-3] // k.shape[-3], -3)
    return k, jnp.repeat(v, q.shape[-3] // v.shape[-3], -3)


def _check_product(q: Any, k: Any, *others: Any) -> None:
    broadcast_check([(*x.shape[:-2], 1, 1) for x in (q, k, *others)])
    if q.shape[-1] != k.shape[-1]:
        batch = math.prod(q.shape[:-2])
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{batch}, "
            f"{q.shape[-1]}] but got: [{batch}, {k.shape[-1]}]."
        )


def _default_scale(q: Any, scale: Any) -> Any:
    if scale is not None:
        return scale
    return 1.0 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0


def _wide_mask(q: Any, k: Any, mask: Any) -> Any:
    if mask is None:
        return None
    lead = broadcast_check([q.shape[:-2], k.shape[:-2]])
    broadcast_check([(*lead, q.shape[-2], k.shape[-2]), mask.shape])
    return mask if num.is_bool(mask) else num.widen(mask)


@op("none", into=("internal",), grad_name="SoftmaxBackward0")
def attention_weights(
    query: Tensor, key: Tensor, attn_mask: OptTensor, is_causal: bool, scale: Scalar,
    enable_gqa: bool,
) -> Any:  # fmt: skip
    """The probabilities of attention, before dropout."""
    _check_attention(query, key, key, attn_mask)
    if enable_gqa:
        key, _ = _share_heads(query, key, key)
    _check_product(query, key)
    mask, scale = _wide_mask(query, key, attn_mask), _default_scale(query, scale)
    made = fused_attention.probabilities(num.widen(query), num.widen(key), mask, is_causal, scale)
    return made.astype(query.dtype)


@op("none", into=("internal",), grad_name="ScaledDotProductFlashAttentionForCpuBackward0")
def attend(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: OptTensor, is_causal: bool,
    scale: Scalar, enable_gqa: bool,
) -> Any:  # fmt: skip
    """softmax(query key^T scale + mask) value."""
    _check_attention(query, key, value, attn_mask)
    if enable_gqa:
        key, value = _share_heads(query, key, value)
    _check_product(query, key, value)
    mask, scale = _wide_mask(query, key, attn_mask), _default_scale(query, scale)
    q, k, v = map(num.widen, (query, key, value))
    if fused_attention.fits(q, k, v, mask):
        made = fused_attention.attend(q, k, v, mask, is_causal, scale)
    else:
        (made,) = fused_attention.formula(q, k, v, scale, mask, causal=is_causal)
    return made.astype(query.dtype)


@composite(into=_F)
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """Attention of (..., L, E) to (..., S, E); a bool mask says where to look.

    `is_causal` hides later positions, `enable_gqa` lets groups of query heads share key heads.
    """
    if dropout_p == 0.0:
        return internal.attend(query, key, value, attn_mask, is_causal, scale, enable_gqa)
    weights = internal.attention_weights(query, key, attn_mask, is_causal, scale, enable_gqa)
    weights = nnf.dropout(weights, dropout_p, True)
    if enable_gqa:
        value = value.repeat_interleave(query.size(-3) // value.size(-3), -3)
    return ops.matmul(weights, value)


def _as_float_mask(mask: Any, name: str, like: Any, other: Any = None, other_name: str = "") -> Any:
    """A mask in the form that is added to scores: -inf where a bool mask is true."""
    if mask is None:
        return None
    is_bool = mask.dtype.name == "bool"
    if not is_bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other is not None and mask.dtype != other.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both "
            "instead.",
            stacklevel=user_level(),
        )
    if not is_bool:
        return mask
    return ops.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))


def _is_batched(q: Any, k: Any, v: Any, padding: Any, mask: Any, heads: int) -> bool:
    """Whether the query has a batch dimension.

    Raises: AssertionError, in torch's words, where the others do not match it.
    """
    if q.dim() not in (2, 3):
        raise AssertionError(
            "query should be unbatched 2D or batched 3D tensor but received "
            f"{q.dim()}-D query tensor"
        )
    batched = q.dim() == 3
    kind = "batched (3-D)" if batched else "unbatched (2-D)"
    if k.dim() != q.dim() or v.dim() != q.dim():
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {q.dim()}-D but found "
            f"{k.dim()}-D and {v.dim()}-D tensors respectively"
        )
    if padding is not None and padding.dim() != q.dim() - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {q.dim() - 1}-D but "
            f"found {padding.dim()}-D tensor instead"
        )
    if mask is not None:
        if mask.dim() not in (2, 3):
            raise AssertionError(
                f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                f"{mask.dim()}-D tensor instead"
            )
        wanted = (heads, q.shape[0], k.shape[0])
        if not batched and mask.dim() == 3 and tuple(mask.shape) != wanted:
            raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {mask.shape}")
    return batched


def _split_bias(bias: Any, parts: list[int]) -> Any:
    return [None] * len(parts) if bias is None else bias.split(parts)


def _project_packed(q: Any, k: Any, v: Any, weight: Any, bias: Any) -> Any:
    """Queries, keys and values by one stacked weight; one product where the inputs are the same."""
    width = q.size(-1)
    if q is k and k is v:
        return nnf.linear(q, weight, bias).split(width, -1)
    if k is v:
        w_q, w_kv = weight.split([width, 2 * width])
        b_q, b_kv = _split_bias(bias, [width, 2 * width])
        return nnf.linear(q, w_q, b_q), *nnf.linear(k, w_kv, b_kv).split(width, -1)
    weights, biases = weight.split(width), _split_bias(bias, [width] * 3)
    return [nnf.linear(x, w, b) for x, w, b in zip((q, k, v), weights, biases, strict=True)]


def _check_mask_shape(mask: Any, length: int, source: int, rows: int) -> Any:
    if mask.dim() not in (2, 3):
        raise RuntimeError(f"attn_mask's dimension {mask.dim()} is not supported")
    wanted = (length, source) if mask.dim() == 2 else (rows, length, source)
    if tuple(mask.shape) != wanted:
        raise RuntimeError(
            f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {wanted}."
        )
    return mask.unsqueeze(0) if mask.dim() == 2 else mask


def _check_static(given: Any, rows: int, width: int, name: str) -> Any:
    for dim, wanted in ((0, rows), (2, width)):
        if given.size(dim) != wanted:
            raise AssertionError(
                f"expecting {name}.size({dim}) of {wanted}, but got {given.size(dim)}"
            )
    return given


@composite(into=_F)
def multi_head_attention_forward(
    query: Any, key: Any, value: Any, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Any, in_proj_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: bool,
    dropout_p: float, out_proj_weight: Any, out_proj_bias: Any, training: bool = True,
    key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Any = None, k_proj_weight: Any = None,
    v_proj_weight: Any = None, static_k: Any = None, static_v: Any = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> Any:  # fmt: skip
    """Project, attend in `num_heads` heads, join and project; (output, weights or None).

    Shape: query (L, N, E) or (L, E), key and value (S, N, E) or (S, E).
    """
    batched = _is_batched(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same = (key is query, value is key)
        query = query.unsqueeze(1)
        key = query if same[0] else key.unsqueeze(1)
        value = key if same[1] else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, width = query.shape
    key_padding_mask = _as_float_mask(
        key_padding_mask, "key_padding_mask", query, attn_mask, "attn_mask"
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None  # the hint alone says the same
    else:
        attn_mask = _as_float_mask(attn_mask, "attn_mask", query)
        is_causal = is_causal and key_padding_mask is None
    if width != embed_dim_to_check:
        raise AssertionError(
            f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}"
        )
    head = width // num_heads
    if head * num_heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's "
                f"{value.shape[:2]}"
            )
        biases = _split_bias(in_proj_bias, [width] * 3)
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        for label, w in zip("qkv", weights, strict=True):
            if w is None:
                raise AssertionError(
                    f"use_separate_proj_weight is True but {label}_proj_weight is None"
                )
        q, k, v = (
            nnf.linear(x, w, b)
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
    else:
        if key.shape != value.shape:
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
        if in_proj_weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = _project_packed(query, key, value, in_proj_weight, in_proj_bias)

    rows = batch * num_heads
    if attn_mask is not None:
        attn_mask = _check_mask_shape(attn_mask, length, key.shape[0], rows)
    extra = 0
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            which = "key" if static_k is not None else "value"
            raise AssertionError(f"bias cannot be added to static {which}.")
        k = ops.cat([k, bias_k.repeat(1, batch, 1)])
        v = ops.cat([v, bias_v.repeat(1, batch, 1)])
        extra += 1
    elif bias_k is not None:
        raise AssertionError("bias_k is set but bias_v is None")
    elif bias_v is not None:
        raise AssertionError("bias_v is set but bias_k is None")

    def by_head(x: Any) -> Any:
        return x.reshape(x.shape[0], rows, head).transpose(0, 1)

    q = by_head(q)
    k = by_head(k) if static_k is None else _check_static(static_k, rows, head, "static_k")
    v = by_head(v) if static_v is None else _check_static(static_v, rows, head, "static_v")
    if add_zero_attn:
        zeros = ops.zeros((rows, 1, head), dtype=k.dtype, device=k.device)
        k, v = ops.cat([k, zeros], 1), ops.cat([v, zeros], 1)
        extra += 1
    if extra:
        attn_mask = None if attn_mask is None else nnf.pad(attn_mask, (0, extra))
        if key_padding_mask is not None:
            key_padding_mask = nnf.pad(key_padding_mask, (0, extra))
    source = k.size(1)
    if key_padding_mask is not None:
        if tuple(key_padding_mask.shape) != (batch, source):
            raise AssertionError(
                f"Expected key_padded_mask.shape[0] to be {batch}, but got "
                f"{key_padding_mask.shape[0]}"
                if key_padding_mask.shape[0] != batch
                else f"Expected key_padded_mask.shape[1] to be {source}, but got "
                f"{key_padding_mask.shape[1]}"
            )
        hidden = key_padding_mask.reshape(batch, 1, 1, source).expand(-1, num_heads, -1, -1)
        hidden = hidden.reshape(rows, 1, source)
        attn_mask = hidden if attn_mask is None else attn_mask + hidden
    out, weights = _heads(
        q, k, v, attn_mask, dropout_p if training else 0.0, is_causal, need_weights, batch
    )
    out = nnf.linear(out.reshape(length * batch, width), out_proj_weight, out_proj_bias)
    out = out.reshape(length, batch, out.size(1))
    if weights is not None:
        weights = weights.reshape(batch, num_heads, length, source)
        weights = weights.mean(dim=1) if average_attn_weights else weights
    if batched:
        return out, weights
    return out.squeeze(1), None if weights is None else weights.squeeze(0)


def _heads(
    q: Any, k: Any, v: Any, mask: Any, dropout_p: float, is_causal: bool, need_weights: bool,
    batch: int,
) -> tuple[Any, Any]:  # fmt: skip
    """Attention over (N * heads, L, E): (L, N, heads * E) and the weights, if wanted."""
    rows, _, head = q.shape
    if not need_weights:
        if mask is not None:
            one = mask.size(0) == 1
            mask = mask.unsqueeze(0) if one else mask.reshape(batch, -1, *mask.shape[1:])
        q, k, v = (x.reshape(batch, rows // batch, x.shape[1], head) for x in (q, k, v))
        out = nnf.scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
        return out.permute(2, 0, 1, 3), None
    scores = ops.bmm(q * math.sqrt(1.0 / head), k.transpose(-2, -1))
    if mask is not None:
        scores = scores + mask
    weights = nnf.softmax(scores, -1)
    if dropout_p > 0.0:
        weights = nnf.dropout(weights, dropout_p)
    return ops.bmm(weights, v).transpose(0, 1), weights
