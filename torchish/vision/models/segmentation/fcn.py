"""FCN: convolutions in place of a classifier's linear layers.

Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation" (2014).
"""

from __future__ import annotations

from typing import Any

from .... import nn
from .._build import weights_enum
from ..resnet import ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from ._utils import _SimpleSegmentationModel, dilated_resnet, resnet_layers, segmenter


class FCN(_SimpleSegmentationModel):
    """A fully convolutional network."""


class FCNHead(nn.Sequential):
    """Two convolutions."""

    def __init__(self, in_channels: int, channels: int) -> None:
        width = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(width, channels, 1),
        )


def on_resnet(builder: Any, segmenter: Any, head: Any) -> Any:
    """A function that makes a segmenter with that head on a dilated ResNet."""

    def construct(weights: Any, num_classes: int, aux: bool | None) -> Any:
        backbone = resnet_layers(dilated_resnet(builder, weights), aux)
        extra = FCNHead(1024, num_classes) if aux else None
        return segmenter(backbone, head(2048, num_classes), extra)

    return construct


FCN_ResNet50_Weights = weights_enum("FCN_ResNet50_Weights")
FCN_ResNet101_Weights = weights_enum("FCN_ResNet101_Weights")
fcn_resnet50 = segmenter(
    "fcn_resnet50",
    on_resnet(resnet50, FCN, FCNHead),
    FCN_ResNet50_Weights,
    ResNet50_Weights.IMAGENET1K_V1,
    __name__,
)
fcn_resnet101 = segmenter(
    "fcn_resnet101",
    on_resnet(resnet101, FCN, FCNHead),
    FCN_ResNet101_Weights,
    ResNet101_Weights.IMAGENET1K_V1,
    __name__,
)
