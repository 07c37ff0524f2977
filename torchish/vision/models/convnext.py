"""ConvNeXt: a convolutional network with a transformer's proportions.

Source: Liu et al., "A ConvNet for the 2020s" (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torchish

from ... import nn
from ...nn import functional as F
from ..ops.misc import Conv2dNormActivation, Layer, Permute
from ..ops.stochastic_depth import StochasticDepth
from ._build import model, weights_enum
from ._init import initialize, truncated


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W)."""

    def forward(self, x: Any) -> Any:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """x + scale * mlp(norm(7 x 7 convolution of each channel))"""

    def __init__(
        self,
        dim: int,
        layer_scale: float,
        stochastic_depth_prob: float,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            norm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(torchish.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Any) -> Any:
        result = self.stochastic_depth(self.layer_scale * self.block(input))
        result += input
        return result


class CNBlockConfig:
    """One stage: its width, the width after it (None at the end), its blocks."""

    def __init__(self, input_channels: int, out_channels: int | None, num_layers: int) -> None:
        self.input_channels = input_channels
        self.out_channels = out_channels
        self.num_layers = num_layers

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(input_channels={self.input_channels}, "
            f"out_channels={self.out_channels}, num_layers={self.num_layers})"
        )


class ConvNeXt(nn.Module):
    """ConvNeXt.

    Args:
        block_setting: one CNBlockConfig a stage.
        stochastic_depth_prob: chance to drop the last block; it grows linearly from 0.
        layer_scale: initial scale of every block.
    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        block_setting: list[CNBlockConfig],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Layer | None = None,
        norm_layer: Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty")
        if not isinstance(block_setting, Sequence) or not all(
            isinstance(stage, CNBlockConfig) for stage in block_setting
        ):
            raise TypeError("The block_setting should be List[CNBlockConfig]")
        block, norm = block or CNBlock, norm_layer or partial(LayerNorm2d, eps=1e-6)
        layers: list[nn.Module] = [
            Conv2dNormActivation(
                3,
                block_setting[0].input_channels,
                kernel_size=4,
                stride=4,
                padding=0,
                norm_layer=norm,
                activation_layer=None,
                bias=True,
            )
        ]
        total, done = sum(stage.num_layers for stage in block_setting), 0
        for stage in block_setting:
            blocks = []
            for _ in range(stage.num_layers):
                drop = stochastic_depth_prob * done / (total - 1.0)
                blocks.append(block(stage.input_channels, layer_scale, drop))
                done += 1
            layers.append(nn.Sequential(*blocks))
            if stage.out_channels is not None:
                halve = nn.Conv2d(stage.input_channels, stage.out_channels, 2, stride=2)
                layers.append(nn.Sequential(norm(stage.input_channels), halve))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = block_setting[-1]
        width = last.input_channels if last.out_channels is None else last.out_channels
        self.classifier = nn.Sequential(norm(width), nn.Flatten(1), nn.Linear(width, num_classes))
        initialize(self, {(nn.Conv2d, nn.Linear): truncated(0.02)})

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)))


def _convnext(name: str, enum: Any, width: int, deep: int, drop: float) -> Any:
    def construct(stochastic_depth_prob: float = drop, **kwargs: Any) -> ConvNeXt:
        widths = [width, 2 * width, 4 * width, 8 * width]
        stages = [
            CNBlockConfig(before, after, depth)
            for before, after, depth in zip(
                widths, [*widths[1:], None], (3, 3, deep, 3), strict=True
            )
        ]
        return ConvNeXt(stages, stochastic_depth_prob=stochastic_depth_prob, **kwargs)

    return model(name, construct, enum)


ConvNeXt_Tiny_Weights = weights_enum("ConvNeXt_Tiny_Weights")
ConvNeXt_Small_Weights = weights_enum("ConvNeXt_Small_Weights")
ConvNeXt_Base_Weights = weights_enum("ConvNeXt_Base_Weights")
ConvNeXt_Large_Weights = weights_enum("ConvNeXt_Large_Weights")
convnext_tiny = _convnext("convnext_tiny", ConvNeXt_Tiny_Weights, 96, 9, 0.1)
convnext_small = _convnext("convnext_small", ConvNeXt_Small_Weights, 96, 27, 0.4)
convnext_base = _convnext("convnext_base", ConvNeXt_Base_Weights, 128, 27, 0.5)
convnext_large = _convnext("convnext_large", ConvNeXt_Large_Weights, 192, 27, 0.5)
