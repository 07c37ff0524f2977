"""Swin transformers for videos.

Source: Liu et al., "Video Swin Transformer" (2021).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from .... import fx, nn
from ....nn import functional as F
from ...ops.misc import Layer
from .. import _windows
from .._build import model, weights_enum
from .._init import initialize, truncated
from ..swin_transformer import PatchMerging, SwinTransformerBlock, WindowedAttention, stages

Sizes = tuple[int, ...]


def _get_window_and_shift_size(
    shift_size: list[int], size_dhw: list[int], window_size: list[int]
) -> tuple[list[int], list[int]]:
    """Windows no larger than the input; a dim that one window covers is not shifted."""
    rows = zip(window_size, shift_size, size_dhw, strict=True)
    fitted = [(size, 0) if size <= window else (window, shift) for window, shift, size in rows]
    return [window for window, _ in fitted], [shift for _, shift in fitted]


def _get_relative_position_bias(
    relative_position_bias_table: Any, relative_position_index: Any, window_size: list[int]
) -> Any:
    """The bias of each head and pair of places in a window, which may be a cut one."""
    places = math.prod(window_size)
    index = relative_position_index[:places, :places].flatten()
    return _windows.bias_of(relative_position_bias_table, index, places)


def _compute_pad_size_3d(size_dhw: Sizes, patch_size: Sizes) -> Sizes:
    """What each dim lacks to be a multiple of the patch."""
    return tuple(-size % patch for size, patch in zip(size_dhw, patch_size, strict=True))


# What looks at values of sizes is one node of a traced graph, under torchvision's name.
fx.wrap("_get_window_and_shift_size")
fx.wrap("_get_relative_position_bias")
fx.wrap("_compute_pad_size_3d")


def shifted_window_attention_3d(
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
    training: bool = True,
) -> Any:
    """Attention within (shifted) windows of (N, T, H, W, C)."""
    return _windows.attend(
        input,
        qkv_weight,
        proj_weight,
        relative_position_bias,
        tuple(window_size),
        num_heads,
        tuple(shift_size),
        attention_dropout=attention_dropout,
        dropout=dropout,
        qkv_bias=qkv_bias,
        proj_bias=proj_bias,
        training=training,
    )


fx.wrap("shifted_window_attention_3d")


class ShiftedWindowAttention3d(WindowedAttention):
    """See `shifted_window_attention_3d`; the bias is a learned table of offsets."""

    _dims = 3

    def get_relative_position_bias(self, window_size: list[int]) -> Any:
        return _get_relative_position_bias(
            self.relative_position_bias_table, self.relative_position_index, window_size
        )

    def forward(self, x: Any) -> Any:
        _, t, h, w, _ = x.shape
        window, shift = _get_window_and_shift_size(self.shift_size, [t, h, w], self.window_size)
        bias = self.get_relative_position_bias(window)
        return self._attend(shifted_window_attention_3d, x, bias, window, shift)


class PatchEmbed3d(nn.Module):
    """Patches of space and time, projected: (N, C, T, H, W) to (N, T', H', W', embed_dim)."""

    def __init__(
        self,
        patch_size: list[int],
        in_channels: int = 3,
        embed_dim: int = 96,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        self.tuple_patch_size = (patch_size[0], patch_size[1], patch_size[2])
        self.proj = nn.Conv3d(
            in_channels, embed_dim, kernel_size=self.tuple_patch_size, stride=self.tuple_patch_size
        )
        self.norm = nn.Identity() if norm_layer is None else norm_layer(embed_dim)

    def forward(self, x: Any) -> Any:
        _, _, t, h, w = x.size()
        lack = _compute_pad_size_3d((t, h, w), self.tuple_patch_size)
        x = F.pad(x, (0, lack[2], 0, lack[1], 0, lack[0]))
        return self.norm(self.proj(x).permute(0, 2, 3, 4, 1))


class SwinTransformer3d(nn.Module):
    """A Swin transformer for videos.

    Args:
        depths, num_heads: blocks and heads of each stage.
        stochastic_depth_prob: chance to drop the last block; it grows linearly from 0.
    Shape: (N, 3, T, H, W) to (N, num_classes).
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
        num_classes: int = 400,
        norm_layer: Layer | None = None,
        block: Layer | None = None,
        downsample_layer: Layer = PatchMerging,
        patch_embed: Layer | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        block = block or partial(SwinTransformerBlock, attn_layer=ShiftedWindowAttention3d)
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        self.patch_embed = (patch_embed or PatchEmbed3d)(
            patch_size=patch_size, embed_dim=embed_dim, norm_layer=norm
        )
        self.pos_drop = nn.Dropout(p=dropout)
        layers, width = stages(
            block, downsample_layer, norm, embed_dim, depths, num_heads, window_size,
            stochastic_depth_prob, mlp_ratio=mlp_ratio, dropout=dropout,
            attention_dropout=attention_dropout, attn_layer=ShiftedWindowAttention3d,
        )  # fmt: skip
        self.features = nn.Sequential(*layers)
        self.num_features = width
        self.norm = norm(width)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(width, num_classes)
        initialize(self, {nn.Linear: truncated(0.02)})

    def forward(self, x: Any) -> Any:
        x = self.norm(self.features(self.pos_drop(self.patch_embed(x))))
        return self.head(self.avgpool(x.permute(0, 4, 1, 2, 3)).flatten(1))


def _swin3d(name: str, enum: Any, width: int, depth: int, heads: int) -> Any:
    def construct(**kwargs: Any) -> SwinTransformer3d:
        return SwinTransformer3d(
            patch_size=[2, 4, 4],
            embed_dim=width,
            depths=[2, 2, depth, 2],
            num_heads=[heads, 2 * heads, 4 * heads, 8 * heads],
            window_size=[8, 7, 7],
            stochastic_depth_prob=0.1,
            **kwargs,
        )

    return model(name, construct, enum, legacy="KINETICS400_V1")


Swin3D_T_Weights = weights_enum("Swin3D_T_Weights")
Swin3D_S_Weights = weights_enum("Swin3D_S_Weights")
Swin3D_B_Weights = weights_enum("Swin3D_B_Weights")
swin3d_t = _swin3d("swin3d_t", Swin3D_T_Weights, 96, 6, 3)
swin3d_s = _swin3d("swin3d_s", Swin3D_S_Weights, 96, 18, 3)
swin3d_b = _swin3d("swin3d_b", Swin3D_B_Weights, 128, 18, 4)
