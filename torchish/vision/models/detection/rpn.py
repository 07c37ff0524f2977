"""The network that proposes regions.

Source: Ren et al., "Faster R-CNN" (2015).
"""

from __future__ import annotations

from typing import Any

import torchish

from .... import nn
from ....nn import functional as F
from ...ops import boxes as box_ops
from ...ops.misc import Conv2dNormActivation
from . import _utils as det_utils
from .anchor_utils import AnchorGenerator
from .image_list import ImageList


class RPNHead(nn.Module):
    """Convolutions, then for each anchor a logit and the offsets of a box."""

    _version = 2

    def __init__(self, in_channels: int, num_anchors: int, conv_depth: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(
                Conv2dNormActivation(in_channels, in_channels, kernel_size=3, norm_layer=None)
                for _ in range(conv_depth)
            )
        )
        self.cls_logits = nn.Conv2d(in_channels, num_anchors, kernel_size=1, stride=1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=1, stride=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.constant_(layer.bias, 0)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *args: Any, **kwargs: Any
    ) -> None:
        version = local_metadata.get("version", None)
        if version is None or version < 2:  # there was one convolution
            for kind in ("weight", "bias"):
                old = f"{prefix}conv.{kind}"
                if old in state_dict:
                    state_dict[f"{prefix}conv.0.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)

    def forward(self, x: list[Any]) -> tuple[list[Any], list[Any]]:
        hidden = [self.conv(feature) for feature in x]
        return [self.cls_logits(t) for t in hidden], [self.bbox_pred(t) for t in hidden]


def permute_and_flatten(layer: Any, N: int, A: int, C: int, H: int, W: int) -> Any:
    """(N, A * C, H, W) to (N, H * W * A, C)."""
    return layer.view(N, -1, C, H, W).permute(0, 3, 4, 1, 2).reshape(N, -1, C)


def concat_box_prediction_layers(box_cls: list[Any], box_regression: list[Any]) -> tuple[Any, Any]:
    """Logits (N * anchors, C) and offsets (N * anchors, 4) of all levels."""
    logits, offsets = [], []
    for cls, regression in zip(box_cls, box_regression, strict=True):
        batch, channels, height, width = cls.shape
        anchors = regression.shape[1] // 4
        kinds = channels // anchors
        logits.append(permute_and_flatten(cls, batch, anchors, kinds, height, width))
        offsets.append(permute_and_flatten(regression, batch, anchors, 4, height, width))
    together = torchish.cat(logits, dim=1).flatten(0, -2)
    return together, torchish.cat(offsets, dim=1).reshape(-1, 4)


class RegionProposalNetwork(nn.Module):
    """Proposals from anchors: the best of each level, without those that overlap better ones.

    Args:
        fg_iou_thresh, bg_iou_thresh: overlap with a target from which an anchor counts as one,
            and below which it counts as background.
        batch_size_per_image, positive_fraction: anchors drawn for the loss, and the greatest
            share of positives.
        pre_nms_top_n, post_nms_top_n: proposals kept before and after suppression, each with
            entries "training" and "testing".
    """

    __annotations__ = {
        "box_coder": det_utils.BoxCoder,
        "proposal_matcher": det_utils.Matcher,
        "fg_bg_sampler": det_utils.BalancedPositiveNegativeSampler,
    }

    def __init__(
        self,
        anchor_generator: AnchorGenerator,
        head: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_top_n: dict[str, int],
        post_nms_top_n: dict[str, int],
        nms_thresh: float,
        score_thresh: float = 0.0,
    ) -> None:
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_similarity, self.proposal_matcher, self.fg_bg_sampler = det_utils.choosing(
            fg_iou_thresh, bg_iou_thresh, batch_size_per_image, positive_fraction, True
        )
        self.box_coder = det_utils.BoxCoder((1.0, 1.0, 1.0, 1.0))
        self._pre_nms_top_n, self._post_nms_top_n = pre_nms_top_n, post_nms_top_n
        self.nms_thresh, self.score_thresh, self.min_size = nms_thresh, score_thresh, 1e-3

    def pre_nms_top_n(self) -> int:
        return self._pre_nms_top_n["training" if self.training else "testing"]

    def post_nms_top_n(self) -> int:
        return self._post_nms_top_n["training" if self.training else "testing"]

    def assign_targets_to_anchors(
        self, anchors: list[Any], targets: list[dict[str, Any]]
    ) -> tuple[list[Any], list[Any]]:
        """Labels (1 target, 0 background, -1 neither) and matched boxes of each image's anchors."""
        labels, matched_boxes = [], []
        for places, target in zip(anchors, targets, strict=True):
            boxes = target["boxes"]
            if boxes.numel() == 0:
                matched_boxes.append(torchish.zeros_like(places, dtype=torchish.float32))
                labels.append(torchish.zeros(places.shape[0], device=places.device))
                continue
            matched = self.proposal_matcher(self.box_similarity(boxes, places))
            matched_boxes.append(boxes[matched.clamp(min=0)])
            # Numbers of targets become 1, "below" (-1) becomes 0, "between" (-2) becomes -1.
            labels.append((matched.clamp(max=0) + 1).to(torchish.float32))
        return labels, matched_boxes

    def _get_top_n_idx(self, objectness: Any, num_anchors_per_level: list[int]) -> Any:
        found, offset = [], 0
        for level in objectness.split(num_anchors_per_level, 1):
            count = det_utils._topk_min(level, self.pre_nms_top_n(), 1)
            found.append(level.topk(count, dim=1)[1] + offset)
            offset += level.shape[1]
        return torchish.cat(found, dim=1)

    def filter_proposals(
        self,
        proposals: Any,
        objectness: Any,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[Any], list[Any]]:
        """The proposals and their scores that each image keeps."""
        count, device = proposals.shape[0], proposals.device
        objectness = objectness.detach().reshape(count, -1)
        level = torchish.cat(
            [
                torchish.full((n,), i, dtype=torchish.int64, device=device)
                for i, n in enumerate(num_anchors_per_level)
            ]
        )
        best = self._get_top_n_idx(objectness, num_anchors_per_level)
        image = torchish.arange(count, device=device)[:, None]
        levels = level[best]
        probability = torchish.sigmoid(objectness[image, best])
        proposals = proposals[image, best]
        final_boxes, final_scores = [], []
        rows = zip(proposals, probability, levels, image_shapes, strict=True)
        for boxes, scores, own_levels, shape in rows:
            boxes = box_ops.clip_boxes_to_image(boxes, shape)
            size = boxes[:, 2:] - boxes[:, :2]
            wanted = (size >= self.min_size).all(1) & (scores >= self.score_thresh)
            keep = torchish.where(wanted)[0]
            boxes, scores, own_levels = boxes[keep], scores[keep], own_levels[keep]
            keep = box_ops.batched_nms(boxes, scores, own_levels, self.nms_thresh)
            keep = keep[: self.post_nms_top_n()]
            final_boxes.append(boxes[keep])
            final_scores.append(scores[keep])
        return final_boxes, final_scores

    def compute_loss(
        self,
        objectness: Any,
        pred_bbox_deltas: Any,
        labels: list[Any],
        regression_targets: Any,
    ) -> tuple[Any, Any]:
        """The losses of the logits and of the offsets, over the anchors drawn."""
        masks = self.fg_bg_sampler(labels)
        positive, negative = (torchish.where(torchish.cat(mask))[0] for mask in masks)
        sampled = torchish.cat([positive, negative])
        label, target = torchish.cat(labels), torchish.cat(list(regression_targets))
        box_loss = F.smooth_l1_loss(
            pred_bbox_deltas[positive], target[positive], beta=1 / 9, reduction="sum"
        )
        logits = objectness.flatten()[sampled]
        loss = F.binary_cross_entropy_with_logits(logits, label[sampled])
        return loss, box_loss / sampled.numel()

    def forward(
        self,
        images: ImageList,
        features: dict[str, Any],
        targets: list[dict[str, Any]] | None = None,
    ) -> tuple[list[Any], dict[str, Any]]:
        maps = list(features.values())
        objectness, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        per_level = [x.shape[1] * x.shape[2] * x.shape[3] for x in objectness]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)
        # Offsets are trained by the loss only: detections do not flow back into them.
        proposals = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, objectness, images.image_sizes, per_level)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise ValueError("targets should not be None")
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        wanted = self.box_coder.encode(matched, anchors)
        loss, box_loss = self.compute_loss(objectness, deltas, labels, wanted)
        return boxes, {"loss_objectness": loss, "loss_rpn_box_reg": box_loss}
