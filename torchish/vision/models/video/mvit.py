"""MViT: transformers whose attention pools queries, keys and values in space and time.

Source: Fan et al., "Multiscale Vision Transformers" (2021); Li et al., "MViTv2" (2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import torchish

from .... import fx, nn
from ....nn import functional as F
from ...ops.misc import MLP, Layer
from ...ops.stochastic_depth import StochasticDepth
from .._build import Kwargs, expect, expect_classes, model, weights_enum

Sizes = tuple[int, int, int]


@dataclass
class MSBlockConfig:
    """One block; an empty kernel or stride means no pooling."""

    num_heads: int
    input_channels: int
    output_channels: int
    kernel_q: list[int]
    kernel_kv: list[int]
    stride_q: list[int]
    stride_kv: list[int]


def _unsqueeze(x: Any, target_dim: int, expand_dim: int) -> tuple[Any, int]:
    """With a dim of 1 at `expand_dim` where it was left out; and how many dims there were."""
    dims = x.dim()
    if dims not in (target_dim - 1, target_dim):
        raise ValueError(f"Unsupported input dimension {x.shape}")
    return (x if dims == target_dim else x.unsqueeze(expand_dim)), dims


def _squeeze(x: Any, target_dim: int, expand_dim: int, tensor_dim: int) -> Any:
    """Takes back what `_unsqueeze` did to a tensor of `tensor_dim` dims."""
    return x if tensor_dim == target_dim else x.squeeze(expand_dim)


# What looks at values of sizes is one node of a traced graph, under torchvision's name.
fx.wrap("_unsqueeze")
fx.wrap("_squeeze")


class Pool(nn.Module):
    """Pools a sequence of places in time and space; the class token passes untouched.

    Shape: (B, N, 1 + T * H * W, C) or without N, and (T, H, W), to the same two.
    """

    def __init__(
        self,
        pool: nn.Module,
        norm: nn.Module | None,
        activation: nn.Module | None = None,
        norm_before_pool: bool = False,
    ) -> None:
        super().__init__()
        self.pool = pool
        layers = [layer for layer in (norm, activation) if layer is not None]
        self.norm_act = nn.Sequential(*layers) if layers else None
        self.norm_before_pool = norm_before_pool

    def forward(self, x: Any, thw: Sizes) -> tuple[Any, Sizes]:
        x, dims = _unsqueeze(x, 4, 1)
        token, places = x.tensor_split((1,), dim=2)
        places = places.transpose(2, 3)
        batch, heads, channels = places.shape[:3]
        grid = places.reshape(batch * heads, channels, *thw).contiguous()
        if self.norm_before_pool and self.norm_act is not None:
            grid = self.norm_act(grid)
        grid = self.pool(grid)
        t, h, w = grid.shape[2:]
        pooled = grid.reshape(batch, heads, channels, -1).transpose(2, 3)
        x = torchish.cat((token, pooled), dim=2)
        if not self.norm_before_pool and self.norm_act is not None:
            x = self.norm_act(x)
        return _squeeze(x, 4, 1, dims), (t, h, w)


def _distances(queries: int, keys: int) -> Any:
    """Row of the embedding for each pair of places along one axis."""
    q_step, k_step = max(keys / queries, 1.0), max(queries / keys, 1.0)
    rows = np.arange(queries)[:, None] * q_step - (np.arange(keys)[None] + (1.0 - keys)) * k_step
    return torchish.tensor(rows.astype(np.int64))


def _embedded(embedding: Any, queries: int, keys: int) -> Any:
    """The embedding of each pair's distance, (queries, keys, C); resized if it was made for
    another size.
    """
    rows = 2 * max(queries, keys) - 1
    if embedding.shape[0] != rows:
        stretched = F.interpolate(embedding.permute(1, 0).unsqueeze(0), size=rows, mode="linear")
        embedding = stretched.squeeze(0).permute(1, 0)
    return embedding[_distances(queries, keys).to(embedding.device)]


def _relative(q: Any, q_thw: Sizes, k_thw: Sizes, tables: Sequence[Any]) -> Any:
    """The logits' part that depends on distances, the sum over time, height and width."""
    batch, heads, _, width = q.shape
    places = q[:, :, 1:].reshape(batch, heads, *q_thw, width)
    pairs = zip(tables, q_thw, k_thw, strict=True)
    axes = [_embedded(table, queries, keys) for table, queries, keys in pairs]
    t = torchish.einsum("bythwc,tkc->bythwk", places, axes[0])
    h = torchish.einsum("bythwc,hkc->bythwk", places, axes[1])
    w = torchish.einsum("bythwc,wkc->bythwk", places, axes[2])
    total = t[..., :, None, None] + h[..., None, :, None] + w[..., None, None, :]
    return total.reshape(batch, heads, math.prod(q_thw), math.prod(k_thw))


