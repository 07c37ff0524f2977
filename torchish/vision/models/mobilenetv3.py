"""MobileNet v3, large and small.

Source: Howard et al., "Searching for MobileNetV3" (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ... import nn
from ..ops.misc import Conv2dNormActivation, Layer, SqueezeExcitation
from ._build import make_divisible, model, weights_enum
from ._init import NORMS, initialize, kaiming_fan_out, normal


class InvertedResidualConfig:
    """One row of the paper's tables 1 and 2."""

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ) -> None:
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se = use_se
        self.use_hs = activation == "HS"
        self.stride = stride
        self.dilation = dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """Scaled channels, a multiple of 8."""
        return make_divisible(channels * width_mult, 8)


_Squeeze = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)


class InvertedResidual(nn.Module):
    """Widen, filter each channel, weigh the channels, narrow; the input is added where it fits."""

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: Layer,
        se_layer: Layer = _Squeeze,
    ) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        width = cnf.expanded_channels
        conv = partial(
            Conv2dNormActivation,
            norm_layer=norm_layer,
            activation_layer=nn.Hardswish if cnf.use_hs else nn.ReLU,
        )
        layers: list[nn.Module] = []
        if width != cnf.input_channels:
            layers.append(conv(cnf.input_channels, width, kernel_size=1))
        layers.append(
            conv(
                width,
                width,
                kernel_size=cnf.kernel,
                stride=1 if cnf.dilation > 1 else cnf.stride,
                dilation=cnf.dilation,
                groups=width,
            )
        )
        if cnf.use_se:
            layers.append(se_layer(width, make_divisible(width // 4, 8)))
        layers.append(conv(width, cnf.out_channels, kernel_size=1, activation_layer=None))
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.out_channels = cnf.out_channels
        self._is_cn = cnf.stride > 1

    def forward(self, input: Any) -> Any:
        result = self.block(input)
        if self.use_res_connect:
            result += input
        return result


class MobileNetV3(nn.Module):
    """MobileNet v3.

    Args:
        inverted_residual_setting: one InvertedResidualConfig a block.
        last_channel: width of the classifier's hidden layer.
    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        inverted_residual_setting: list[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Layer | None = None,
        norm_layer: Layer | None = None,
        dropout: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        rows = inverted_residual_setting
        if not rows:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(rows, Sequence) or not all(
            isinstance(row, InvertedResidualConfig) for row in rows
        ):
            raise TypeError("The inverted_residual_setting should be List[InvertedResidualConfig]")
        block = block or InvertedResidual
        norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        width = rows[-1].out_channels
        self.features = nn.Sequential(
            conv(3, rows[0].input_channels, kernel_size=3, stride=2),
            *(block(row, norm) for row in rows),
            conv(width, 6 * width, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * width, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        initialize(
            self, {nn.Conv2d: kaiming_fan_out, NORMS: nn.init.ones_, nn.Linear: normal(0.01)}
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


# Rows: input, kernel, expanded, output, squeeze, activation, stride. From row `tail` on the
# channels are halved by `reduced_tail` (the first row's output, then everything) and the
# convolutions dilated by `dilated`.
_TABLES: dict[str, Any] = {
    "mobilenet_v3_large": {
        "rows": [
            (16, 3, 16, 16, False, "RE", 1),
            (16, 3, 64, 24, False, "RE", 2),
            (24, 3, 72, 24, False, "RE", 1),
            (24, 5, 72, 40, True, "RE", 2),
            (40, 5, 120, 40, True, "RE", 1),
            (40, 5, 120, 40, True, "RE", 1),
            (40, 3, 240, 80, False, "HS", 2),
            (80, 3, 200, 80, False, "HS", 1),
            (80, 3, 184, 80, False, "HS", 1),
            (80, 3, 184, 80, False, "HS", 1),
            (80, 3, 480, 112, True, "HS", 1),
            (112, 3, 672, 112, True, "HS", 1),
            (112, 5, 672, 160, True, "HS", 2),
            (160, 5, 960, 160, True, "HS", 1),
            (160, 5, 960, 160, True, "HS", 1),
        ],
        "tail": 12,
        "last": 1280,
    },
    "mobilenet_v3_small": {
        "rows": [
            (16, 3, 16, 16, True, "RE", 2),
            (16, 3, 72, 24, False, "RE", 2),
            (24, 3, 88, 24, False, "RE", 1),
            (24, 5, 96, 40, True, "HS", 2),
            (40, 5, 240, 40, True, "HS", 1),
            (40, 5, 240, 40, True, "HS", 1),
            (40, 5, 120, 48, True, "HS", 1),
            (48, 5, 144, 48, True, "HS", 1),
            (48, 5, 288, 96, True, "HS", 2),
            (96, 5, 576, 96, True, "HS", 1),
            (96, 5, 576, 96, True, "HS", 1),
        ],
        "tail": 8,
        "last": 1024,
    },
}


def _mobilenet_v3_conf(
    arch: str,
    width_mult: float = 1.0,
    reduced_tail: bool = False,
    dilated: bool = False,
    **kwargs: Any,
) -> tuple[list[InvertedResidualConfig], int]:
    """The rows of a network and the width of its classifier's hidden layer."""
    if arch not in _TABLES:
        raise ValueError(f"Unsupported model type {arch}")
    entry, divider = _TABLES[arch], 2 if reduced_tail else 1
    rows = []
    for i, (before, kernel, middle, after, squeeze, activation, stride) in enumerate(entry["rows"]):
        if i >= entry["tail"]:
            after //= divider
        if i > entry["tail"]:
            before, middle = before // divider, middle // divider
        dilation = 2 if dilated and i >= entry["tail"] else 1
        rows.append(
            InvertedResidualConfig(
                before, kernel, middle, after, squeeze, activation, stride, dilation, width_mult
            )
        )
    last = InvertedResidualConfig.adjust_channels(entry["last"] // divider, width_mult)
    return rows, last


def _mobilenet_v3(name: str, enum: Any) -> Any:
    def construct(**kwargs: Any) -> MobileNetV3:
        return MobileNetV3(*_mobilenet_v3_conf(name, **kwargs), **kwargs)

    return model(name, construct, enum)


MobileNet_V3_Large_Weights = weights_enum("MobileNet_V3_Large_Weights")
MobileNet_V3_Small_Weights = weights_enum("MobileNet_V3_Small_Weights")
mobilenet_v3_large = _mobilenet_v3("mobilenet_v3_large", MobileNet_V3_Large_Weights)
mobilenet_v3_small = _mobilenet_v3("mobilenet_v3_small", MobileNet_V3_Small_Weights)
