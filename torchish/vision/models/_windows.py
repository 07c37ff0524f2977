"""Attention within windows of a grid, in any number of dims: what both Swin families do.

Everything that depends on sizes only (positions, masks) is worked out in numpy, once a shape.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

import torchish

from ...nn import functional as F

Sizes = tuple[int, ...]


@functools.cache
def relative_index(window: Sizes) -> np.ndarray:
    """Row of the bias table for each pair of places in a window, (places, places)."""
    places = np.stack(np.meshgrid(*map(np.arange, window), indexing="ij")).reshape(len(window), -1)
    offsets = places[:, :, None] - places[:, None, :]
    spans = [2 * size - 1 for size in window]
    strides = [math.prod(spans[i + 1 :]) for i in range(len(spans))]
    return sum(
        (offset + size - 1) * stride
        for offset, size, stride in zip(offsets, window, strides, strict=True)
    )


def bias_of(table: Any, index: Any, places: int) -> Any:
    """The bias of each head and pair of places, (1, heads, places, places)."""
    return table[index].view(places, places, -1).permute(2, 0, 1).contiguous().unsqueeze(0)


@functools.cache
def _mask(grid: Sizes, window: Sizes, shift: Sizes) -> np.ndarray:
    """-100 between places of a window that were not neighbours before the shift, else 0.

    Shape: (windows, places, places).
    """
    region = np.zeros(grid, dtype=np.int64)
    for axis, (size, width, offset) in enumerate(zip(grid, window, shift, strict=True)):
        if offset:
            along = np.zeros(size, dtype=np.int64)
            along[size - width : size - offset] = 1
            along[size - offset :] = 2
            shape = [1] * len(grid)
            shape[axis] = size
            region = region * 3 + along.reshape(shape)
    split = region.reshape([n for g, w in zip(grid, window, strict=True) for n in (g // w, w)])
    order = [*range(0, 2 * len(grid), 2), *range(1, 2 * len(grid), 2)]
    flat = split.transpose(order).reshape(-1, math.prod(window))
    return np.where(flat[:, None] != flat[:, :, None], np.float32(-100.0), np.float32(0.0))


def _to_windows(x: Any, window: Sizes) -> Any:
    """(B, *grid, C) to (B * windows, places, C)."""
    batch, *grid, channels = x.shape
    split = [n for g, w in zip(grid, window, strict=True) for n in (g // w, w)]
    dims = len(grid)
    order = [0, *range(1, 2 * dims, 2), *range(2, 2 * dims + 1, 2), 2 * dims + 1]
    return x.view(batch, *split, channels).permute(order).reshape(-1, math.prod(window), channels)


def _from_windows(x: Any, batch: int, grid: Sizes, window: Sizes) -> Any:
    channels, dims = x.shape[-1], len(grid)
    counts = [g // w for g, w in zip(grid, window, strict=True)]
    pairs = itertools.chain(*((1 + i, 1 + dims + i) for i in range(dims)))
    x = x.view(batch, *counts, *window, channels).permute([0, *pairs, 2 * dims + 1])
    return x.reshape(batch, *grid, channels)


def attend(
    x: Any,
    qkv_weight: Any,
    proj_weight: Any,
    bias: Any,
    window: Sizes,
    heads: int,
    shift: Sizes,
    *,
    attention_dropout: float,
    dropout: float,
    qkv_bias: Any,
    proj_bias: Any,
    logit_scale: Any = None,
    training: bool,
) -> Any:
    """Attention of each place to its window, the windows shifted cyclically by `shift`.

    Args:
        bias: added to the logits, (1, heads, places, places).
        logit_scale: if given, cosines scaled by its exponential replace scaled products.
    Shape: (B, *sizes, C) to the same; sizes are padded to multiples of the window inside.
    """
    batch, *sizes, channels = x.shape
    dims = tuple(range(1, len(sizes) + 1))
    pad = [-size % width for size, width in zip(sizes, window, strict=True)]
    out = F.pad(x, [0, 0, *itertools.chain(*((0, p) for p in reversed(pad)))])
    grid = tuple(size + p for size, p in zip(sizes, pad, strict=True))
    shifted = any(shift)
    if shifted:
        out = torchish.roll(out, shifts=tuple(-s for s in shift), dims=dims)
    out = _to_windows(out, window)
    count, places = out.shape[0], out.shape[1]

    if logit_scale is not None and qkv_bias is not None:
        third = qkv_bias.numel() // 3  # keys have no bias
        qkv_bias = qkv_bias.clone()
        qkv_bias[third : 2 * third].zero_()
    qkv = F.linear(out, qkv_weight, qkv_bias)
    qkv = qkv.reshape(count, places, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv[0], qkv[1], qkv[2]
    if logit_scale is None:
        logits = (q * (channels // heads) ** -0.5).matmul(k.transpose(-2, -1))
    else:
        cosine = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        logits = cosine * torchish.clamp(logit_scale, max=math.log(100.0)).exp()
    logits = logits + bias
    if shifted:
        mask = torchish.tensor(_mask(grid, window, shift), dtype=out.dtype, device=out.device)
        split = logits.view(batch, count // batch, heads, places, places)
        logits = (split + mask.unsqueeze(1).unsqueeze(0)).view(-1, heads, places, places)
    weights = F.dropout(F.softmax(logits, dim=-1), p=attention_dropout, training=training)
    out = weights.matmul(v).transpose(1, 2).reshape(count, places, channels)
    out = F.dropout(F.linear(out, proj_weight, proj_bias), p=dropout, training=training)

    out = _from_windows(out, batch, grid, window)
    if shifted:
        out = torchish.roll(out, shifts=shift, dims=dims)
    return out[(slice(None), *(slice(size) for size in sizes))].contiguous()