def _add_rel_pos(
    attn: Any, q: Any, q_thw: Sizes, k_thw: Sizes, rel_pos_h: Any, rel_pos_w: Any, rel_pos_t: Any
) -> Any:
    """The logits with their part that depends on distances; the class token has no place."""
    tables = (rel_pos_t, rel_pos_h, rel_pos_w)
    return attn + F.pad(_relative(q, q_thw, k_thw, tables), (1, 0, 1, 0))


def _add_shortcut(x: Any, shortcut: Any, residual_with_cls_embed: bool) -> Any:
    """The sum of the two, of the class token too only if it is asked for."""
    return x + (shortcut if residual_with_cls_embed else F.pad(shortcut[:, :, 1:], (0, 0, 1, 0)))


fx.wrap("_add_rel_pos")
fx.wrap("_add_shortcut")


class MultiscaleAttention(nn.Module):
    """Attention with pooled queries, keys and values.

    Args:
        input_size: frames, height and width of the places.
        residual_pool: add the pooled queries to the result.
        residual_with_cls_embed: add them to the class token too.
        rel_pos_embed: add learned embeddings of distances to the logits.
    """

    def __init__(
        self,
        input_size: list[int],
        embed_dim: int,
        output_dim: int,
        num_heads: int,
        kernel_q: list[int],
        kernel_kv: list[int],
        stride_q: list[int],
        stride_kv: list[int],
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        dropout: float = 0.0,
        norm_layer: Layer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.output_dim = output_dim
        self.num_heads = num_heads
        self.head_dim = output_dim // num_heads
        self.scaler = 1.0 / math.sqrt(self.head_dim)
        self.residual_pool = residual_pool
        self.residual_with_cls_embed = residual_with_cls_embed
        self.qkv = nn.Linear(embed_dim, 3 * output_dim)
        drop = [nn.Dropout(dropout, inplace=True)] if dropout > 0.0 else []
        self.project = nn.Sequential(nn.Linear(output_dim, output_dim), *drop)
        self.pool_q = self._pool(kernel_q, stride_q, norm_layer)
        self.pool_k = self._pool(kernel_kv, stride_kv, norm_layer)
        self.pool_v = self._pool(kernel_kv, stride_kv, norm_layer)
        self.rel_pos_h: Any = None
        self.rel_pos_w: Any = None
        self.rel_pos_t: Any = None
        if rel_pos_embed:
            side = max(input_size[1:])
            sides = [side // stride[1] if stride else side for stride in (stride_q, stride_kv)]
            rows = {"h": 2 * max(sides) - 1, "w": 2 * max(sides) - 1, "t": 2 * input_size[0] - 1}
            for axis, count in rows.items():
                table = nn.Parameter(torchish.zeros(count, self.head_dim))
                setattr(self, f"rel_pos_{axis}", nn.init.trunc_normal_(table, std=0.02))

    def _pool(self, kernel: list[int], stride: list[int], norm_layer: Layer) -> Pool | None:
        if math.prod(kernel) <= 1 and math.prod(stride) <= 1:
            return None
        width = self.head_dim
        conv = nn.Conv3d(
            width, width, kernel, stride=stride, padding=[k // 2 for k in kernel], groups=width,
            bias=False,
        )  # fmt: skip
        return Pool(conv, norm_layer(width))

    def forward(self, x: Any, thw: Sizes) -> tuple[Any, Sizes]:
        batch, places, _ = x.shape
        qkv = self.qkv(x).reshape(batch, places, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.transpose(1, 3).unbind(dim=2)
        k_thw = thw
        if self.pool_k is not None:
            k, k_thw = self.pool_k(k, thw)
        if self.pool_v is not None:
            v, _ = self.pool_v(v, thw)
        if self.pool_q is not None:
            q, thw = self.pool_q(q, thw)
        logits = torchish.matmul(self.scaler * q, k.transpose(2, 3))
        if self.rel_pos_h is not None:
            tables = (self.rel_pos_h, self.rel_pos_w, self.rel_pos_t)
            logits = _add_rel_pos(logits, q, thw, k_thw, *tables)
        x = torchish.matmul(logits.softmax(dim=-1), v)
        if self.residual_pool:
            x = _add_shortcut(x, q, self.residual_with_cls_embed)
        return self.project(x.transpose(1, 2).reshape(batch, -1, self.output_dim)), thw


class MultiscaleBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), x pooled and widened where they are.

    Args:
        proj_after_attn: widen in the attention rather than in the MLP.
    """

    def __init__(
        self,
        input_size: list[int],
        cnf: MSBlockConfig,
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        proj_after_attn: bool,
        dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Layer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.proj_after_attn = proj_after_attn
        self.pool_skip: nn.Module | None = None
        if math.prod(cnf.stride_q) > 1:
            kernel = [s + 1 if s > 1 else s for s in cnf.stride_q]
            padding = [k // 2 for k in kernel]
            self.pool_skip = Pool(nn.MaxPool3d(kernel, cnf.stride_q, padding), None)
        width = cnf.output_channels if proj_after_attn else cnf.input_channels
        self.norm1 = norm_layer(cnf.input_channels)
        self.norm2 = norm_layer(width)
        self.needs_transposal = isinstance(self.norm1, nn.BatchNorm1d)
        self.attn = MultiscaleAttention(
            input_size,
            cnf.input_channels,
            width,
            cnf.num_heads,
            kernel_q=cnf.kernel_q,
            kernel_kv=cnf.kernel_kv,
            stride_q=cnf.stride_q,
            stride_kv=cnf.stride_kv,
            rel_pos_embed=rel_pos_embed,
            residual_pool=residual_pool,
            residual_with_cls_embed=residual_with_cls_embed,
            dropout=dropout,
            norm_layer=norm_layer,
        )
        self.mlp = MLP(
            width, [4 * width, cnf.output_channels], activation_layer=nn.GELU, dropout=dropout,
            inplace=None,
        )  # fmt: skip
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.project: nn.Module | None = None
        if cnf.input_channels != cnf.output_channels:
            self.project = nn.Linear(cnf.input_channels, cnf.output_channels)

    def _normed(self, norm: nn.Module, x: Any) -> Any:
        return norm(x.transpose(1, 2)).transpose(1, 2) if self.needs_transposal else norm(x)

    def forward(self, x: Any, thw: Sizes) -> tuple[Any, Sizes]:
        normed = self._normed(self.norm1, x)
        attended, after = self.attn(normed, thw)
        if self.project is not None and self.proj_after_attn:
            x = self.project(normed)
        if self.pool_skip is not None:
            x, _ = self.pool_skip(x, thw)
        x = x + self.stochastic_depth(attended)
        normed = self._normed(self.norm2, x)
        if self.project is not None and not self.proj_after_attn:
            x = self.project(normed)
        return x + self.stochastic_depth(self.mlp(normed)), after


class PositionalEncoding(nn.Module):
    """The class token and, unless embeddings are of distances, those of time and space."""

    def __init__(
        self,
        embed_size: int,
        spatial_size: tuple[int, int],
        temporal_size: int,
        rel_pos_embed: bool,
    ) -> None:
        super().__init__()
        self.spatial_size = spatial_size
        self.temporal_size = temporal_size
        self.class_token = nn.Parameter(torchish.zeros(embed_size))
        self.spatial_pos: Any = None
        self.temporal_pos: Any = None
        self.class_pos: Any = None
        if not rel_pos_embed:
            places = spatial_size[0] * spatial_size[1]
            self.spatial_pos = nn.Parameter(torchish.zeros(places, embed_size))
            self.temporal_pos = nn.Parameter(torchish.zeros(temporal_size, embed_size))
            self.class_pos = nn.Parameter(torchish.zeros(embed_size))

    def forward(self, x: Any) -> Any:
        token = self.class_token.expand(x.size(0), -1).unsqueeze(1)
        x = torchish.cat((token, x), dim=1)
        if self.spatial_pos is None:
            return x
        space, time, token = self.spatial_pos, self.temporal_pos, self.class_pos
        places, width = space.shape
        time = time.repeat_interleave(places, dim=0)
        places = time.add_(space.unsqueeze(0).expand(self.temporal_size, -1, -1).reshape(-1, width))
        return x.add_(torchish.cat((token.unsqueeze(0), places)).unsqueeze(0))


class MViT(nn.Module):
    """A multiscale transformer for videos.

    Args:
        block_setting: one MSBlockConfig a block.
        stochastic_depth_prob: chance to drop the last block; it grows linearly from 0.
    Shape: (N, 3, temporal_size, *spatial_size) to (N, num_classes); an image is one frame.
    """

    def __init__(
        self,
        spatial_size: tuple[int, int],
        temporal_size: int,
        block_setting: Sequence[MSBlockConfig],
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        proj_after_attn: bool,
        dropout: float = 0.5,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        num_classes: int = 400,
        block: Layer | None = None,
        norm_layer: Layer | None = None,
        patch_embed_kernel: Sizes = (3, 7, 7),
        patch_embed_stride: Sizes = (2, 4, 4),
        patch_embed_padding: Sizes = (1, 3, 3),
    ) -> None:
        super().__init__()
        count = len(block_setting)
        if count == 0:
            raise ValueError("The configuration parameter can't be empty.")
        block = block or MultiscaleBlock
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        first, last = block_setting[0], block_setting[-1]
        self.conv_proj = nn.Conv3d(
            3, first.input_channels, patch_embed_kernel, patch_embed_stride, patch_embed_padding
        )
        full = (temporal_size, *spatial_size)
        size = [n // s for n, s in zip(full, self.conv_proj.stride, strict=True)]
        self.pos_encoding = PositionalEncoding(
            first.input_channels, (size[1], size[2]), size[0], rel_pos_embed
        )
        self.blocks = nn.ModuleList()
        for i, config in enumerate(block_setting):
            self.blocks.append(
                block(
                    input_size=size,
                    cnf=config,
                    residual_pool=residual_pool,
                    residual_with_cls_embed=residual_with_cls_embed,
                    rel_pos_embed=rel_pos_embed,
                    proj_after_attn=proj_after_attn,
                    dropout=attention_dropout,
                    stochastic_depth_prob=stochastic_depth_prob * i / (count - 1.0),
                    norm_layer=norm,
                )
            )
            if config.stride_q:
                size = [n // s for n, s in zip(size, config.stride_q, strict=True)]
        self.norm = norm(last.output_channels)
        self.head = nn.Sequential(
            nn.Dropout(dropout, inplace=True), nn.Linear(last.output_channels, num_classes)
        )
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0.0)
            elif isinstance(module, PositionalEncoding):
                for parameter in module.parameters():
                    nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, x: Any) -> Any:
        x = _unsqueeze(x, 5, 2)[0]  # an image is one frame
        x = self.pos_encoding(self.conv_proj(x).flatten(2).transpose(1, 2))
        thw = (self.pos_encoding.temporal_size, *self.pos_encoding.spatial_size)
        for block in self.blocks:
            x, thw = block(x, thw)
        return self.head(self.norm(x)[:, 0])


_CUBE, _SAME = [3, 3, 3], [1, 1, 1]


def _halving(at: tuple[int, ...], other: list[int]) -> list[list[int]]:
    return [[1, 2, 2] if i in at else other for i in range(16)]


# Of the 16 blocks: heads, widths before and after, strides; version 1 pools queries only where
# it halves the size.
_HEADS = [1, *[2] * 2, *[4] * 11, *[8] * 2]
_STRIDES_V1 = _halving((1, 3, 14), [])
_V1: dict[str, list[Any]] = {
    "num_heads": _HEADS,
    "input_channels": [96, *[192] * 2, *[384] * 11, *[768] * 2],
    "output_channels": [*[192] * 2, *[384] * 11, *[768] * 3],
    "kernel_q": [_CUBE if stride else [] for stride in _STRIDES_V1],
    "kernel_kv": [_CUBE] * 16,
    "stride_q": _STRIDES_V1,
    "stride_kv": [[1, 8, 8], *[[1, 4, 4]] * 2, *[[1, 2, 2]] * 11, *[_SAME] * 2],
}
_V2: dict[str, list[Any]] = {
    "num_heads": _HEADS,
    "input_channels": [*[96] * 2, *[192] * 2, *[384] * 11, 768],
    "output_channels": [96, *[192] * 2, *[384] * 11, *[768] * 2],
    "kernel_q": [_CUBE] * 16,
    "kernel_kv": [_CUBE] * 16,
    "stride_q": _halving((1, 3, 14), _SAME),
    "stride_kv": [[1, 8, 8], *[[1, 4, 4]] * 2, *[[1, 2, 2]] * 11, *[_SAME] * 2],
}


def _prepare(weights: Any, kwargs: Kwargs) -> None:
    expect_classes(weights, kwargs)
    expect(kwargs, "spatial_size", weights.meta["min_size"])
    expect(kwargs, "temporal_size", weights.meta["min_temporal_size"])


def _mvit(name: str, enum: Any, table: dict[str, list[Any]], **preset: Any) -> Any:
    def construct(**kwargs: Any) -> MViT:
        rows = zip(*table.values(), strict=True)
        settings = [MSBlockConfig(**dict(zip(table, row, strict=True))) for row in rows]
        options = {"spatial_size": (224, 224), "temporal_size": 16, "stochastic_depth_prob": 0.2}
        return MViT(block_setting=settings, **{**options, **preset, **kwargs})

    return model(name, construct, enum, legacy="KINETICS400_V1", prepare=_prepare)


MViT_V1_B_Weights = weights_enum("MViT_V1_B_Weights")
MViT_V2_S_Weights = weights_enum("MViT_V2_S_Weights")
mvit_v1_b = _mvit(
    "mvit_v1_b",
    MViT_V1_B_Weights,
    _V1,
    residual_pool=False,
    residual_with_cls_embed=False,
    rel_pos_embed=False,
    proj_after_attn=False,
)
mvit_v2_s = _mvit(
    "mvit_v2_s",
    MViT_V2_S_Weights,
    _V2,
    residual_pool=True,
    residual_with_cls_embed=False,
    rel_pos_embed=True,
    proj_after_attn=True,
)
