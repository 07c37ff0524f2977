"""Attention whose scores a function changes: `torch.nn.attention.flex_attention`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

from ..._basics import dtypes
from ..._ops.call.warning import user_level
from ..._ops.registry import ops
from ._blocks import (
    _DEFAULT_SPARSE_BLOCK_SIZE as _DEFAULT_SPARSE_BLOCK_SIZE,
    _LARGE_SPARSE_BLOCK_SIZE,
    BlockMask,
    _sliced_mask_mod_error,
    and_masks,
    create_block_mask,
    create_mask as create_mask,
    noop_mask,
    or_masks,
)
from ._mapping import (
    _get_mod_type as _get_mod_type,
    _ModificationType as _ModificationType,
    over_places,
)

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "FlexKernelOptions", "and_masks", "create_block_mask",
    "create_mask", "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = False
_BACKENDS = ("AUTO", "TRITON", "FLASH", "TRITON_DECODE")
_LSE = (
    "return_lse is deprecated and will be removed in v2.10. Please use "
    "return_aux=AuxRequest(lse=True) instead."
)


class FlexKernelOptions(TypedDict, total=False):
    """Settings of torch's CUDA kernels: accepted, without effect."""

    BACKEND: str
    num_warps: int
    num_stages: int
    BLOCK_M: int
    BLOCK_N: int
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    WRITE_DQ: bool
    FORCE_USE_FLEX_ATTENTION: bool


class AuxRequest(NamedTuple):
    """What is wanted beside the result."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What was wanted beside the result."""

    lse: Any = None
    max_scores: Any = None


def flex_attention(
    query: Any, key: Any, value: Any, score_mod: Callable[..., Any] | None = None,
    block_mask: BlockMask | None = None, scale: float | None = None, enable_gqa: bool = False,
    return_lse: bool = False, kernel_options: Any = None, *, return_aux: AuxRequest | None = None,
) -> Any:  # fmt: skip
    """softmax(score_mod(query key^T scale), hidden where the mask says so) value.

    Args:
        score_mod: (score, b, h, q_idx, kv_idx) -> score, on scalars.
        block_mask: of `create_block_mask`; its `mask_mod` says which scores are hidden.
        scale: 1 / sqrt(E) if None.
        enable_gqa: whether groups of query heads share a head of keys.
        return_aux: log-sum-exp and maxima of the scores, if wanted (`AuxOutput`).
        return_lse: deprecated: also the log-sum-exp of each query's scores.
        kernel_options: accepted, without effect.
    Shape: query (B, Hq, L, E), key (B, Hkv, S, E), value (B, Hkv, S, Ev); result (B, Hq, L, Ev).
    Raises: ValueError, NotImplementedError for shapes and devices that do not fit.
    Differs from torch: gradients on every device (torch has none on the CPU), and maxima too.
        Queries that see no key give zeros; all scores are computed, also of hidden blocks.
    Source: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """
    _check_inputs(query, key, value)
    _check_heads(query, key, block_mask, enable_gqa)
    if block_mask is not None:
        _check_block_mask(query, key, block_mask)
    _check_options(kernel_options)
    if return_lse and return_aux is not None:
        raise ValueError(
            "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use "
            "return_aux=AuxRequest(lse=True) instead."
        )
    if return_lse:
        warnings.warn(_LSE, FutureWarning, stacklevel=user_level())
    mask_mod = None if block_mask is None else block_mask.mask_mod
    scores = _scores(query, key, score_mod, mask_mod, scale)
    top, total, raised = _parts(scores)
    out = (raised / ops.where(total == 0, 1.0, total)).to(query.dtype) @ _shared(value, query)
    if return_aux is None and not return_lse:
        return out
    lse = (top + ops.log(total)).squeeze(-1)  # log 0 = -inf: no key is seen
    if return_aux is None:
        return out, lse
    maxima = scores.amax(-1) if return_aux.max_scores else None
    return out, AuxOutput(lse if return_aux.lse else None, maxima)


def _shared(x: Any, query: Any) -> Any:
    """Keys or values with a head for each query head, and a batch for each of the query's."""
    groups = query.size(1) // x.size(1)
    x = x if groups == 1 else x.repeat_interleave(groups, 1)
    return x.to(query.dtype).expand(query.size(0), *x.shape[1:])


def _scores(query: Any, key: Any, score_mod: Any, mask_mod: Any, scale: float | None) -> Any:
    """The changed scores, at least in float32: (B, H, L, S)."""
    work = dtypes.float64 if query.dtype is dtypes.float64 else dtypes.float32
    scale = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = query.to(work) @ _shared(key, query).to(work).transpose(-2, -1) * scale
    sizes, device = tuple(scores.shape), query.device
    if score_mod is not None:
        scores = over_places(score_mod, scores, *sizes, device=device).to(work)
    if mask_mod is not None and mask_mod is not noop_mask:
        shown = over_places(mask_mod, None, *sizes, device=device)
        scores = scores.masked_fill(~shown, float("-inf"))
    return scores


