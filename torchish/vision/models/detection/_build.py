"""The builders of detectors: what weights decide, and what depends on there being any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .... import nn
from ...ops.misc import FrozenBatchNorm2d
from .._build import Argument, expected, load, published
from ..mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from ..resnet import ResNet50_Weights, resnet50
from ._utils import overwrite_eps
from .backbone_utils import _resnet_fpn_extractor, _validate_trainable_layers

RESNET50 = ResNet50_Weights.IMAGENET1K_V1
MOBILENET = MobileNet_V3_Large_Weights.IMAGENET1K_V1


def detector(name: str, function: Any, enum: Any, backbone: Any, module: str) -> Any:
    """Register `function(weights, weights_backbone, …)` as the builder `name`."""
    arguments = [
        Argument("weights", enum, "pretrained", enum.COCO_V1),
        Argument("weights_backbone", type(backbone), "pretrained_backbone", backbone),
    ]
    return published(name, function, arguments, module, f"{name}; see its class for the arguments.")


def settle(
    weights: Any, weights_backbone: Any, num_classes: int | None, default: int = 91
) -> tuple[Any, int]:
    """The backbone's weights and the number of categories, of which the weights decide both."""
    if weights is not None:
        count = len(weights.meta["categories"])
        return None, expected("num_classes", num_classes, count)
    return weights_backbone, default if num_classes is None else num_classes


def resnet50_backbone(
    weights: Any,
    weights_backbone: Any,
    trainable: int | None,
    progress: bool,
    *,
    frozen: bool = True,
    extra_blocks: Callable[[], Any] | None = None,
    **pyramid: Any,
) -> Any:
    """A ResNet-50 with a pyramid; its norms are frozen where there are trained weights.

    Args:
        extra_blocks: makes the levels that are appended, once the ResNet is drawn.
    """
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable, 5, 3)
    options = {}
    if frozen:
        options["norm_layer"] = FrozenBatchNorm2d if trained else nn.BatchNorm2d
    network = resnet50(weights=weights_backbone, progress=progress, **options)
    extra = None if extra_blocks is None else extra_blocks()
    return _resnet_fpn_extractor(network, layers, extra_blocks=extra, **pyramid)


def mobilenet_large(
    weights: Any, weights_backbone: Any, trainable: int | None, progress: bool
) -> tuple[Any, int]:
    """A large MobileNet v3 and how many of its layers are trained."""
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable, 6, 3)
    norm = FrozenBatchNorm2d if trained else nn.BatchNorm2d
    network = mobilenet_v3_large(weights=weights_backbone, progress=progress, norm_layer=norm)
    return network, layers


def filled(network: nn.Module, weights: Any, progress: bool, zero_eps: bool = False) -> Any:
    """The network, with the weights if there are any.

    Args:
        zero_eps: the first published weights were trained with norms whose eps is 0.
    """
    if weights is not None:
        load(network, weights, progress)
        if zero_eps and weights.name == "COCO_V1":
            overwrite_eps(network, 0.0)
    return network


def on_resnet50(
    name: str,
    enum: Any,
    module: str,
    make: Callable[..., nn.Module],
    *,
    version2: bool = False,
    zero_eps: bool = False,
    **pyramid: Any,
) -> Any:
    """Register the builder of a detector on a ResNet-50 with a pyramid.

    Args:
        make: the network of a backbone, a number of categories and the user's arguments.
        version2: its backbone is not trained beforehand unless asked for, and is not frozen.
        pyramid: see `resnet50_backbone`.
    """

    def function(
        *,
        weights=None,
        progress: bool = True,
        num_classes: int | None = None,
        weights_backbone=None if version2 else RESNET50,
        trainable_backbone_layers: int | None = None,
        **kwargs: Any,
    ) -> Any:
        weights_backbone, count = settle(weights, weights_backbone, num_classes)
        backbone = resnet50_backbone(
            weights, weights_backbone, trainable_backbone_layers, progress, frozen=not version2,
            **pyramid,
        )  # fmt: skip
        return filled(make(backbone, count, **kwargs), weights, progress, zero_eps)

    return detector(name, function, enum, RESNET50, module)
