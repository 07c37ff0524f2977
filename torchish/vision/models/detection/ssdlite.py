"""SSDlite: SSD with separable convolutions, on a MobileNet.

Source: Sandler et al., "MobileNetV2" (2018); Howard et al., "Searching for MobileNetV3" (2019).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

from .... import nn
from ...ops.misc import Conv2dNormActivation, Layer
from .._build import weights_enum
from ..mobilenetv3 import mobilenet_v3_large
from . import _build as build, _utils as det_utils
from .anchor_utils import DefaultBoxGenerator
from .backbone_utils import _validate_trainable_layers, stages_of
from .ssd import SSD, SSDScoringHead, check_maps, warn_of_size


def _prediction_block(
    in_channels: int, out_channels: int, kernel_size: int, norm_layer: Layer
) -> nn.Sequential:
    """Each channel filtered, then a 1 x 1 convolution."""
    return nn.Sequential(
        Conv2dNormActivation(
            in_channels,
            in_channels,
            kernel_size=kernel_size,
            groups=in_channels,
            norm_layer=norm_layer,
            activation_layer=nn.ReLU6,
        ),
        nn.Conv2d(in_channels, out_channels, 1),
    )


def _extra_block(in_channels: int, out_channels: int, norm_layer: Layer) -> nn.Sequential:
    """Half the size."""
    middle = out_channels // 2
    conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
    return nn.Sequential(
        conv(in_channels, middle, kernel_size=1),
        conv(middle, middle, kernel_size=3, stride=2, groups=middle),
        conv(middle, out_channels, kernel_size=1),
    )


def _normal_init(conv: nn.Module) -> None:
    for layer in conv.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, mean=0.0, std=0.03)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.0)


def _blocks(
    in_channels: list[int], num_anchors: list[int], width: int, norm_layer: Layer
) -> nn.ModuleList:
    found = nn.ModuleList(
        _prediction_block(channels, width * anchors, 3, norm_layer)
        for channels, anchors in zip(in_channels, num_anchors, strict=False)
    )
    _normal_init(found)
    return found


class SSDLiteClassificationHead(SSDScoringHead):
    """A logit for each box and category."""

    def __init__(
        self,
        in_channels: list[int],
        num_anchors: list[int],
        num_classes: int,
        norm_layer: Layer,
    ) -> None:
        super().__init__(_blocks(in_channels, num_anchors, num_classes, norm_layer), num_classes)


class SSDLiteRegressionHead(SSDScoringHead):
    """The offsets of each box."""

    def __init__(self, in_channels: list[int], num_anchors: list[int], norm_layer: Layer) -> None:
        super().__init__(_blocks(in_channels, num_anchors, 4, norm_layer), 4)


class SSDLiteHead(nn.Module):
    """Logits and offsets."""

    def __init__(
        self,
        in_channels: list[int],
        num_anchors: list[int],
        num_classes: int,
        norm_layer: Layer,
    ) -> None:
        super().__init__()
        self.classification_head = SSDLiteClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer
        )
        self.regression_head = SSDLiteRegressionHead(in_channels, num_anchors, norm_layer)

    def forward(self, x: list[Any]) -> dict[str, Any]:
        return {
            "bbox_regression": self.regression_head(x),
            "cls_logits": self.classification_head(x),
        }


class SSDLiteFeatureExtractorMobileNet(nn.Module):
    """Two maps of a MobileNet, and four that are appended."""

    def __init__(
        self,
        backbone: Any,
        c4_pos: int,
        norm_layer: Layer,
        width_mult: float = 1.0,
        min_depth: int = 16,
    ) -> None:
        super().__init__()
        split = backbone[c4_pos]
        if split.use_res_connect:
            raise ValueError("backbone[c4_pos].use_res_connect should be False")
        # The first map is what the widening convolution of that block gives.
        self.features = nn.Sequential(
            nn.Sequential(*backbone[:c4_pos], split.block[0]),
            nn.Sequential(split.block[1:], *backbone[c4_pos + 1 :]),
        )
        widths = [max(min_depth, int(d * width_mult)) for d in (512, 256, 256, 128)]
        before = [backbone[-1].out_channels, *widths[:-1]]
        extra = nn.ModuleList(
            _extra_block(a, b, norm_layer) for a, b in zip(before, widths, strict=True)
        )
        _normal_init(extra)
        self.extra = extra

    def forward(self, x: Any) -> OrderedDict[str, Any]:
        maps = []
        for block in (*self.features, *self.extra):
            x = block(x)
            maps.append(x)
        return OrderedDict((str(i), value) for i, value in enumerate(maps))


def _mobilenet_extractor(backbone: Any, trainable_layers: int, norm_layer: Layer) -> Any:
    layers = backbone.features
    stages = stages_of(layers)
    count = len(stages)
    if not 0 <= trainable_layers <= count:
        raise ValueError(
            f"trainable_layers should be in the range [0, {count}], instead got {trainable_layers}"
        )
    frozen = stages[count - trainable_layers] if trainable_layers else len(layers)
    for layer in layers[:frozen]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)
    return SSDLiteFeatureExtractorMobileNet(layers, stages[-2], norm_layer)


def _ssdlite320(
    *,
    weights=None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone=build.MOBILENET,
    trainable_backbone_layers: int | None = None,
    norm_layer: Layer | None = None,
    **kwargs: Any,
) -> SSD:
    warn_of_size(kwargs)
    weights_backbone, count = build.settle(weights, weights_backbone, num_classes)
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 6, 6)
    norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    mobilenet = mobilenet_v3_large(
        weights=weights_backbone,
        progress=progress,
        norm_layer=norm,
        reduced_tail=weights_backbone is None,
        **kwargs,
    )
    if weights_backbone is None:
        _normal_init(mobilenet)
    backbone = _mobilenet_extractor(mobilenet, layers, norm)
    size = (320, 320)
    anchors = DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
    widths = det_utils.retrieve_out_channels(backbone, size)
    check_maps(widths, anchors)
    options = {
        "score_thresh": 0.001,
        "nms_thresh": 0.55,
        "detections_per_img": 300,
        "topk_candidates": 300,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    head = SSDLiteHead(widths, anchors.num_anchors_per_location(), count, norm)
    network = SSD(backbone, anchors, size, count, head=head, **{**options, **kwargs})
    return build.filled(network, weights, progress)


SSDLite320_MobileNet_V3_Large_Weights = weights_enum("SSDLite320_MobileNet_V3_Large_Weights")
ssdlite320_mobilenet_v3_large = build.detector(
    "ssdlite320_mobilenet_v3_large",
    _ssdlite320,
    SSDLite320_MobileNet_V3_Large_Weights,
    build.MOBILENET,
    __name__,
)
