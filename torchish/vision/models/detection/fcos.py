"""FCOS: detection without anchor boxes; every place predicts the sides' distances.

Source: Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection" (2019).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torchish

from .... import nn
from ....nn import functional as F
from ...ops import generalized_box_iou_loss, sigmoid_focal_loss
from ...ops.misc import Layer
from .._build import weights_enum
from . import _build as build, _utils as det_utils
from ._single import DenseDetector, columns
from .anchor_utils import AnchorGenerator
from .faster_rcnn import check_backbone, check_type
from .retinanet import prior_bias, three_levels
from .transform import imagenet_transform


def _tower(width: int, depth: int, norm_layer: Layer | None) -> nn.Sequential:
    norm = norm_layer or partial(nn.GroupNorm, 32)
    layers: list[nn.Module] = []
    for _ in range(depth):
        conv = nn.Conv2d(width, width, kernel_size=3, stride=1, padding=1)
        layers += [conv, norm(width), nn.ReLU()]
    return nn.Sequential(*layers)


def _draw(*convs: Any) -> None:
    for conv in convs:
        if isinstance(conv, nn.Conv2d):
            nn.init.normal_(conv.weight, std=0.01)
            nn.init.zeros_(conv.bias)


class FCOSClassificationHead(nn.Module):
    """A logit for each place and category."""

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        num_convs: int = 4,
        prior_probability: float = 0.01,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_anchors = num_anchors
        self.conv = _tower(in_channels, num_convs, norm_layer)
        _draw(*self.conv)
        self.cls_logits = nn.Conv2d(
            in_channels, num_anchors * num_classes, kernel_size=3, stride=1, padding=1
        )
        _draw(self.cls_logits)
        prior_bias(self.cls_logits, prior_probability)

    def forward(self, x: list[Any]) -> Any:
        rows = [columns(self.cls_logits(self.conv(f)), self.num_classes) for f in x]
        return torchish.cat(rows, dim=1)


class FCOSRegressionHead(nn.Module):
    """For each place the distances of the sides, and how central it is."""

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_convs: int = 4,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        self.conv = _tower(in_channels, num_convs, norm_layer)
        shape: dict[str, Any] = {"kernel_size": 3, "stride": 1, "padding": 1}
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, **shape)
        self.bbox_ctrness = nn.Conv2d(in_channels, num_anchors, **shape)
        _draw(self.bbox_reg, self.bbox_ctrness, *self.conv)

    def forward(self, x: list[Any]) -> tuple[Any, Any]:
        hidden = [self.conv(f) for f in x]
        sides = [columns(F.relu(self.bbox_reg(h)), 4) for h in hidden]
        central = [columns(self.bbox_ctrness(h), 1) for h in hidden]
        return torchish.cat(sides, dim=1), torchish.cat(central, dim=1)


class FCOSHead(nn.Module):
    """Logits, distances and centredness."""

    __annotations__ = {"box_coder": det_utils.BoxLinearCoder}

    def __init__(
        self, in_channels: int, num_anchors: int, num_classes: int, num_convs: int = 4
    ) -> None:
        super().__init__()
        self.box_coder = det_utils.BoxLinearCoder(normalize_by_size=True)
        self.classification_head = FCOSClassificationHead(
            in_channels, num_anchors, num_classes, num_convs
        )
        self.regression_head = FCOSRegressionHead(in_channels, num_anchors, num_convs)

    def compute_loss(
        self, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: Any
    ) -> dict[str, Any]:
        """Focal, generalized IoU and centredness losses, a positive place."""
        labels, boxes = [], []
        for target, matched in zip(targets, matched_idxs, strict=True):
            index = matched.clamp(min=0)
            if len(target["labels"]) == 0:
                labels.append(torchish.full_like(matched, -1))
                boxes.append(target["boxes"].new_zeros((len(matched), 4)))
                continue
            labels.append(torchish.where(matched < 0, -1, target["labels"][index]))
            boxes.append(target["boxes"][index])
        label, box, places = (torchish.stack(x) for x in (labels, boxes, anchors))
        logits = head_outputs["cls_logits"]
        positive = label >= 0
        index = torchish.where(positive)
        count = max(1, index[0].numel())
        wanted = torchish.zeros_like(logits)
        wanted[(*index, label[index])] = 1.0
        loss = sigmoid_focal_loss(logits, wanted, reduction="sum")
        predicted = self.box_coder.decode(head_outputs["bbox_regression"], places)
        box_loss = generalized_box_iou_loss(predicted[index], box[index], reduction="sum")
        sides = self.box_coder.encode(places[index], box[index])
        across, down = sides[:, [0, 2]], sides[:, [1, 3]]
        central = torchish.sqrt(
            (across.amin(-1) / across.amax(-1)) * (down.amin(-1) / down.amax(-1))
        )
        central_loss = F.binary_cross_entropy_with_logits(
            head_outputs["bbox_ctrness"].squeeze(2)[index], central, reduction="sum"
        )
        return {
            "classification": loss / count,
            "bbox_regression": box_loss / count,
            "bbox_ctrness": central_loss / count,
        }

    def forward(self, x: list[Any]) -> dict[str, Any]:
        logits = self.classification_head(x)
        sides, central = self.regression_head(x)
        return {"cls_logits": logits, "bbox_regression": sides, "bbox_ctrness": central}


class FCOS(DenseDetector):
    """FCOS.

    Args:
        backbone: gives a map or a dict of maps, and has `out_channels`.
        num_classes: categories, the background included.
        anchor_generator: one square a place, whose side is the level's stride.
        center_sampling_radius: how far from a target's centre a place may be, in squares.
        score_thresh, topk_candidates, nms_thresh, detections_per_img: which detections are kept.
    """

    __annotations__ = {"box_coder": det_utils.BoxLinearCoder}

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
        center_sampling_radius: float = 1.5,
        score_thresh: float = 0.2,
        nms_thresh: float = 0.6,
        detections_per_img: int = 100,
        topk_candidates: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        check_backbone(backbone)
        check_type(anchor_generator, AnchorGenerator, "anchor_generator")
        self.backbone = backbone
        self.anchor_generator = anchor_generator or AnchorGenerator(
            ((8,), (16,), (32,), (64,), (128,)), ((1.0,),) * 5
        )
        each = self.anchor_generator.num_anchors_per_location()[0]
        if each != 1:
            raise ValueError(
                f"anchor_generator.num_anchors_per_location()[0] should be 1 instead of {each}"
            )
        self.head = head or FCOSHead(backbone.out_channels, each, num_classes)
        self.box_coder = det_utils.BoxLinearCoder(normalize_by_size=True)
        self.transform = imagenet_transform(min_size, max_size, image_mean, image_std, **kwargs)
        self.center_sampling_radius = center_sampling_radius
        self._keep(score_thresh, nms_thresh, detections_per_img, topk_candidates)

    def _match(self, boxes: Any, places: Any, per_level: list[int]) -> Any:
        """The target of each place, -1 for none; of several the smallest."""
        if boxes.numel() == 0:
            return torchish.full((places.size(0),), -1, dtype=torchish.int64, device=places.device)
        centre = (places[:, :2] + places[:, 2:]) / 2
        size = places[:, 2] - places[:, 0]
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        apart = (centre[:, None] - middle[None]).abs().amax(2)
        sides = torchish.cat(
            [centre[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - centre[:, None]], dim=2
        )
        # A level is for targets of 4 to 8 strides; the first and the last have no such bound.
        low, high = size * 4, size * 8
        low[: per_level[0]] = 0
        high[-per_level[-1] :] = float("inf")
        longest = sides.amax(2)
        fits = (apart < self.center_sampling_radius * size[:, None]) & (sides.amin(2) > 0)
        fits = fits & (longest > low[:, None]) & (longest < high[:, None])
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        value, index = (fits.to(torchish.float32) * (1e8 - area[None])).max(dim=1)
        return torchish.where(value < 1e-5, -1, index)

    def compute_loss(
        self,
        targets: Any,
        head_outputs: Any,
        anchors: Any,
        num_anchors_per_level: list[int],
    ) -> dict[str, Any]:
        matched = [
            self._match(target["boxes"], places, num_anchors_per_level)
            for places, target in zip(anchors, targets, strict=True)
        ]
        return self.head.compute_loss(targets, head_outputs, anchors, matched)

    def _losses(self, targets: Any, outputs: Any, anchors: Any, maps: Any) -> dict[str, Any]:
        return self.compute_loss(targets, outputs, anchors, [x.size(2) * x.size(3) for x in maps])

    def _scores(self, own: dict[str, Any]) -> Any:
        central = torchish.sigmoid(own["bbox_ctrness"])
        return torchish.sqrt(torchish.sigmoid(own["cls_logits"]) * central)

    def _boxes(self, codes: Any, places: Any) -> Any:
        return self.box_coder.decode(codes, places)


FCOS_ResNet50_FPN_Weights = weights_enum("FCOS_ResNet50_FPN_Weights")
fcos_resnet50_fpn = build.on_resnet50(
    "fcos_resnet50_fpn", FCOS_ResNet50_FPN_Weights, __name__, FCOS, **three_levels(256)
)
