"""DeepLabV3: convolutions of several dilations side by side.

Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torchish

from .... import nn
from .._build import weights_enum
from .._utils import IntermediateLayerGetter
from ..mobilenetv3 import MobileNet_V3_Large_Weights
from ..resnet import ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from ._utils import (
    _SimpleSegmentationModel,
    mobilenet_layers,
    segmenter,
    to_size,
)
from .fcn import FCNHead, on_resnet


class DeepLabV3(_SimpleSegmentationModel):
    """A DeepLabV3 network."""


def _conv(before: int, after: int, kernel: int, **options: Any) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, kernel, bias=False, **options)
    return [conv, nn.BatchNorm2d(after), nn.ReLU()]


class DeepLabHead(nn.Sequential):
    """ASPP, then two convolutions."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        atrous_rates: Sequence[int] = (12, 24, 36),
    ) -> None:
        super().__init__(
            ASPP(in_channels, atrous_rates),
            *_conv(256, 256, 3, padding=1),
            nn.Conv2d(256, num_classes, 1),
        )


class ASPPConv(nn.Sequential):
    """A dilated convolution."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__(*_conv(in_channels, out_channels, 3, padding=dilation, dilation=dilation))


class ASPPPooling(nn.Sequential):
    """The mean of the whole map, at every place."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *_conv(in_channels, out_channels, 1))

    def forward(self, x: Any) -> Any:
        size = x.shape[-2:]
        return to_size(super().forward(x), size)


class ASPP(nn.Module):
    """A 1 x 1 convolution, dilated ones and the mean, concatenated and projected."""

    def __init__(
        self, in_channels: int, atrous_rates: Sequence[int], out_channels: int = 256
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Sequential(*_conv(in_channels, out_channels, 1)),
                *(ASPPConv(in_channels, out_channels, rate) for rate in atrous_rates),
                ASPPPooling(in_channels, out_channels),
            ]
        )
        self.project = nn.Sequential(
            *_conv(len(self.convs) * out_channels, out_channels, 1), nn.Dropout(0.5)
        )

    def forward(self, x: Any) -> Any:
        return self.project(torchish.cat([conv(x) for conv in self.convs], dim=1))


def _mobilenet(weights: Any, num_classes: int, aux: bool | None) -> DeepLabV3:
    layers, low, last = mobilenet_layers(weights)
    wanted = {str(last): "out", **({str(low): "aux"} if aux else {})}
    backbone = IntermediateLayerGetter(layers, return_layers=wanted)
    extra = FCNHead(layers[low].out_channels, num_classes) if aux else None
    return DeepLabV3(backbone, DeepLabHead(layers[last].out_channels, num_classes), extra)


DeepLabV3_ResNet50_Weights = weights_enum("DeepLabV3_ResNet50_Weights")
DeepLabV3_ResNet101_Weights = weights_enum("DeepLabV3_ResNet101_Weights")
DeepLabV3_MobileNet_V3_Large_Weights = weights_enum("DeepLabV3_MobileNet_V3_Large_Weights")
deeplabv3_resnet50 = segmenter(
    "deeplabv3_resnet50",
    on_resnet(resnet50, DeepLabV3, DeepLabHead),
    DeepLabV3_ResNet50_Weights,
    ResNet50_Weights.IMAGENET1K_V1,
    __name__,
)
deeplabv3_resnet101 = segmenter(
    "deeplabv3_resnet101",
    on_resnet(resnet101, DeepLabV3, DeepLabHead),
    DeepLabV3_ResNet101_Weights,
    ResNet101_Weights.IMAGENET1K_V1,
    __name__,
)
deeplabv3_mobilenet_v3_large = segmenter(
    "deeplabv3_mobilenet_v3_large",
    _mobilenet,
    DeepLabV3_MobileNet_V3_Large_Weights,
    MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    __name__,
)
