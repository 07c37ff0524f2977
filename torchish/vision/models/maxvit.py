"""MaxViT: convolutions, attention within windows and attention across a grid.

Source: Tu et al., "MaxViT: Multi-Axis Vision Transformer" (2022).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import Any

import numpy as np

import torchish

from ... import nn
from ...nn import functional as F
from ..ops.misc import Conv2dNormActivation, Layer, SqueezeExcitation
from ..ops.stochastic_depth import StochasticDepth
from ._build import Kwargs, expect, expect_classes, model, weights_enum
from ._init import initialize, normal
from ._windows import relative_index

Size = tuple[int, int]


def _get_conv_output_shape(input_size: Size, kernel_size: int, stride: int, padding: int) -> Size:
    height, width = ((n - kernel_size + 2 * padding) // stride + 1 for n in input_size)
    return height, width


def _make_block_input_shapes(input_size: Size, n_blocks: int) -> list[Size]:
    """The size after the stem and after each block but the last."""
    shapes = [_get_conv_output_shape(input_size, 3, 2, 1)]
    for _ in range(n_blocks):
        shapes.append(_get_conv_output_shape(shapes[-1], 3, 2, 1))
    return shapes[1:]


class MBConv(nn.Module):
    """Norm, widen, filter, weigh the channels, narrow; added to the (pooled) input."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion_ratio: float,
        squeeze_ratio: float,
        stride: int,
        activation_layer: Layer,
        norm_layer: Layer,
        p_stochastic_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            pool = [nn.AvgPool2d(kernel_size=3, stride=stride, padding=1)] if stride == 2 else []
            # The convolution's weights are drawn before anything else.
            self.proj = nn.Sequential(*pool, nn.Conv2d(in_channels, out_channels, 1, bias=True))
        width, squeezed = int(out_channels * expansion_ratio), int(out_channels * squeeze_ratio)
        self.stochastic_depth = (
            StochasticDepth(p_stochastic_dropout, mode="row")
            if p_stochastic_dropout
            else nn.Identity()
        )
        conv = partial(
            Conv2dNormActivation,
            activation_layer=activation_layer,
            norm_layer=norm_layer,
            inplace=None,
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["pre_norm"] = norm_layer(in_channels)
        layers["conv_a"] = conv(in_channels, width, kernel_size=1, stride=1, padding=0)
        layers["conv_b"] = conv(width, width, kernel_size=3, stride=stride, padding=1, groups=width)
        layers["squeeze_excitation"] = SqueezeExcitation(width, squeezed, activation=nn.SiLU)
        layers["conv_c"] = nn.Conv2d(width, out_channels, kernel_size=1, bias=True)
        self.layers = nn.Sequential(layers)

    def forward(self, x: Any) -> Any:
        return self.proj(x) + self.stochastic_depth(self.layers(x))


class RelativePositionalMultiHeadAttention(nn.Module):
    """Attention among P places, with a learned bias of their offsets.

    Shape: (B, G, P, feat_dim) to the same; G groups do not see one another.
    """

    def __init__(self, feat_dim: int, head_dim: int, max_seq_len: int) -> None:
        super().__init__()
        if feat_dim % head_dim != 0:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        self.n_heads = feat_dim // head_dim
        self.head_dim = head_dim
        self.size = int(math.sqrt(max_seq_len))
        self.max_seq_len = max_seq_len
        self.to_qkv = nn.Linear(feat_dim, self.n_heads * head_dim * 3)
        self.scale_factor = feat_dim**-0.5
        self.merge = nn.Linear(head_dim * self.n_heads, feat_dim)
        table = torchish.empty(((2 * self.size - 1) ** 2, self.n_heads), dtype=torchish.float32)
        self.relative_position_bias_table = nn.Parameter(table)
        index = torchish.tensor(relative_index((self.size, self.size)))
        self.register_buffer("relative_position_index", index)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def get_relative_positional_bias(self) -> Any:
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        bias = bias.view(self.max_seq_len, self.max_seq_len, -1)
        return bias.permute(2, 0, 1).contiguous().unsqueeze(0)

    def forward(self, x: Any) -> Any:
        batch, groups, places, width = x.shape
        split = (batch, groups, places, self.n_heads, self.head_dim)
        q, k, v = torchish.chunk(self.to_qkv(x), 3, dim=-1)
        q = q.reshape(split).permute(0, 1, 3, 2, 4)
        k = k.reshape(split).permute(0, 1, 3, 2, 4)
        v = v.reshape(split).permute(0, 1, 3, 2, 4)
        k = k * self.scale_factor
        logits = torchish.einsum("bghid,bghjd->bghij", q, k)
        weights = F.softmax(logits + self.get_relative_positional_bias(), dim=-1)
        out = torchish.einsum("bghij,bghjd->bghid", weights, v)
        out = out.permute(0, 1, 3, 2, 4).reshape(batch, groups, places, width)
        return self.merge(out)


class SwapAxes(nn.Module):
    """Two dims exchanged."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a = a
        self.b = b

    def forward(self, x: Any) -> Any:
        return torchish.swapaxes(x, self.a, self.b)


class WindowPartition(nn.Module):
    """(B, C, H, W) to (B, windows, p * p, C)."""

    def forward(self, x: Any, p: int) -> Any:
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels, height // p, p, width // p, p)
        x = x.permute(0, 2, 4, 3, 5, 1)
        return x.reshape(batch, (height // p) * (width // p), p * p, channels)


class WindowDepartition(nn.Module):
    """(B, windows, p * p, C) back to (B, C, H, W)."""

    def forward(self, x: Any, p: int, h_partitions: int, w_partitions: int) -> Any:
        batch, _, _, channels = x.shape
        x = x.reshape(batch, h_partitions, w_partitions, p, p, channels)
        x = x.permute(0, 5, 1, 3, 2, 4)
        return x.reshape(batch, channels, h_partitions * p, w_partitions * p)


class PartitionAttentionLayer(nn.Module):
    """Attention and MLP within windows ("window"), or among the windows' equal places ("grid")."""

    def __init__(
        self,
        in_channels: int,
        head_dim: int,
        partition_size: int,
        partition_type: str,
        grid_size: Size,
        mlp_ratio: int,
        activation_layer: Layer,
        norm_layer: Layer,
        attention_dropout: float,
        mlp_dropout: float,
        p_stochastic_dropout: float,
    ) -> None:
        super().__init__()
        if partition_type not in ("grid", "window"):
            raise ValueError("partition_type must be either 'grid' or 'window'")
        self.n_heads = in_channels // head_dim
        self.head_dim = head_dim
        self.n_partitions = grid_size[0] // partition_size
        self.partition_type = partition_type
        self.grid_size = grid_size
        across = partition_type == "grid"
        pair = (partition_size, self.n_partitions)
        self.p, self.g = pair[::-1] if across else pair
        self.partition_op = WindowPartition()
        self.departition_op = WindowDepartition()
        self.partition_swap = SwapAxes(-2, -3) if across else nn.Identity()
        self.departition_swap = SwapAxes(-2, -3) if across else nn.Identity()
        attention = RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2)
        normed = [norm_layer(in_channels), attention]
        self.attn_layer = nn.Sequential(*normed, nn.Dropout(attention_dropout))
        hidden = in_channels * mlp_ratio
        wide = [nn.Linear(in_channels, hidden), activation_layer()]
        mlp = [nn.LayerNorm(in_channels), *wide, nn.Linear(hidden, in_channels)]
        self.mlp_layer = nn.Sequential(*mlp, nn.Dropout(mlp_dropout))
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, mode="row")

    def forward(self, x: Any) -> Any:
        height, width = self.grid_size
        torchish._assert(
            height % self.p == 0 and width % self.p == 0,
            "Grid size must be divisible by partition size. Got grid size of "
            f"{self.grid_size} and partition size of {self.p}",
        )
        x = self.partition_swap(self.partition_op(x, self.p))
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        return self.departition_op(
            self.departition_swap(x), self.p, height // self.p, width // self.p
        )


