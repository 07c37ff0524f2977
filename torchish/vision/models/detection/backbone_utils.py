"""Classifiers as backbones of detectors, with feature pyramids and frozen first layers."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .... import nn
from ...ops.feature_pyramid_network import (
    ExtraFPNBlock,
    FeaturePyramidNetwork,
    LastLevelMaxPool,
)
from ...ops.misc import FrozenBatchNorm2d, Layer
from .. import mobilenet, resnet
from .._api import get_model_weights
from .._build import Argument
from .._utils import IntermediateLayerGetter

OUT_CHANNELS = 256


class BackboneWithFPN(nn.Module):
    """Some layers of a network, and a pyramid over them.

    Args:
        return_layers: names of the layers, each with its level's name.
        in_channels_list: the layers' widths.
        extra_blocks: appends levels; by default a pooled one.
    """

    def __init__(
        self,
        backbone: nn.Module,
        return_layers: dict[str, str],
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, return_layers=return_layers)
        self.fpn = FeaturePyramidNetwork(
            in_channels_list, out_channels, extra_blocks or LastLevelMaxPool(), norm_layer
        )
        self.out_channels = out_channels

    def forward(self, x: Any) -> Any:
        return self.fpn(self.body(x))


def _with_old_weights(family: Any) -> Callable[[Any], Any]:
    """Lets a function of `backbone_name` and `weights` take `pretrained` too, with a warning."""

    def wrap(function: Any) -> Any:
        @functools.wraps(function)
        def build(**kwargs: Any) -> Any:
            if "backbone_name" in kwargs:
                enum = get_model_weights(vars(family)[kwargs["backbone_name"]])
                old = Argument("weights", enum, "pretrained", enum["IMAGENET1K_V1"])
                old.translate(kwargs, function.__name__)
            return function(**kwargs)

        return build

    return wrap


@_with_old_weights(resnet)
def resnet_fpn_backbone(
    *,
    backbone_name: str,
    weights: Any,
    norm_layer: Layer = FrozenBatchNorm2d,
    trainable_layers: int = 3,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> BackboneWithFPN:
    """A ResNet with a pyramid.

    Args:
        backbone_name: "resnet18", "resnext50_32x4d" …
        weights: of the ResNet.
        trainable_layers: how many of its five parts are trained, counted from the end.
        returned_layers: the parts (1 to 4) that become levels.
    """
    network = vars(resnet)[backbone_name](weights=weights, norm_layer=norm_layer)
    return _resnet_fpn_extractor(network, trainable_layers, returned_layers, extra_blocks)


def _resnet_fpn_extractor(
    backbone: resnet.ResNet,
    trainable_layers: int,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Layer | None = None,
) -> BackboneWithFPN:
    if not 0 <= trainable_layers <= 5:
        raise ValueError(f"Trainable layers should be in the range [0,5], got {trainable_layers}")
    trained = ["layer4", "layer3", "layer2", "layer1", "conv1"][:trainable_layers]
    if trainable_layers == 5:
        trained.append("bn1")
    for name, parameter in backbone.named_parameters():
        if not name.startswith(tuple(trained)):
            parameter.requires_grad_(False)
    levels = returned_layers or [1, 2, 3, 4]
    if min(levels) <= 0 or max(levels) >= 5:
        raise ValueError(f"Each returned layer should be in the range [1,4]. Got {levels}")
    names = {f"layer{k}": str(i) for i, k in enumerate(levels)}
    widths = [backbone.inplanes // 8 * 2 ** (k - 1) for k in levels]
    return BackboneWithFPN(backbone, names, widths, OUT_CHANNELS, extra_blocks, norm_layer)


def _validate_trainable_layers(
    is_trained: bool, trainable_backbone_layers: int | None, max_value: int, default_value: int
) -> int:
    """How many layers are trained: all of them where there are no weights to keep."""
    count = trainable_backbone_layers
    if not is_trained:
        if count is not None:
            warnings.warn(
                "Changing trainable_backbone_layers has no effect if neither pretrained nor "
                "pretrained_backbone have been set to True, falling back to "
                f"trainable_backbone_layers={max_value} so that all layers are trainable",
                stacklevel=2,
            )
        count = max_value
    if count is None:
        count = default_value
    if not 0 <= count <= max_value:
        raise ValueError(
            f"Trainable backbone layers should be in the range [0,{max_value}], got {count} "
        )
    return count


@_with_old_weights(mobilenet)
def mobilenet_backbone(
    *,
    backbone_name: str,
    weights: Any,
    fpn: bool,
    norm_layer: Layer = FrozenBatchNorm2d,
    trainable_layers: int = 2,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> nn.Module:
    """A MobileNet with a pyramid, or (`fpn=False`) with one convolution at its end."""
    network = vars(mobilenet)[backbone_name](weights=weights, norm_layer=norm_layer)
    return _mobilenet_extractor(network, fpn, trainable_layers, returned_layers, extra_blocks)


def stages_of(features: Any) -> list[int]:
    """Where each stage of a MobileNet's layers starts: the blocks that halve the size."""
    halving = [i for i, block in enumerate(features) if getattr(block, "_is_cn", False)]
    return [0, *halving, len(features) - 1]


def _mobilenet_extractor(
    backbone: Any,
    fpn: bool,
    trainable_layers: int,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Layer | None = None,
) -> nn.Module:
    layers = backbone.features
    stages = stages_of(layers)
    count = len(stages)
    if not 0 <= trainable_layers <= count:
        raise ValueError(
            f"Trainable layers should be in the range [0,{count}], got {trainable_layers} "
        )
    frozen = stages[count - trainable_layers] if trainable_layers else len(layers)
    for layer in layers[:frozen]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)
    if not fpn:
        network = nn.Sequential(
            layers, nn.Conv2d(layers[-1].out_channels, OUT_CHANNELS, kernel_size=1)
        )
        network.out_channels = OUT_CHANNELS
        return network
    levels = returned_layers or [count - 2, count - 1]
    if min(levels) < 0 or max(levels) >= count:
        raise ValueError(
            f"Each returned layer should be in the range [0,{count - 1}], got {levels} "
        )
    names = {f"{stages[k]}": str(i) for i, k in enumerate(levels)}
    widths = [layers[stages[k]].out_channels for k in levels]
    return BackboneWithFPN(layers, names, widths, OUT_CHANNELS, extra_blocks, norm_layer)
