"""flex_attention and block masks against torch's; gradients against dense attention in torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import bias as torch_bias, flex_attention as torch_flex

import torchish
from tests import oracle
from torchish.nn.attention import (
    SDPBackend,
    _cur_sdpa_kernel_backends,
    bias,
    flex_attention as flex,
    sdpa_kernel,
)

B, H, L, S, E = 2, 4, 6, 8, 5


def inputs(m: Any, heads: int = H, keys: int = S) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    shapes = ((B, H, L, E), (B, heads, keys, E), (B, heads, keys, 3))
    return tuple(m.from_numpy(rng.normal(size=s).astype("float32")) for s in shapes)  # type: ignore[return-value]


SCORE_MODS: dict[str, Callable[[Any], Any]] = {
    "relative": lambda m: lambda s, b, h, q, k: s + (q - k) * 0.1,
    "alibi": lambda m: lambda s, b, h, q, k: s - (q - k).abs() * m.exp2(-(h + 1) * 8.0 / H),
    "soft cap": lambda m: lambda s, b, h, q, k: 20.0 * m.tanh(s / 20.0),
    "table": lambda m: _with_table(m),
    "causal": lambda m: lambda s, b, h, q, k: m.where(q >= k, s, -float("inf")),
}


def _with_table(m: Any) -> Any:
    table = m.arange(H * 20, dtype=m.float32).reshape(H, 20) / 20

    def mod(s: Any, b: Any, h: Any, q: Any, k: Any) -> Any:
        return s + table[h, q - k + S]

    return mod


def mask_mods(m: Any) -> dict[str, Any]:
    documents = m.tensor([[0, 0, 1, 1, 1, 2, 2, 2], [0, 0, 0, 0, 1, 1, 1, 1]])
    causal = lambda b, h, q, k: q >= k  # noqa: E731
    window = lambda b, h, q, k: (q - k).abs() <= 2  # noqa: E731
    flex_here = flex if m is torchish else torch_flex
    return {
        "causal": causal,
        "documents": lambda b, h, q, k: documents[b, q] == documents[b, k],
        "heads": lambda b, h, q, k: (q + h) % 2 == k % 2,
        "and": flex_here.and_masks(causal, window),
        "or": flex_here.or_masks(lambda b, h, q, k: k < 1, window),
        "nothing": lambda b, h, q, k: q < 0,
    }


def both(question: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = True  # no compiler is needed
        try:
            theirs = question(torch, torch_flex)
        finally:
            torch_flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = False
    return question(torchish, flex), theirs


def close(mine: Any, theirs: Any) -> None:
    oracle.same(mine, theirs, 1e-5, 1e-6)


@pytest.mark.parametrize("name", SCORE_MODS)
def test_changed_scores(name: str) -> None:
    mine, theirs = both(lambda m, f: f.flex_attention(*inputs(m), score_mod=SCORE_MODS[name](m)))
    close(mine, theirs)


@pytest.mark.parametrize("name", mask_mods(torch))
def test_masks_by_blocks(name: str) -> None:
    def run(m: Any, f: Any) -> Any:
        mask = f.create_block_mask(mask_mods(m)[name], B, H, L, S, device="cpu", BLOCK_SIZE=(2, 4))
        out = f.flex_attention(*inputs(m), block_mask=mask, scale=0.3)
        return out, mask, f.create_mask(mask_mods(m)[name], B, H, L, S, device="cpu")

    mine, theirs = both(run)
    close(mine[0], theirs[0])
    close(mine[2], theirs[2])
    for attr in ("shape", "BLOCK_SIZE", "seq_lengths"):
        assert tuple(getattr(mine[1], attr)) == tuple(getattr(theirs[1], attr))
    assert mine[1].sparsity() == pytest.approx(theirs[1].sparsity())
    close(mine[1].to_dense(), theirs[1].to_dense())
    names = ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices",
             "q_num_blocks", "q_indices", "full_q_num_blocks", "full_q_indices")  # fmt: skip
    for attr in names:
        close(getattr(mine[1], attr), getattr(theirs[1], attr))
    assert str(mine[1]) == str(theirs[1])
    shown = [repr(x).partition("mask_mod")[0] for x in (mine[1], theirs[1])]
    assert shown[0] == shown[1]


def test_parts_of_block_masks() -> None:
    def run(m: Any, f: Any) -> list[Any]:
        whole = f.create_block_mask(mask_mods(m)["documents"], B, None, 8, 8, "cpu", 2)
        part, row, less = whole[1], whole[:, :, m.tensor([1])], whole._adjust(6, 4)
        short = f.create_block_mask(mask_mods(m)["causal"], 1, 1, 8, 8, "cpu", 2, False, False)
        found = []
        for mask in (part, row, less, short, whole.to("cpu")):
            found += [mask.kv_num_blocks, mask.kv_indices, mask.to_dense()]
        assert short.full_kv_indices is None and whole.numel() == B * 64
        assert len(whole.as_tuple()) == 17 and len(whole.as_tuple(flatten=False)) == 15
        return found

    for mine, theirs in zip(*both(run), strict=True):
        close(mine, theirs)
    whole = flex.create_block_mask(lambda b, h, q, k: q >= k, 1, 1, L, S, "cpu", 2)
    with pytest.raises(RuntimeError, match="sliced BlockMask"):
        flex.flex_attention(*(x[:1] for x in inputs(torchish)), block_mask=whole[0])


def test_groups_of_heads_and_logsumexp() -> None:
    def run(m: Any, f: Any) -> Any:
        mask = f.create_block_mask(mask_mods(m)["causal"], None, None, L, S, device="cpu")
        request = f.AuxRequest(lse=True)
        out, aux = f.flex_attention(
            *inputs(m, heads=2), block_mask=mask, enable_gqa=True, return_aux=request
        )
        return out, aux.lse

    for mine, theirs in zip(*both(run), strict=True):
        close(mine, theirs)
    q, k, v = inputs(torchish)
    with pytest.warns(FutureWarning, match="return_lse is deprecated"):
        _, lse = flex.flex_attention(q, k, v, return_lse=True)
    scores = q @ k.mT / math.sqrt(E)
    close(lse, scores.logsumexp(-1))
    _, aux = flex.flex_attention(q, k, v, return_aux=flex.AuxRequest(max_scores=True))
    assert aux.lse is None
    close(aux.max_scores, scores.amax(-1))


def test_gradients_also_of_what_functions_capture() -> None:
    def dense(m: Any, q: Any, k: Any, v: Any, table: Any) -> Any:
        where = m.arange(L)[:, None] - m.arange(S) + S
        scores = q @ k.mT / math.sqrt(E) + table[:, where]
        return scores.masked_fill(m.arange(L)[:, None] < m.arange(S), -math.inf).softmax(-1) @ v

    found = []
    for m in (torchish, torch):
        leaves = [x.requires_grad_() for x in inputs(m)]
        table = (m.arange(H * 20, dtype=m.float32).reshape(H, 20) / 20).requires_grad_()
        if m is torch:
            out = dense(m, *leaves, table)
        else:
            mask = flex.create_block_mask(lambda b, h, q, k: q >= k, 1, 1, L, S, "cpu")
            out = flex.flex_attention(
                *leaves, lambda s, b, h, q, k, t=table: s + t[h, q - k + S], mask
            )
        (out * m.arange(3.0)).sum().backward()
        found.append([x.grad.numpy() for x in (*leaves, table)])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-4, 1e-5)


def test_low_precision_and_queries_that_see_nothing() -> None:
    q, k, v = (x.bfloat16() for x in inputs(torchish))
    assert flex.flex_attention(q, k, v).dtype == torchish.bfloat16
    mask = flex.create_block_mask(lambda b, h, q, k: q > 0, 1, 1, L, S, "cpu")
    leaves = [x.requires_grad_() for x in inputs(torchish)]
    out, aux = flex.flex_attention(*leaves, block_mask=mask, return_aux=flex.AuxRequest(lse=True))
    out.sum().backward()
    assert bool((out[:, :, 0] == 0).all()) and bool(aux.lse[:, :, 0].isneginf().all())
    assert all(bool(x.grad.isfinite().all()) for x in leaves)


WRONG: dict[str, Callable[[Any, Any], Any]] = {
    "dims": lambda m, f: f.flex_attention(*(x[0] for x in inputs(m))),
    "heads": lambda m, f: f.flex_attention(*inputs(m, heads=2)),
    "groups": lambda m, f: f.flex_attention(*inputs(m, heads=3), enable_gqa=True),
    "features": lambda m, f: f.flex_attention(inputs(m)[0][..., :3], *inputs(m)[1:]),
    "batches": lambda m, f: f.flex_attention(inputs(m)[0][:1], *inputs(m)[1:]),
    "short": lambda m, f: f.flex_attention(*inputs(m), block_mask=f.create_block_mask(
        lambda b, h, q, k: q >= k, 1, 1, 4, 4, "cpu")),
    "long": lambda m, f: f.flex_attention(*inputs(m), block_mask=f.create_block_mask(
        lambda b, h, q, k: q >= k, 1, 1, 40, 40, "cpu")),
    "mask with a score": lambda m, f: f.create_mask(lambda s, b: s, 1, 1, 4, 4, "cpu"),
    "no function": lambda m, f: f.or_masks(3),
    "twice": lambda m, f: f.flex_attention(*inputs(m), return_lse=True, return_aux=f.AuxRequest()),
    "backend": lambda m, f: f.flex_attention(*inputs(m), kernel_options={"BACKEND": "X"}),
    "tiny": lambda m, f: f.BlockMask.from_kv_blocks(m.zeros(2), m.zeros(2)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str) -> None:
    def run(m: Any, f: Any) -> str:
        with pytest.raises((ValueError, AssertionError, RuntimeError)) as caught:
            WRONG[name](m, f)
        return f"{type(caught.value).__name__}: {caught.value}"

    mine, theirs = both(run)
    assert mine == theirs


def test_causal_biases() -> None:
    def run(m: Any, b: Any) -> list[Any]:
        q, k, v = inputs(m)
        attend = m.nn.functional.scaled_dot_product_attention
        first, last = b.causal_upper_left(L, S), b.causal_lower_right(L, S)
        assert repr(last) == repr(last._materialize())
        return [attend(q, k, v, first), attend(q, k, v, attn_mask=last), last._materialize()]

    for mine, theirs in zip(run(torchish, bias), run(torch, torch_bias), strict=True):
        close(mine, theirs)
    with pytest.raises(ValueError, match="causal=True"):
        torchish.nn.functional.scaled_dot_product_attention(
            *inputs(torchish), bias.causal_upper_left(L, S), is_causal=True
        )
    with pytest.raises(AssertionError, match="must be a CausalVariant"):
        bias.CausalBias(1, 2, 3)


def test_kernels_are_noted() -> None:
    cuda = torchish.backends.cuda
    before = _cur_sdpa_kernel_backends()
    with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION], set_priority=True):
        assert cuda.math_sdp_enabled() and not cuda.mem_efficient_sdp_enabled()
        assert _cur_sdpa_kernel_backends(True)[0] is SDPBackend.MATH
        with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
            assert _cur_sdpa_kernel_backends() == [SDPBackend.EFFICIENT_ATTENTION]
    assert _cur_sdpa_kernel_backends() == before
    with pytest.warns(FutureWarning, match="sdp_kernel"), cuda.sdp_kernel(enable_math=False):
        assert not cuda.math_sdp_enabled() and cuda.cudnn_sdp_enabled()
    q, k, v = inputs(torchish)
    for lib, given in ((torchish, (q, k, v)), (torch, inputs(torch))):
        params = lib.backends.cuda.SDPAParams(*given, None, 0.0, True, False)
        assert not lib.backends.cuda.can_use_flash_attention(params) and params.is_causal
    assert not cuda.fp16_bf16_reduction_math_sdp_allowed()
    cuda.enable_flash_sdp(False)
    assert not cuda.flash_sdp_enabled()
    cuda.enable_flash_sdp(True)
    with pytest.raises(AssertionError, match="list of SDPBackend"), sdpa_kernel("math"):
        pass
