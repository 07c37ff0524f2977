"""SSD: boxes and categories from several maps of a plain network.

Source: Liu et al., "SSD: Single Shot MultiBox Detector" (2015).
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any

import torchish

from .... import nn
from ....nn import functional as F
from ...ops import boxes as box_ops
from .._build import weights_enum
from ..vgg import VGG, VGG16_Weights, vgg16
from . import _build as build, _utils as det_utils
from ._single import SingleStage, columns, keep_best, match
from .anchor_utils import DefaultBoxGenerator
from .backbone_utils import _validate_trainable_layers
from .transform import imagenet_transform


def _xavier_init(conv: nn.Module) -> None:
    for layer in conv.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.0)


class SSDScoringHead(nn.Module):
    """A convolution for each map, giving rows of `num_columns`."""

    def __init__(self, module_list: nn.ModuleList, num_columns: int) -> None:
        super().__init__()
        self.module_list = module_list
        self.num_columns = num_columns

    def forward(self, x: list[Any]) -> Any:
        pairs = zip(self.module_list, x, strict=False)
        return torchish.cat([columns(conv(f), self.num_columns) for conv, f in pairs], dim=1)


def _convolutions(in_channels: list[int], num_anchors: list[int], width: int) -> nn.ModuleList:
    found = nn.ModuleList(
        nn.Conv2d(channels, width * anchors, kernel_size=3, padding=1)
        for channels, anchors in zip(in_channels, num_anchors, strict=False)
    )
    _xavier_init(found)
    return found


class SSDClassificationHead(SSDScoringHead):
    """A logit for each box and category."""

    def __init__(self, in_channels: list[int], num_anchors: list[int], num_classes: int) -> None:
        super().__init__(_convolutions(in_channels, num_anchors, num_classes), num_classes)


class SSDRegressionHead(SSDScoringHead):
    """The offsets of each box."""

    def __init__(self, in_channels: list[int], num_anchors: list[int]) -> None:
        super().__init__(_convolutions(in_channels, num_anchors, 4), 4)


class SSDHead(nn.Module):
    """Logits and offsets."""

    def __init__(self, in_channels: list[int], num_anchors: list[int], num_classes: int) -> None:
        super().__init__()
        self.classification_head = SSDClassificationHead(in_channels, num_anchors, num_classes)
        self.regression_head = SSDRegressionHead(in_channels, num_anchors)

    def forward(self, x: list[Any]) -> dict[str, Any]:
        return {
            "bbox_regression": self.regression_head(x),
            "cls_logits": self.classification_head(x),
        }


class SSD(SingleStage):
    """SSD.

    Args:
        backbone: gives a dict of maps.
        size: width and height that images are resized to.
        num_classes: categories, the background included.
        iou_thresh: overlap with a target from which a box counts as one.
        positive_fraction: share of positives among the boxes that are trained; the negatives are
            those with the greatest loss.
        score_thresh, topk_candidates, nms_thresh, detections_per_img: which detections are kept.
    """

    __annotations__ = {"box_coder": det_utils.BoxCoder, "proposal_matcher": det_utils.Matcher}

    def __init__(
        self,
        backbone: nn.Module,
        anchor_generator: DefaultBoxGenerator,
        size: tuple[int, int],
        num_classes: int,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        head: nn.Module | None = None,
        score_thresh: float = 0.01,
        nms_thresh: float = 0.45,
        detections_per_img: int = 200,
        iou_thresh: float = 0.5,
        topk_candidates: int = 400,
        positive_fraction: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.anchor_generator = anchor_generator
        self.box_coder = det_utils.BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
        if head is None:
            widths = getattr(backbone, "out_channels", None)
            if widths is None:
                widths = det_utils.retrieve_out_channels(backbone, size)
            check_maps(widths, anchor_generator)
            head = SSDHead(widths, anchor_generator.num_anchors_per_location(), num_classes)
        self.head = head
        self.proposal_matcher = det_utils.SSDMatcher(iou_thresh)
        self.transform = imagenet_transform(
            min(size), max(size), image_mean, image_std, size_divisible=1, fixed_size=size,
            **kwargs,
        )  # fmt: skip
        self._keep(score_thresh, nms_thresh, detections_per_img, topk_candidates)
        self.neg_to_pos_ratio = (1.0 - positive_fraction) / positive_fraction

    def compute_loss(
        self, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: Any
    ) -> dict[str, Any]:
        """Smooth L1 of the positives' offsets, cross entropy of them and of the worst negatives."""
        logits = head_outputs["cls_logits"]
        count, box_losses, labels = 0, [], []
        rows = zip(targets, head_outputs["bbox_regression"], anchors, matched_idxs, strict=True)
        for target, offsets, places, matched in rows:
            positive = torchish.where(matched >= 0)[0]
            index = matched[positive]
            count += index.numel()
            wanted = self.box_coder.encode_single(target["boxes"][index], places[positive])
            box_losses.append(F.smooth_l1_loss(offsets[positive], wanted, reduction="sum"))
            label = torchish.zeros(
                (places.size(0),), dtype=target["labels"].dtype, device=places.device
            )
            label[positive] = target["labels"][index]
            labels.append(label)
        label = torchish.stack(labels)
        loss = F.cross_entropy(
            logits.view(-1, logits.size(-1)), label.view(-1), reduction="none"
        ).view(label.size())
        foreground = label > 0
        negatives = self.neg_to_pos_ratio * foreground.sum(1, keepdim=True)
        worst = torchish.where(foreground, -float("inf"), loss.detach())
        rank = worst.sort(1, descending=True)[1].sort(1)[1]
        trained = foreground | (rank < negatives)
        count = max(1, count)
        return {
            "bbox_regression": torchish.stack(box_losses).sum() / count,
            "classification": torchish.where(trained, loss, 0.0).sum() / count,
        }

    def _losses(self, targets: Any, outputs: Any, anchors: Any, maps: Any) -> dict[str, Any]:
        matched = match(self.proposal_matcher, targets, anchors)
        return self.compute_loss(targets, outputs, anchors, matched)

    def _detections(self, outputs: Any, anchors: Any, sizes: Any, maps: Any) -> Any:
        return self.postprocess_detections(outputs, anchors, sizes)

    def postprocess_detections(
        self,
        head_outputs: dict[str, Any],
        image_anchors: list[Any],
        image_shapes: list[tuple[int, int]],
    ) -> list[dict[str, Any]]:
        """Boxes, scores and labels of each image."""
        scores = F.softmax(head_outputs["cls_logits"], dim=-1)
        kinds = scores.size(-1)
        count = det_utils._topk_min(scores, self.topk_candidates, 1)
        label = torchish.arange(1, kinds, device=scores.device).view(-1, 1)
        found = []
        rows = zip(
            head_outputs["bbox_regression"], scores, image_anchors, image_shapes, strict=True
        )
        for codes, score, places, shape in rows:
            boxes = box_ops.clip_boxes_to_image(self.box_coder.decode_single(codes, places), shape)
            # The best boxes of every category at once, then those above the threshold.
            best, index = score[:, 1:].T.topk(count, dim=1)
            keep = torchish.where(best.reshape(-1) > self.score_thresh)[0]
            labels = label.expand(-1, count).reshape(-1)[keep]
            chosen = boxes[index.reshape(-1)[keep]]
            found.append(
                keep_best(
                    chosen, best.reshape(-1)[keep], labels, self.nms_thresh,
                    self.detections_per_img,
                )
            )  # fmt: skip
        return found


