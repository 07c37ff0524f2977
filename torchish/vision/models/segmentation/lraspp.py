"""LR-ASPP: the segmenter of MobileNet v3.

Source: Howard et al., "Searching for MobileNetV3" (2019), section 6.4.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .... import nn
from .._build import expected, load, published, weights_enum
from .._utils import IntermediateLayerGetter
from ..mobilenetv3 import MobileNet_V3_Large_Weights
from ._utils import arguments, mobilenet_layers, to_size


class LRASPP(nn.Module):
    """A backbone that gives "low" and "high", and a head.

    Shape: (N, 3, H, W) to an ordered dict with "out" (N, classes, H, W).
    """

    def __init__(
        self,
        backbone: nn.Module,
        low_channels: int,
        high_channels: int,
        num_classes: int,
        inter_channels: int = 128,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = LRASPPHead(low_channels, high_channels, num_classes, inter_channels)

    def forward(self, input: Any) -> OrderedDict[str, Any]:
        return OrderedDict(out=to_size(self.classifier(self.backbone(input)), input.shape[-2:]))


class LRASPPHead(nn.Module):
    """The high map weighed by its means, added to the low map; both as logits."""

    def __init__(
        self, low_channels: int, high_channels: int, num_classes: int, inter_channels: int
    ) -> None:
        super().__init__()
        layers: dict[str, tuple[list[nn.Module], list[nn.Module]]] = {
            "cbr": ([], [nn.BatchNorm2d(inter_channels), nn.ReLU(inplace=True)]),
            "scale": ([nn.AdaptiveAvgPool2d(1)], [nn.Sigmoid()]),
        }
        for name, (before, after) in layers.items():
            narrow = nn.Conv2d(high_channels, inter_channels, 1, bias=False)
            self.add_module(name, nn.Sequential(*before, narrow, *after))
        for name, width in (("low", low_channels), ("high", inter_channels)):
            self.add_module(f"{name}_classifier", nn.Conv2d(width, num_classes, 1))

    def forward(self, input: dict[str, Any]) -> Any:
        low, high = input["low"], input["high"]
        weighed = to_size(self.cbr(high) * self.scale(high), low.shape[-2:])
        return self.low_classifier(low) + self.high_classifier(weighed)


_BACKBONE = MobileNet_V3_Large_Weights.IMAGENET1K_V1


def _lraspp(
    *,
    weights=None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone=_BACKBONE,
    **kwargs: Any,
) -> LRASPP:
    if kwargs.pop("aux_loss", False):
        raise NotImplementedError("This model does not use auxiliary loss")
    if weights is not None:
        weights_backbone = None
        num_classes = expected("num_classes", num_classes, len(weights.meta["categories"]))
    layers, low, high = mobilenet_layers(weights_backbone)
    backbone = IntermediateLayerGetter(layers, return_layers={str(low): "low", str(high): "high"})
    widths = layers[low].out_channels, layers[high].out_channels
    network = LRASPP(backbone, *widths, 21 if num_classes is None else num_classes)
    if weights is not None:
        load(network, weights, progress)
    return network


LRASPP_MobileNet_V3_Large_Weights = weights_enum("LRASPP_MobileNet_V3_Large_Weights")
lraspp_mobilenet_v3_large = published(
    "lraspp_mobilenet_v3_large",
    _lraspp,
    arguments(LRASPP_MobileNet_V3_Large_Weights, _BACKBONE),
    __name__,
    "LR-ASPP on a large MobileNet v3.",
)
