"""ShuffleNet v2: half of the channels pass a block untouched, then channels are shuffled.

Source: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design"
(2018).
"""

from __future__ import annotations

from typing import Any

import torchish

from ... import nn
from ..ops.misc import Layer
from ._build import model, weights_enum


def channel_shuffle(x: Any, groups: int) -> Any:
    """Channels in the order first of every group, second of every group …"""
    batch, channels, height, width = x.size()
    grouped = x.view(batch, groups, channels // groups, height, width)
    return grouped.transpose(1, 2).contiguous().view(batch, channels, height, width)


def _point(before: int, after: int) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, kernel_size=1, stride=1, padding=0, bias=False)
    return [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]


class InvertedResidual(nn.Module):
    """Two branches of `oup // 2` channels each; at stride 1 the first is half of the input."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError("illegal stride value")
        half = oup // 2
        if stride == 1 and inp != half << 1:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. If "
                "stride == 1 then inp should be equal to oup // 2 << 1."
            )
        self.stride = stride
        first: list[nn.Module] = []
        if stride > 1:
            first = [*self._filter(inp), *_point(inp, half)]
        self.branch1 = nn.Sequential(*first)
        self.branch2 = nn.Sequential(
            *_point(inp if stride > 1 else half, half), *self._filter(half), *_point(half, half)
        )

    def _filter(self, width: int) -> list[nn.Module]:
        conv = self.depthwise_conv(width, width, kernel_size=3, stride=self.stride, padding=1)
        return [conv, nn.BatchNorm2d(width)]

    @staticmethod
    def depthwise_conv(
        i: int, o: int, kernel_size: int, stride: int = 1, padding: int = 0, bias: bool = False
    ) -> nn.Conv2d:
        return nn.Conv2d(i, o, kernel_size, stride, padding, bias=bias, groups=i)

    def forward(self, x: Any) -> Any:
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
            out = torchish.cat((kept, self.branch2(changed)), dim=1)
        else:
            out = torchish.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


class ShuffleNetV2(nn.Module):
    """ShuffleNet v2.

    Args:
        stages_repeats: blocks of the three stages.
        stages_out_channels: widths of the stem, the stages and the last convolution.
    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        stages_repeats: list[int],
        stages_out_channels: list[int],
        num_classes: int = 1000,
        inverted_residual: Layer = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        self._stage_out_channels = stages_out_channels
        width, *wider, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for stage, (repeats, after) in enumerate(zip(stages_repeats, wider, strict=True), 2):
            blocks = [inverted_residual(width, after, 2)]
            blocks += [inverted_residual(after, after, 1) for _ in range(repeats - 1)]
            self.add_module(f"stage{stage}", nn.Sequential(*blocks))
            width = after
        self.conv5 = nn.Sequential(*_point(width, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean([2, 3]))


def _shufflenet(name: str, enum: Any, widths: list[int]) -> Any:
    return model(name, lambda **kwargs: ShuffleNetV2([4, 8, 4], widths, **kwargs), enum)


ShuffleNet_V2_X0_5_Weights = weights_enum("ShuffleNet_V2_X0_5_Weights")
ShuffleNet_V2_X1_0_Weights = weights_enum("ShuffleNet_V2_X1_0_Weights")
ShuffleNet_V2_X1_5_Weights = weights_enum("ShuffleNet_V2_X1_5_Weights")
ShuffleNet_V2_X2_0_Weights = weights_enum("ShuffleNet_V2_X2_0_Weights")
shufflenet_v2_x0_5 = _shufflenet(
    "shufflenet_v2_x0_5", ShuffleNet_V2_X0_5_Weights, [24, 48, 96, 192, 1024]
)
shufflenet_v2_x1_0 = _shufflenet(
    "shufflenet_v2_x1_0", ShuffleNet_V2_X1_0_Weights, [24, 116, 232, 464, 1024]
)
shufflenet_v2_x1_5 = _shufflenet(
    "shufflenet_v2_x1_5", ShuffleNet_V2_X1_5_Weights, [24, 176, 352, 704, 1024]
)
shufflenet_v2_x2_0 = _shufflenet(
    "shufflenet_v2_x2_0", ShuffleNet_V2_X2_0_Weights, [24, 244, 488, 976, 2048]
)
