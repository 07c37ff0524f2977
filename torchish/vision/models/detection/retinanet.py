"""RetinaNet.

Source: Lin et al., "Focal Loss for Dense Object Detection" (2017); version 2 after Zhang et al.,
"Bridging the Gap Between Anchor-based and Anchor-free Detection" (2019).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torchish

from .... import nn
from ...ops import sigmoid_focal_loss
from ...ops.feature_pyramid_network import LastLevelP6P7
from ...ops.misc import Conv2dNormActivation, Layer
from .._build import weights_enum
from . import _build as build, _utils as det_utils
from ._single import DenseDetector, columns, match
from .anchor_utils import AnchorGenerator
from .faster_rcnn import RATIOS, check_backbone, check_type
from .transform import imagenet_transform


def _default_anchorgen() -> AnchorGenerator:
    sizes = tuple(
        (size, int(size * 2 ** (1.0 / 3)), int(size * 2 ** (2.0 / 3)))
        for size in (32, 64, 128, 256, 512)
    )
    return AnchorGenerator(sizes, (RATIOS,) * len(sizes))


def _draw(layers: nn.Module) -> None:
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def prior_bias(conv: nn.Conv2d, probability: float) -> None:
    """Start every logit at the probability of a detection."""
    nn.init.constant_(conv.bias, -math.log((1 - probability) / probability))


class _Head(nn.Module):
    """Four convolutions, shared by all levels."""

    _version = 2

    def __init__(self, in_channels: int, norm_layer: Layer | None) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(
                Conv2dNormActivation(in_channels, in_channels, norm_layer=norm_layer)
                for _ in range(4)
            )
        )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *args: Any, **kwargs: Any
    ) -> None:
        version = local_metadata.get("version", None)
        if version is None or version < 2:  # convolutions and rectifiers stood in one sequence
            for i in range(4):
                for kind in ("weight", "bias"):
                    old = f"{prefix}conv.{2 * i}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}conv.{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)


class RetinaNetClassificationHead(_Head):
    """A logit for each anchor and category."""

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        prior_probability: float = 0.01,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__(in_channels, norm_layer)
        _draw(self.conv)
        self.cls_logits = nn.Conv2d(
            in_channels, num_anchors * num_classes, kernel_size=3, stride=1, padding=1
        )
        nn.init.normal_(self.cls_logits.weight, std=0.01)
        prior_bias(self.cls_logits, prior_probability)
        self.num_classes = num_classes
        self.num_anchors = num_anchors
        self.BETWEEN_THRESHOLDS = det_utils.Matcher.BETWEEN_THRESHOLDS

    def compute_loss(self, targets: Any, head_outputs: Any, matched_idxs: Any) -> Any:
        """The focal loss a positive anchor, the mean over images."""
        losses = []
        rows = zip(targets, head_outputs["cls_logits"], matched_idxs, strict=True)
        for target, logits, matched in rows:
            positive = torchish.where(matched >= 0)[0]
            wanted = torchish.zeros_like(logits)
            wanted[positive, target["labels"][matched[positive]]] = 1.0
            valid = torchish.where(matched != self.BETWEEN_THRESHOLDS)[0]
            loss = sigmoid_focal_loss(logits[valid], wanted[valid], reduction="sum")
            losses.append(loss / max(1, positive.numel()))
        return sum(losses) / len(targets)

    def forward(self, x: list[Any]) -> Any:
        rows = [columns(self.cls_logits(self.conv(f)), self.num_classes) for f in x]
        return torchish.cat(rows, dim=1)


class RetinaNetRegressionHead(_Head):
    """The offsets of a box for each anchor."""

    __annotations__ = {"box_coder": det_utils.BoxCoder}

    def __init__(self, in_channels: int, num_anchors: int, norm_layer: Layer | None = None) -> None:
        super().__init__(in_channels, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=3, stride=1, padding=1)
        nn.init.normal_(self.bbox_reg.weight, std=0.01)
        nn.init.zeros_(self.bbox_reg.bias)
        _draw(self.conv)
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self._loss_type = "l1"

    def compute_loss(self, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: Any) -> Any:
        losses = []
        rows = zip(targets, head_outputs["bbox_regression"], anchors, matched_idxs, strict=True)
        for target, offsets, places, matched in rows:
            positive = torchish.where(matched >= 0)[0]
            loss = det_utils._box_loss(
                self._loss_type,
                self.box_coder,
                places[positive],
                target["boxes"][matched[positive]],
                offsets[positive],
            )
            losses.append(loss / max(1, positive.numel()))
        return sum(losses) / max(1, len(targets))

    def forward(self, x: list[Any]) -> Any:
        return torchish.cat([columns(self.bbox_reg(self.conv(f)), 4) for f in x], dim=1)


class RetinaNetHead(nn.Module):
    """Logits and offsets for each anchor."""

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        self.classification_head = RetinaNetClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer=norm_layer
        )
        self.regression_head = RetinaNetRegressionHead(
            in_channels, num_anchors, norm_layer=norm_layer
        )

    def compute_loss(
        self, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: Any
    ) -> dict[str, Any]:
        boxes = self.regression_head.compute_loss(targets, head_outputs, anchors, matched_idxs)
        kinds = self.classification_head.compute_loss(targets, head_outputs, matched_idxs)
        return {"classification": kinds, "bbox_regression": boxes}

    def forward(self, x: list[Any]) -> dict[str, Any]:
        return {
            "cls_logits": self.classification_head(x),
            "bbox_regression": self.regression_head(x),
        }


def three_levels(width: int) -> dict[str, Any]:
    """The pyramid of the last three stages and of two levels made of a map of that width."""
    extra = partial(LastLevelP6P7, width, 256)
    return {"returned_layers": [2, 3, 4], "extra_blocks": extra}


class RetinaNet(DenseDetector):
    """RetinaNet.

    Args:
        backbone: gives a map or a dict of maps, and has `out_channels`.
        num_classes: categories, the background included.
        fg_iou_thresh, bg_iou_thresh: overlap with a target from which an anchor counts as one,
            and below which it counts as background.
        score_thresh, topk_candidates, nms_thresh, detections_per_img: which detections are kept.
    """

    __annotations__ = {"box_coder": det_utils.BoxCoder, "proposal_matcher": det_utils.Matcher}

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        min_size: Any = 800,
        max_size: int = 1333,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        anchor_generator: AnchorGenerator | None = None,
        head: nn.Module | None = None,
        proposal_matcher: Any = None,
        score_thresh: float = 0.05,
        nms_thresh: float = 0.5,
        detections_per_img: int = 300,
        fg_iou_thresh: float = 0.5,
        bg_iou_thresh: float = 0.4,
        topk_candidates: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        check_backbone(backbone)
        check_type(anchor_generator, AnchorGenerator, "anchor_generator")
        self.backbone = backbone
        self.anchor_generator = anchor_generator or _default_anchorgen()
        each = self.anchor_generator.num_anchors_per_location()[0]
        self.head = head or RetinaNetHead(backbone.out_channels, each, num_classes)
        self.proposal_matcher = proposal_matcher or det_utils.Matcher(
            fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True
        )
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self.transform = imagenet_transform(min_size, max_size, image_mean, image_std, **kwargs)
        self._keep(score_thresh, nms_thresh, detections_per_img, topk_candidates)

    def compute_loss(self, targets: Any, head_outputs: Any, anchors: Any) -> dict[str, Any]:
        matched = match(self.proposal_matcher, targets, anchors)
        return self.head.compute_loss(targets, head_outputs, anchors, matched)

    def _losses(self, targets: Any, outputs: Any, anchors: Any, maps: Any) -> dict[str, Any]:
        return self.compute_loss(targets, outputs, anchors)


def _version2(backbone: Any, num_classes: int, **kwargs: Any) -> RetinaNet:
    anchors = _default_anchorgen()
    each = anchors.num_anchors_per_location()[0]
    norm = partial(nn.GroupNorm, 32)
    head = RetinaNetHead(backbone.out_channels, each, num_classes, norm_layer=norm)
    head.regression_head._loss_type = "giou"
    return RetinaNet(backbone, num_classes, anchor_generator=anchors, head=head, **kwargs)


RetinaNet_ResNet50_FPN_Weights = weights_enum("RetinaNet_ResNet50_FPN_Weights")
RetinaNet_ResNet50_FPN_V2_Weights = weights_enum("RetinaNet_ResNet50_FPN_V2_Weights")
retinanet_resnet50_fpn = build.on_resnet50(
    "retinanet_resnet50_fpn", RetinaNet_ResNet50_FPN_Weights, __name__, RetinaNet,
    zero_eps=True, **three_levels(256),
)  # fmt: skip
retinanet_resnet50_fpn_v2 = build.on_resnet50(
    "retinanet_resnet50_fpn_v2", RetinaNet_ResNet50_FPN_V2_Weights, __name__, _version2,
    version2=True, **three_levels(2048),
)  # fmt: skip
