"""MobileNet v2: inverted residual blocks.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018).
"""

from __future__ import annotations

from typing import Any

from ... import nn
from ...nn import functional as F
from ..ops.misc import Conv2dNormActivation, Layer
from ._build import make_divisible, model, weights_enum
from ._init import NORMS, initialize, kaiming_fan_out, normal

# The paper's table 2: expansion, channels, blocks, stride of the first block.
_TABLE = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


class InvertedResidual(nn.Module):
    """Widen (1 x 1), filter each channel (3 x 3), narrow (1 x 1); x is added where it fits."""

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: int,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm = norm_layer or nn.BatchNorm2d
        width = round(inp * expand_ratio)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(
                Conv2dNormActivation(
                    inp, width, kernel_size=1, norm_layer=norm, activation_layer=nn.ReLU6
                )
            )
        filtered = Conv2dNormActivation(
            width, width, stride=stride, groups=width, norm_layer=norm, activation_layer=nn.ReLU6
        )
        layers += [filtered, nn.Conv2d(width, oup, 1, 1, 0, bias=False), norm(oup)]
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(*layers)
        self.out_channels = oup
        self._is_cn = stride > 1

    def forward(self, x: Any) -> Any:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNet v2.

    Args:
        width_mult: scales the channels of every layer.
        inverted_residual_setting: rows of expansion, channels, blocks, first stride.
        round_nearest: channels are multiples of this.
    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: list[list[int]] | None = None,
        round_nearest: int = 8,
        block: Layer | None = None,
        norm_layer: Layer | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        block, norm = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        rows = _TABLE if inverted_residual_setting is None else inverted_residual_setting
        if len(rows) == 0 or len(rows[0]) != 4:
            raise ValueError(
                "inverted_residual_setting should be non-empty or a 4-element list, got "
                f"{inverted_residual_setting}"
            )
        options: dict[str, Any] = {"norm_layer": norm, "activation_layer": nn.ReLU6}
        width = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        layers: list[nn.Module] = [Conv2dNormActivation(3, width, stride=2, **options)]
        for expansion, channels, blocks, stride in rows:
            wider = make_divisible(channels * width_mult, round_nearest)
            for i in range(blocks):
                first = stride if i == 0 else 1
                layers.append(block(width, wider, first, expand_ratio=expansion, norm_layer=norm))
                width = wider
        layers.append(Conv2dNormActivation(width, self.last_channel, kernel_size=1, **options))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes)
        )
        initialize(
            self, {nn.Conv2d: kaiming_fan_out, NORMS: nn.init.ones_, nn.Linear: normal(0.01)}
        )

    def forward(self, x: Any) -> Any:
        pooled = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(pooled.flatten(1))


MobileNet_V2_Weights = weights_enum("MobileNet_V2_Weights")
mobilenet_v2 = model("mobilenet_v2", MobileNetV2, MobileNet_V2_Weights)
