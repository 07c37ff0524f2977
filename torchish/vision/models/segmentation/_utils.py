"""Networks that give every pixel a category: what they share."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .... import nn
from ....nn import functional as F
from .._api import WeightsEnum
from .._build import Argument, expected, load, published
from .._utils import IntermediateLayerGetter
from ..detection.backbone_utils import stages_of
from ..mobilenetv3 import mobilenet_v3_large


class _SimpleSegmentationModel(nn.Module):
    """A backbone that gives "out" (and "aux"), and a classifier of each.

    Shape: (N, 3, H, W) to an ordered dict of (N, classes, H, W).
    """

    __constants__ = ("aux_classifier",)

    def __init__(
        self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x: Any) -> OrderedDict[str, Any]:
        size = x.shape[-2:]
        features = self.backbone(x)
        result = OrderedDict(out=to_size(self.classifier(features["out"]), size))
        if self.aux_classifier is not None:
            result["aux"] = to_size(self.aux_classifier(features["aux"]), size)
        return result


def to_size(x: Any, size: Any) -> Any:
    """A map resized bilinearly."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def dilated_resnet(builder: Any, weights: Any) -> Any:
    """A ResNet whose last two parts keep the size."""
    return builder(weights=weights, replace_stride_with_dilation=[False, True, True])


def resnet_layers(backbone: nn.Module, aux: bool | None) -> IntermediateLayerGetter:
    """The last part of a ResNet as "out" and, if asked, the one before as "aux"."""
    wanted = {"layer4": "out", **({"layer3": "aux"} if aux else {})}
    return IntermediateLayerGetter(backbone, return_layers=wanted)


def mobilenet_layers(weights: Any) -> tuple[Any, int, int]:
    """The layers of a large MobileNet v3, dilated; where its stride of 8 ends, and its last."""
    layers = mobilenet_v3_large(weights=weights, dilated=True).features
    stages = stages_of(layers)
    return layers, stages[-4], stages[-1]


def segmenter(
    name: str, construct: Any, enum: type[WeightsEnum], backbone: Any, module: str
) -> Any:
    """Register the builder `name` of a network with an auxiliary loss.

    Args:
        construct: makes it from the backbone's weights, the number of categories, aux_loss.
    """

    def build(
        *,
        weights=None,
        progress: bool = True,
        num_classes: int | None = None,
        aux_loss: bool | None = None,
        weights_backbone=backbone,
        **kwargs: Any,
    ) -> nn.Module:
        if weights is not None:
            weights_backbone = None
            num_classes = expected("num_classes", num_classes, len(weights.meta["categories"]))
            aux_loss = expected("aux_loss", aux_loss, True)
        network = construct(weights_backbone, 21 if num_classes is None else num_classes, aux_loss)
        if weights is not None:
            load(network, weights, progress)
        return network

    return published(name, build, arguments(enum, backbone), module, f"{name}, a segmenter.")


def arguments(enum: Any, backbone: Any) -> list[Argument]:
    """The weights of a segmenter, and of its backbone."""
    return [
        Argument("weights", enum, "pretrained", enum.COCO_WITH_VOC_LABELS_V1),
        Argument("weights_backbone", type(backbone), "pretrained_backbone", backbone),
    ]