def _parts(scores: Any) -> tuple[Any, Any, Any]:
    """exp(scores - top), its sums and the tops; a row of -inf has top 0 and sum 0."""
    top = scores.detach().amax(-1, keepdim=True)
    top = ops.where(ops.isneginf(top), 0.0, top)
    raised = ops.exp(scores - top)
    return top, raised.sum(-1, keepdim=True), raised


def _check_inputs(query: Any, key: Any, value: Any) -> None:
    if not query.device == key.device == value.device:
        raise ValueError(
            "Expected query, key, and value to have the same device type, but got query.device: "
            f"{query.device}, key.device: {key.device}, and value.device: {value.device} instead."
        )
    if min(query.dim(), key.dim(), value.dim()) < 2:
        raise ValueError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.dim()}, key.dim: {key.dim()} and value.dim: {value.dim()} instead."
        )
    if query.size(-1) != key.size(-1):
        raise ValueError(
            "Expect query and key/value to have the same embedding dimension but got "
            f"E={query.size(-1)} and E={key.size(-1)}."
        )
    if not query.dim() == key.dim() == value.dim() == 4:
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")


def _check_heads(query: Any, key: Any, block_mask: Any, enable_gqa: bool) -> None:
    heads, shared = query.size(1), key.size(1)
    if not enable_gqa and heads != shared:
        raise ValueError(
            "Expect query and key/value to have the same number of heads but got "
            f"Hq={heads} and Hkv={shared}. Try setting enable_gqa=True for GQA."
        )
    if heads % shared:
        raise ValueError(
            "Expect number of query heads to be a multiple of kv heads for GQA but got "
            f"Hq={heads} and Hkv={shared}."
        )
    batch, other = query.size(0), key.size(0)
    if batch == other:
        return
    if block_mask is None:
        raise ValueError(
            "Expect query and key/value to have the same batch size, or non-none block_mask, but "
            f"got block_mask=None, Bq={batch}, and Bkv={other}."
        )
    if block_mask.kv_num_blocks.size(0) != batch:
        raise ValueError(
            "Expect query and key/value to have the same batch size, or block_mask and query to "
            f"have the same batch size, but got Bq={batch}, Bkv={other}, "
            f"B_block_mask={block_mask.kv_num_blocks.size(0)}."
        )
    if other != 1:
        raise RuntimeError(f"Bq and Bkv must broadcast. Got Bq={batch} and Bkv={other}")


def _check_block_mask(query: Any, key: Any, block_mask: BlockMask) -> None:
    if block_mask.mask_mod is _sliced_mask_mod_error:
        raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")
    if block_mask.kv_num_blocks.device != query.device:
        raise RuntimeError(
            "Expect q/k/v and block_mask to be on the same device but got "
            f"{query.device} and {block_mask.kv_num_blocks.device}."
        )
    if tuple(block_mask.BLOCK_SIZE) == (_LARGE_SPARSE_BLOCK_SIZE,) * 2:
        return
    have, made = (query.size(-2), key.size(-2)), tuple(block_mask.shape[-2:])
    if have == made:
        return
    lead = (
        f"block_mask was created for block_mask.shape={block_mask.shape} but got q_len={have[0]} "
        f"and kv_len={have[1]}. As the block mask was created for a "
    )
    if have[0] > made[0] or have[1] > made[1]:
        raise ValueError(
            lead + "smaller length than you're using it for, you likely need to create a new block "
            "mask."
        )
    raise ValueError(
        lead + "larger length than you're using it for, you can either 1. create a new block mask "
        "with the correct length, or 2. 'adjust' the existing block mask to the correct length by "
        "calling block_mask._adjust(q_len, kv_len). This essentially 'crops' the block mask to the "
        "upper left corner, which does not work for all mask_mods!"
    )


def _check_options(options: Any) -> None:
    if not options or "BACKEND" not in options:
        return
    if options.get("FORCE_USE_FLEX_ATTENTION", False):
        raise RuntimeError(
            "BACKEND cannot be combined with legacy FORCE_USE_FLEX_ATTENTION. BACKEND supersedes "
            "the legacy knob; please drop FORCE_USE_FLEX_ATTENTION and only specify the desired "
            "BACKEND."
        )
    if options["BACKEND"] not in _BACKENDS:
        raise ValueError(
            f"Invalid BACKEND value '{options['BACKEND']}'. Must be one of {_BACKENDS}"
        )
