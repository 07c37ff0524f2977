"""Swin transformers, versions 1 and 2, for images.

Source: Liu et al., "Swin Transformer" (2021) and "Swin Transformer V2" (2022).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torchish

from ... import fx, nn
from ...nn import functional as F
from ..ops.misc import MLP, Layer, Permute
from ..ops.stochastic_depth import StochasticDepth
from . import _windows
from ._build import model, weights_enum
from ._init import initialize, truncated


def _patch_merging_pad(x: Any) -> Any:
    """The four places of each 2 x 2 square side by side: (..., H, W, C) to (..., H/2, W/2, 4C)."""
    height, width = x.shape[-3:-1]
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    parts = [x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)]
    return torchish.cat(parts, -1)


fx.wrap("_patch_merging_pad")


def _get_relative_position_bias(
    relative_position_bias_table: Any, relative_position_index: Any, window_size: list[int]
) -> Any:
    """The bias of each head and pair of places in a window."""
    places = window_size[0] * window_size[1]
    return _windows.bias_of(relative_position_bias_table, relative_position_index, places)


fx.wrap("_get_relative_position_bias")


class PatchMerging(nn.Module):
    """Half the size, twice the channels; normalised before the reduction."""

    def __init__(self, dim: int, norm_layer: Layer = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: Any) -> Any:
        return self.reduction(self.norm(_patch_merging_pad(x)))


class PatchMergingV2(nn.Module):
    """Half the size, twice the channels; normalised after the reduction."""

    def __init__(self, dim: int, norm_layer: Layer = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(2 * dim)

    def forward(self, x: Any) -> Any:
        return self.norm(self.reduction(_patch_merging_pad(x)))


def shifted_window_attention(
    input: Any,
    qkv_weight: Any,
    proj_weight: Any,
    relative_position_bias: Any,
    window_size: list[int],
    num_heads: int,
    shift_size: list[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: Any = None,
    proj_bias: Any = None,
    logit_scale: Any = None,
    training: bool = True,
) -> Any:
    """Attention within (shifted) windows of (N, H, W, C); a dim that one window covers is not
    shifted.
    """
    shift = tuple(
        0 if width >= size + -size % width else offset
        for size, width, offset in zip(input.shape[1:3], window_size, shift_size, strict=True)
    )
    return _windows.attend(
        input,
        qkv_weight,
        proj_weight,
        relative_position_bias,
        tuple(window_size),
        num_heads,
        shift,
        attention_dropout=attention_dropout,
        dropout=dropout,
        qkv_bias=qkv_bias,
        proj_bias=proj_bias,
        logit_scale=logit_scale,
        training=training,
    )


fx.wrap("shifted_window_attention")


class WindowedAttention(nn.Module):
    """Attention within windows; the bias is a learned table of offsets.

    A subclass says how many dims its windows have and what `forward` does.
    """

    _dims = 2

    def __init__(
        self,
        dim: int,
        window_size: list[int],
        shift_size: list[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(window_size) != self._dims or len(shift_size) != self._dims:
            raise ValueError("window_size and shift_size must be of length 2")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.define_relative_position_bias_table()
        self.define_relative_position_index()
        self._define_more(qkv_bias)

    def define_relative_position_bias_table(self) -> None:
        rows = math.prod(2 * size - 1 for size in self.window_size)
        self.relative_position_bias_table = nn.Parameter(torchish.zeros(rows, self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def define_relative_position_index(self) -> None:
        index = torchish.tensor(_windows.relative_index(tuple(self.window_size)))
        self.register_buffer("relative_position_index", index)

    def _define_more(self, qkv_bias: bool) -> None:
        """What a subclass draws after its base."""

    def _attend(self, function: Any, x: Any, bias: Any, window: Any, shift: Any) -> Any:
        return function(
            x,
            self.qkv.weight,
            self.proj.weight,
            bias,
            window,
            self.num_heads,
            shift_size=shift,
            attention_dropout=self.attention_dropout,
            dropout=self.dropout,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            training=self.training,
            **self._scale(),
        )

    def _scale(self) -> dict[str, Any]:
        """What an attention by cosines takes besides; read last, as graphs show the order."""
        return {}


class ShiftedWindowAttention(WindowedAttention):
    """See `shifted_window_attention`; the bias is a learned table of offsets."""

    def define_relative_position_index(self) -> None:
        index = torchish.tensor(_windows.relative_index(tuple(self.window_size)).reshape(-1))
        self.register_buffer("relative_position_index", index)

    def _bias(self, table: Any) -> Any:
        return _get_relative_position_bias(table, self.relative_position_index, self.window_size)

    def get_relative_position_bias(self) -> Any:
        return self._bias(self.relative_position_bias_table)

    def forward(self, x: Any) -> Any:
        bias = self.get_relative_position_bias()
        return self._attend(shifted_window_attention, x, bias, self.window_size, self.shift_size)


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Cosine attention; the bias is a small network of the offset's logarithm."""

    def _define_more(self, qkv_bias: bool) -> None:
        heads = self.num_heads
        self.logit_scale = nn.Parameter(torchish.log(10 * torchish.ones((heads, 1, 1))))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512), nn.ReLU(inplace=True), nn.Linear(512, heads, bias=False)
        )
        if qkv_bias:
            third = self.qkv.bias.numel() // 3
            self.qkv.bias[third : 2 * third].data.zero_()

    def _scale(self) -> dict[str, Any]:
        return {"logit_scale": self.logit_scale}

    def define_relative_position_bias_table(self) -> None:
        # Offsets in [-8, 8], on a logarithmic scale: sign(x) log2(1 + |x|) / 3.
        axes = [
            torchish.arange(1 - size, size, dtype=torchish.float32) / (size - 1)
            for size in self.window_size
        ]
        offsets = 8 * torchish.stack(torchish.meshgrid(*axes, indexing="ij"), -1).unsqueeze(0)
        table = torchish.sign(offsets) * torchish.log2(torchish.abs(offsets) + 1.0) / 3.0
        self.register_buffer("relative_coords_table", table)

    def get_relative_position_bias(self) -> Any:
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads)
        return 16 * torchish.sigmoid(self._bias(table))


class SwinTransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))"""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: list[int],
        shift_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Layer = nn.LayerNorm,
        attn_layer: Layer = ShiftedWindowAttention,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = attn_layer(
            dim, window_size, shift_size, num_heads, attention_dropout=attention_dropout,
            dropout=dropout,
        )  # fmt: skip
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(
            dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, inplace=None,
            dropout=dropout,
        )  # fmt: skip
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-6)

    def forward(self, x: Any) -> Any:
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """x + norm(attention(x)), then x + norm(mlp(x))"""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: list[int],
        shift_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Layer = nn.LayerNorm,
        attn_layer: Layer = ShiftedWindowAttentionV2,
    ) -> None:
        super().__init__(
            dim, num_heads, window_size, shift_size, mlp_ratio, dropout, attention_dropout,
            stochastic_depth_prob, norm_layer, attn_layer,
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


def stages(
    block: Layer,
    downsample: Layer,
    norm: Layer,
    width: int,
    depths: list[int],
    num_heads: list[int],
    window_size: list[int],
    drop: float,
    **options: Any,
) -> tuple[list[nn.Module], int]:
    """The blocks of each stage with what halves the size between them, and the last width.

    Args:
        block: takes width, heads, window_size, shift_size, stochastic_depth_prob, norm_layer and
            the `options`; every second block is shifted by half a window.
        drop: chance to drop the last block; it grows linearly from 0.
    """
    layers: list[nn.Module] = []
    total, done = sum(depths), 0
    for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
        if stage:
            layers.append(downsample(width, norm))
            width *= 2
        blocks = []
        for i in range(depth):
            blocks.append(
                block(
                    width,
                    heads,
                    window_size=window_size,
                    shift_size=[size // 2 if i % 2 else 0 for size in window_size],
                    stochastic_depth_prob=drop * float(done) / (total - 1),
                    norm_layer=norm,
                    **options,
                )
            )
            done += 1
        layers.append(nn.Sequential(*blocks))
    return layers, width


class SwinTransformer(nn.Module):
    """A Swin transformer.

    Args:
        depths, num_heads: blocks and heads of each stage.
        stochastic_depth_prob: chance to drop the last block; it grows linearly from 0.
    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        patch_size: list[int],
        embed_dim: int,
        depths: list[int],
        num_heads: list[int],
        window_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.1,
        num_classes: int = 1000,
        norm_layer: Layer | None = None,
        block: Layer | None = None,
        downsample_layer: Layer = PatchMerging,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        block = block or SwinTransformerBlock
        patch = (patch_size[0], patch_size[1])
        embed = nn.Conv2d(3, embed_dim, kernel_size=patch, stride=patch)
        first = nn.Sequential(embed, Permute([0, 2, 3, 1]), norm(embed_dim))
        more, width = stages(
            block, downsample_layer, norm, embed_dim, depths, num_heads, window_size,
            stochastic_depth_prob, mlp_ratio=mlp_ratio, dropout=dropout,
            attention_dropout=attention_dropout,
        )  # fmt: skip
        self.features = nn.Sequential(first, *more)
        self.norm = norm(width)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(width, num_classes)
        initialize(self, {nn.Linear: truncated(0.02)})

    def forward(self, x: Any) -> Any:
        x = self.permute(self.norm(self.features(x)))
        return self.head(self.flatten(self.avgpool(x)))


_V2 = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}


def _swin(
    name: str, enum: Any, width: int, depth: int, heads: int, drop: float, **more: Any
) -> Any:
    def construct(**kwargs: Any) -> SwinTransformer:
        return SwinTransformer(
            patch_size=[4, 4],
            embed_dim=width,
            depths=[2, 2, depth, 2],
            num_heads=[heads, 2 * heads, 4 * heads, 8 * heads],
            window_size=[8, 8] if more else [7, 7],
            stochastic_depth_prob=drop,
            **more,
            **kwargs,
        )

    return model(name, construct, enum)


Swin_T_Weights = weights_enum("Swin_T_Weights")
Swin_S_Weights = weights_enum("Swin_S_Weights")
Swin_B_Weights = weights_enum("Swin_B_Weights")
Swin_V2_T_Weights = weights_enum("Swin_V2_T_Weights")
Swin_V2_S_Weights = weights_enum("Swin_V2_S_Weights")
Swin_V2_B_Weights = weights_enum("Swin_V2_B_Weights")
swin_t = _swin("swin_t", Swin_T_Weights, 96, 6, 3, 0.2)
swin_s = _swin("swin_s", Swin_S_Weights, 96, 18, 3, 0.3)
swin_b = _swin("swin_b", Swin_B_Weights, 128, 18, 4, 0.5)
swin_v2_t = _swin("swin_v2_t", Swin_V2_T_Weights, 96, 6, 3, 0.2, **_V2)
swin_v2_s = _swin("swin_v2_s", Swin_V2_S_Weights, 96, 18, 3, 0.3, **_V2)
swin_v2_b = _swin("swin_v2_b", Swin_V2_B_Weights, 128, 18, 4, 0.5, **_V2)