class MaxVitLayer(nn.Module):
    """MBConv, attention within windows, attention across the grid."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        stride: int,
        norm_layer: Layer,
        activation_layer: Layer,
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        p_stochastic_dropout: float,
        partition_size: int,
        grid_size: Size,
    ) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["MBconv"] = MBConv(
            in_channels, out_channels, expansion_ratio, squeeze_ratio, stride, activation_layer,
            norm_layer, p_stochastic_dropout,
        )  # fmt: skip
        for kind in ("window", "grid"):
            layers[f"{kind}_attention"] = PartitionAttentionLayer(
                out_channels, head_dim, partition_size, kind, grid_size, mlp_ratio,
                activation_layer, nn.LayerNorm, attention_dropout, mlp_dropout,
                p_stochastic_dropout,
            )  # fmt: skip
        self.layers = nn.Sequential(layers)

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class MaxVitBlock(nn.Module):
    """Layers of one width; the first halves the size."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        norm_layer: Layer,
        activation_layer: Layer,
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        partition_size: int,
        input_grid_size: Size,
        n_layers: int,
        p_stochastic: list[float],
    ) -> None:
        super().__init__()
        if len(p_stochastic) != n_layers:
            raise ValueError(
                f"p_stochastic must have length n_layers={n_layers}, got "
                f"p_stochastic={p_stochastic}."
            )
        self.layers = nn.ModuleList()
        self.grid_size = _get_conv_output_shape(input_grid_size, kernel_size=3, stride=2, padding=1)
        for i, drop in enumerate(p_stochastic):
            layer = MaxVitLayer(
                out_channels if i else in_channels, out_channels, squeeze_ratio, expansion_ratio,
                1 if i else 2, norm_layer, activation_layer, head_dim, mlp_ratio, mlp_dropout,
                attention_dropout, drop, partition_size, self.grid_size,
            )  # fmt: skip
            self.layers.append(layer)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


