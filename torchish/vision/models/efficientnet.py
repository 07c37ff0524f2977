"""EfficientNet, versions 1 (B0 to B7) and 2 (S, M, L).

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
(2019) and "EfficientNetV2: Smaller Models and Faster Training" (2021).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ... import nn
from ..ops.misc import Conv2dNormActivation, Layer, SqueezeExcitation
from ..ops.stochastic_depth import StochasticDepth
from ._build import make_divisible, model, weights_enum
from ._init import NORMS, initialize, kaiming_fan_out


@dataclass
class _MBConvConfig:
    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Layer

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        """Scaled channels, a multiple of 8."""
        return make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_MBConvConfig):
    """A stage of MBConv blocks: a row of the first paper's table 1, scaled."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: Layer | None = None,
    ) -> None:
        super().__init__(
            expand_ratio,
            kernel,
            stride,
            self.adjust_channels(input_channels, width_mult),
            self.adjust_channels(out_channels, width_mult),
            self.adjust_depth(num_layers, depth_mult),
            block or MBConv,
        )

    @staticmethod
    def adjust_depth(num_layers: int, depth_mult: float) -> int:
        return math.ceil(num_layers * depth_mult)


class FusedMBConvConfig(_MBConvConfig):
    """A stage of FusedMBConv blocks: a row of the second paper's table 4."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        block: Layer | None = None,
    ) -> None:
        super().__init__(
            expand_ratio, kernel, stride, input_channels, out_channels, num_layers,
            block or FusedMBConv,
        )  # fmt: skip


class _Residual(nn.Module):
    """The input is added where it fits, the branch dropped at random."""

    def _finish(self, cnf: _MBConvConfig, layers: list[nn.Module], drop: float) -> None:
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input: Any) -> Any:
        result = self.block(input)
        if self.use_res_connect:
            result = self.stochastic_depth(result)
            result += input
        return result

    def _check(self, cnf: _MBConvConfig) -> int:
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        return cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)


class MBConv(_Residual):
    """Widen, filter each channel, weigh the channels, narrow."""

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Layer,
        se_layer: Layer = SqueezeExcitation,
    ) -> None:
        super().__init__()
        width = self._check(cnf)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        layers: list[nn.Module] = []
        if width != cnf.input_channels:
            layers.append(conv(cnf.input_channels, width, kernel_size=1))
        layers.append(conv(width, width, kernel_size=cnf.kernel, stride=cnf.stride, groups=width))
        squeezed = max(1, cnf.input_channels // 4)
        layers.append(se_layer(width, squeezed, activation=partial(nn.SiLU, inplace=True)))
        layers.append(conv(width, cnf.out_channels, kernel_size=1, activation_layer=None))
        self._finish(cnf, layers, stochastic_depth_prob)


class FusedMBConv(_Residual):
    """As MBConv with one full convolution in place of widening and filtering."""

    def __init__(
        self, cnf: FusedMBConvConfig, stochastic_depth_prob: float, norm_layer: Layer
    ) -> None:
        super().__init__()
        width = self._check(cnf)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        shape: dict[str, Any] = {"kernel_size": cnf.kernel, "stride": cnf.stride}
        if width != cnf.input_channels:
            layers: list[nn.Module] = [
                conv(cnf.input_channels, width, **shape),
                conv(width, cnf.out_channels, kernel_size=1, activation_layer=None),
            ]
        else:
            layers = [conv(cnf.input_channels, cnf.out_channels, **shape)]
        self._finish(cnf, layers, stochastic_depth_prob)


class EfficientNet(nn.Module):
    """EfficientNet.

    Args:
        inverted_residual_setting: one configuration a stage.
        stochastic_depth_prob: chance to drop the last block; it grows linearly from 0.
        last_channel: width of the last convolution; by default 4 times the last stage's.
    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[MBConvConfig | FusedMBConvConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Layer | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        stages = inverted_residual_setting
        if not stages:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(stages, Sequence) or not all(
            isinstance(s, _MBConvConfig) for s in stages
        ):
            raise TypeError("The inverted_residual_setting should be List[MBConvConfig]")
        norm = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        layers: list[nn.Module] = [conv(3, stages[0].input_channels, kernel_size=3, stride=2)]
        total, done = sum(stage.num_layers for stage in stages), 0
        for stage in stages:
            blocks = []
            row = copy.copy(stage)
            for _ in range(stage.num_layers):
                blocks.append(row.block(row, stochastic_depth_prob * float(done) / total, norm))
                done += 1
                row = copy.copy(row)
                row.input_channels, row.stride = row.out_channels, 1
            layers.append(nn.Sequential(*blocks))
        width = stages[-1].out_channels
        last = 4 * width if last_channel is None else last_channel
        layers.append(conv(width, last, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes)
        )
        initialize(self, {nn.Conv2d: kaiming_fan_out, NORMS: nn.init.ones_, nn.Linear: _by_classes})

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _by_classes(weight: Any) -> None:
    bound = 1.0 / math.sqrt(weight.shape[0])
    nn.init.uniform_(weight, -bound, bound)


# Expansion, kernel, stride, input, output, blocks.
_V1 = [
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
]
# The first three stages are fused.
_V2 = {
    "s": [
        (1, 3, 1, 24, 24, 2),
        (4, 3, 2, 24, 48, 4),
        (4, 3, 2, 48, 64, 4),
        (4, 3, 2, 64, 128, 6),
        (6, 3, 1, 128, 160, 9),
        (6, 3, 2, 160, 256, 15),
    ],
    "m": [
        (1, 3, 1, 24, 24, 3),
        (4, 3, 2, 24, 48, 5),
        (4, 3, 2, 48, 80, 5),
        (4, 3, 2, 80, 160, 7),
        (6, 3, 1, 160, 176, 14),
        (6, 3, 2, 176, 304, 18),
        (6, 3, 1, 304, 512, 5),
    ],
    "l": [
        (1, 3, 1, 32, 32, 4),
        (4, 3, 2, 32, 64, 7),
        (4, 3, 2, 64, 96, 7),
        (4, 3, 2, 96, 192, 10),
        (6, 3, 1, 192, 224, 19),
        (6, 3, 2, 224, 384, 25),
        (6, 3, 1, 384, 640, 7),
    ],
}


def _version1(
    name: str, enum: Any, width: float, depth: float, dropout: float, norm: Layer | None = None
) -> Any:
    def construct(dropout: float = dropout, **kwargs: Any) -> EfficientNet:
        stages = [MBConvConfig(*row, width_mult=width, depth_mult=depth) for row in _V1]
        return EfficientNet(stages, dropout, **_with_norm(norm, kwargs))

    return model(name, construct, enum)


def _version2(name: str, enum: Any, dropout: float) -> Any:
    def construct(dropout: float = dropout, **kwargs: Any) -> EfficientNet:
        rows = _V2[name[-1]]
        stages: list[Any] = [FusedMBConvConfig(*row) for row in rows[:3]]
        stages += [MBConvConfig(*row) for row in rows[3:]]
        norm = partial(nn.BatchNorm2d, eps=0.001)
        return EfficientNet(stages, dropout, last_channel=1280, **_with_norm(norm, kwargs))

    return model(name, construct, enum)


def _with_norm(norm: Layer | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    if norm is None:
        return kwargs
    if "norm_layer" in kwargs:
        raise TypeError("this model's norm_layer is part of its definition and cannot be given")
    return {"norm_layer": norm, **kwargs}


_WIDE_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)

EfficientNet_B0_Weights = weights_enum("EfficientNet_B0_Weights")
EfficientNet_B1_Weights = weights_enum("EfficientNet_B1_Weights")
EfficientNet_B2_Weights = weights_enum("EfficientNet_B2_Weights")
EfficientNet_B3_Weights = weights_enum("EfficientNet_B3_Weights")
EfficientNet_B4_Weights = weights_enum("EfficientNet_B4_Weights")
EfficientNet_B5_Weights = weights_enum("EfficientNet_B5_Weights")
EfficientNet_B6_Weights = weights_enum("EfficientNet_B6_Weights")
EfficientNet_B7_Weights = weights_enum("EfficientNet_B7_Weights")
EfficientNet_V2_S_Weights = weights_enum("EfficientNet_V2_S_Weights")
EfficientNet_V2_M_Weights = weights_enum("EfficientNet_V2_M_Weights")
EfficientNet_V2_L_Weights = weights_enum("EfficientNet_V2_L_Weights")
efficientnet_b0 = _version1("efficientnet_b0", EfficientNet_B0_Weights, 1.0, 1.0, 0.2)
efficientnet_b1 = _version1("efficientnet_b1", EfficientNet_B1_Weights, 1.0, 1.1, 0.2)
efficientnet_b2 = _version1("efficientnet_b2", EfficientNet_B2_Weights, 1.1, 1.2, 0.3)
efficientnet_b3 = _version1("efficientnet_b3", EfficientNet_B3_Weights, 1.2, 1.4, 0.3)
efficientnet_b4 = _version1("efficientnet_b4", EfficientNet_B4_Weights, 1.4, 1.8, 0.4)
efficientnet_b5 = _version1("efficientnet_b5", EfficientNet_B5_Weights, 1.6, 2.2, 0.4, _WIDE_NORM)
efficientnet_b6 = _version1("efficientnet_b6", EfficientNet_B6_Weights, 1.8, 2.6, 0.5, _WIDE_NORM)
efficientnet_b7 = _version1("efficientnet_b7", EfficientNet_B7_Weights, 2.0, 3.1, 0.5, _WIDE_NORM)
efficientnet_v2_s = _version2("efficientnet_v2_s", EfficientNet_V2_S_Weights, 0.2)
efficientnet_v2_m = _version2("efficientnet_v2_m", EfficientNet_V2_M_Weights, 0.3)
efficientnet_v2_l = _version2("efficientnet_v2_l", EfficientNet_V2_L_Weights, 0.4)