def check_maps(widths: list[int], anchor_generator: DefaultBoxGenerator) -> None:
    """Raise ValueError unless there are boxes for each map."""
    if len(widths) != len(anchor_generator.aspect_ratios):
        raise ValueError(
            f"The length of the output channels from the backbone ({len(widths)}) do not match "
            "the length of the anchor generator aspect ratios "
            f"({len(anchor_generator.aspect_ratios)})"
        )


def _extra(before: int, middle: int, after: int, **options: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, middle, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, after, **options),
        nn.ReLU(inplace=True),
    )


class SSDFeatureExtractorVGG(nn.Module):
    """The maps of a VGG-16 and of the convolutions that SSD appends.

    Args:
        highres: append one more map, for images of 512 pixels.
    """

    def __init__(self, backbone: nn.Sequential, highres: bool) -> None:
        super().__init__()
        pools = [i for i, layer in enumerate(backbone) if isinstance(layer, nn.MaxPool2d)]
        backbone[pools[2]].ceil_mode = True  # the paper's sizes
        self.scale_weight = nn.Parameter(torchish.ones(512) * 20)
        self.features = nn.Sequential(*backbone[: pools[3]])
        halve = {"kernel_size": 3, "padding": 1, "stride": 2}
        extra = nn.ModuleList(
            [
                _extra(1024, 256, 512, **halve),
                _extra(512, 128, 256, **halve),
                _extra(256, 128, 256, kernel_size=3),
                _extra(256, 128, 256, kernel_size=3),
            ]
        )
        if highres:
            extra.append(_extra(256, 128, 256, kernel_size=4))
        _xavier_init(extra)
        dense = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=False),
            nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, kernel_size=1),
            nn.ReLU(inplace=True),
        )
        _xavier_init(dense)
        extra.insert(0, nn.Sequential(*backbone[pools[3] : -1], dense))
        self.extra = extra

    def forward(self, x: Any) -> OrderedDict[str, Any]:
        x = self.features(x)
        maps = [self.scale_weight.view(1, -1, 1, 1) * F.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return OrderedDict((str(i), value) for i, value in enumerate(maps))


def _vgg_extractor(backbone: VGG, highres: bool, trainable_layers: int) -> Any:
    layers: Any = backbone.features
    pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    stages = [0, *pools[:-1]]
    if not 0 <= trainable_layers <= len(stages):
        raise AssertionError(
            f"trainable_layers should be in the range [0, {len(stages)}]. Instead got "
            f"{trainable_layers}"
        )
    frozen = stages[len(stages) - trainable_layers] if trainable_layers else len(layers)
    for layer in layers[:frozen]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)
    return SSDFeatureExtractorVGG(layers, highres)


def warn_of_size(kwargs: dict[str, Any]) -> None:
    if "size" in kwargs:
        warnings.warn(
            "The size of the model is already fixed; ignoring the parameter.", stacklevel=4
        )


def _ssd300(
    *,
    weights=None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone=VGG16_Weights.IMAGENET1K_FEATURES,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> SSD:
    warn_of_size(kwargs)
    weights_backbone, count = build.settle(weights, weights_backbone, num_classes)
    trained = weights is not None or weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 5, 4)
    backbone = _vgg_extractor(vgg16(weights=weights_backbone, progress=progress), False, layers)
    anchors = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=[8, 16, 32, 64, 100, 300],
    )
    # The backbone's weights were trained on images scaled like these.
    options = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1.0 / 255.0] * 3}
    network = SSD(backbone, anchors, (300, 300), count, **{**options, **kwargs})
    return build.filled(network, weights, progress)


SSD300_VGG16_Weights = weights_enum("SSD300_VGG16_Weights")
ssd300_vgg16 = build.detector(
    "ssd300_vgg16",
    _ssd300,
    SSD300_VGG16_Weights,
    VGG16_Weights.IMAGENET1K_FEATURES,
    __name__,
)