class MaxVit(nn.Module):
    """MaxViT.

    Args:
        partition_size: side of the windows; the size after every block must be a multiple.
        stochastic_depth_prob: chance to drop the last layer; it grows linearly from 0.
    Shape: (N, 3, *input_size) to (N, num_classes).
    Raises: ValueError for sizes that the windows do not divide.
    """

    def __init__(
        self,
        input_size: Size,
        stem_channels: int,
        partition_size: int,
        block_channels: list[int],
        block_layers: list[int],
        head_dim: int,
        stochastic_depth_prob: float,
        norm_layer: Layer | None = None,
        activation_layer: Layer = nn.GELU,
        squeeze_ratio: float = 0.25,
        expansion_ratio: float = 4,
        mlp_ratio: int = 4,
        mlp_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        sizes = _make_block_input_shapes(input_size, len(block_channels))
        for i, (height, width) in enumerate(sizes):
            if height % partition_size != 0 or width % partition_size != 0:
                raise ValueError(
                    f"Input size {(height, width)} of block {i} is not divisible by partition "
                    f"size {partition_size}. Consider changing the partition size or the input "
                    "size.\nCurrent configuration yields the following block input sizes: "
                    f"{sizes}."
                )
        self.stem = nn.Sequential(
            Conv2dNormActivation(
                3, stem_channels, 3, stride=2, norm_layer=norm, activation_layer=activation_layer,
                bias=False, inplace=None,
            ),
            Conv2dNormActivation(
                stem_channels, stem_channels, 3, stride=1, norm_layer=None, activation_layer=None,
                bias=True,
            ),
        )  # fmt: skip
        self.partition_size = partition_size
        self.blocks = nn.ModuleList()
        drops = np.linspace(0, stochastic_depth_prob, sum(block_layers)).tolist()
        size, width = _get_conv_output_shape(input_size, 3, 2, 1), stem_channels
        for wider, depth in zip(block_channels, block_layers, strict=True):
            block = MaxVitBlock(
                width, wider, squeeze_ratio, expansion_ratio, norm, activation_layer, head_dim,
                mlp_ratio, mlp_dropout, attention_dropout, partition_size, size, depth,
                drops[:depth],
            )  # fmt: skip
            self.blocks.append(block)
            size, width, drops = block.grid_size, wider, drops[depth:]
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, num_classes, bias=False),
        )
        initialize(self, {(nn.Conv2d, nn.Linear): normal(0.02), nn.BatchNorm2d: nn.init.ones_})

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)


def _prepare(weights: Any, kwargs: Kwargs) -> None:
    expect_classes(weights, kwargs)
    expect(kwargs, "input_size", weights.meta["min_size"])


def _maxvit_t(input_size: Size = (224, 224), **kwargs: Any) -> MaxVit:
    return MaxVit(
        stem_channels=64,
        block_channels=[64, 128, 256, 512],
        block_layers=[2, 2, 5, 2],
        stochastic_depth_prob=0.2,
        head_dim=32,
        partition_size=7,
        input_size=input_size,
        **kwargs,
    )


MaxVit_T_Weights = weights_enum("MaxVit_T_Weights")
maxvit_t = model("maxvit_t", _maxvit_t, MaxVit_T_Weights, prepare=_prepare)
