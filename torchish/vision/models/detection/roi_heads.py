"""The second step of detection: what is in each proposal, and where exactly."""

from __future__ import annotations

from typing import Any

import torchish

from .... import nn
from ....nn import functional as F
from ...ops import boxes as box_ops
from . import _utils as det_utils
from ._keypoints import (
    heatmaps_to_keypoints as heatmaps_to_keypoints,
    keypointrcnn_inference as keypointrcnn_inference,
    keypointrcnn_loss as keypointrcnn_loss,
    keypoints_to_heatmap as keypoints_to_heatmap,
)
from ._masks import (
    expand_boxes as expand_boxes,
    expand_masks as expand_masks,
    expand_masks_tracing_scale as expand_masks_tracing_scale,
    maskrcnn_inference as maskrcnn_inference,
    maskrcnn_loss as maskrcnn_loss,
    paste_mask_in_image as paste_mask_in_image,
    paste_masks_in_image as paste_masks_in_image,
    project_masks_on_boxes as project_masks_on_boxes,
)

Target = dict[str, Any]


def fastrcnn_loss(
    class_logits: Any, box_regression: Any, labels: list[Any], regression_targets: Any
) -> tuple[Any, Any]:
    """Cross entropy of the categories; smooth L1 of the positives' offsets, a proposal."""
    label, target = torchish.cat(labels), torchish.cat(list(regression_targets))
    positive = torchish.where(label > 0)[0]
    offsets = box_regression.reshape(class_logits.shape[0], box_regression.size(-1) // 4, 4)
    box_loss = F.smooth_l1_loss(
        offsets[positive, label[positive]], target[positive], beta=1 / 9, reduction="sum"
    )
    return F.cross_entropy(class_logits, label), box_loss / label.numel()


class RoIHeads(nn.Module):
    """Heads for boxes and, where they are given, for masks and keypoints.

    Args:
        fg_iou_thresh, bg_iou_thresh: overlap with a target from which a proposal counts as one,
            and below which it counts as background.
        batch_size_per_image, positive_fraction: proposals drawn for the loss, and the greatest
            share of positives.
        bbox_reg_weights: of the boxes' offsets, by default (10, 10, 5, 5).
        score_thresh, nms_thresh, detections_per_img: which detections an image keeps.
    """

    __annotations__ = {
        "box_coder": det_utils.BoxCoder,
        "proposal_matcher": det_utils.Matcher,
        "fg_bg_sampler": det_utils.BalancedPositiveNegativeSampler,
    }

    def __init__(
        self,
        box_roi_pool: Any,
        box_head: Any,
        box_predictor: Any,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        bbox_reg_weights: Any,
        score_thresh: float,
        nms_thresh: float,
        detections_per_img: int,
        mask_roi_pool: Any = None,
        mask_head: Any = None,
        mask_predictor: Any = None,
        keypoint_roi_pool: Any = None,
        keypoint_head: Any = None,
        keypoint_predictor: Any = None,
    ) -> None:
        super().__init__()
        self.box_similarity, self.proposal_matcher, self.fg_bg_sampler = det_utils.choosing(
            fg_iou_thresh, bg_iou_thresh, batch_size_per_image, positive_fraction, False
        )
        weights = bbox_reg_weights if bbox_reg_weights is not None else (10.0, 10.0, 5.0, 5.0)
        self.box_coder = det_utils.BoxCoder(weights)
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.mask_roi_pool = mask_roi_pool
        self.mask_head = mask_head
        self.mask_predictor = mask_predictor
        self.keypoint_roi_pool = keypoint_roi_pool
        self.keypoint_head = keypoint_head
        self.keypoint_predictor = keypoint_predictor

    def _has(self, kind: str) -> bool:
        parts = (f"{kind}_{part}" for part in ("roi_pool", "head", "predictor"))
        return all(getattr(self, part) is not None for part in parts)

    def has_mask(self) -> bool:
        return self._has("mask")

    def has_keypoint(self) -> bool:
        return self._has("keypoint")

    def assign_targets_to_proposals(
        self, proposals: list[Any], gt_boxes: list[Any], gt_labels: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        """The target and the category (0 background, -1 neither) of each image's proposals."""
        matched_idxs, labels = [], []
        for boxes, targets, kinds in zip(proposals, gt_boxes, gt_labels, strict=True):
            if targets.numel() == 0:
                nothing = torchish.zeros(boxes.shape[0], dtype=torchish.int64, device=boxes.device)
                matched_idxs.append(nothing)
                labels.append(nothing)
                continue
            matched = self.proposal_matcher(box_ops.box_iou(targets, boxes))
            index = matched.clamp(min=0)
            label = kinds[index].to(torchish.int64)
            # "Below" (-1) is background, "between" (-2) is neither.
            labels.append(torchish.where(matched < 0, matched + 1, label))
            matched_idxs.append(index)
        return matched_idxs, labels

    def subsample(self, labels: list[Any]) -> list[Any]:
        """Indices of the proposals that each image draws."""
        masks = self.fg_bg_sampler(labels)
        return [torchish.where(pos | neg)[0] for pos, neg in zip(*masks, strict=True)]

    def add_gt_proposals(self, proposals: list[Any], gt_boxes: list[Any]) -> list[Any]:
        """The targets are proposals too, so that there are positives from the start."""
        return [torchish.cat(pair) for pair in zip(proposals, gt_boxes, strict=True)]

    def check_targets(self, targets: list[Target] | None) -> None:
        if targets is None:
            raise ValueError("targets should not be None")
        for key in ("boxes", "labels", *(["masks"] if self.has_mask() else [])):
            if not all(key in target for target in targets):
                raise ValueError(f"Every element of targets should have a {key} key")

    def select_training_samples(
        self, proposals: list[Any], targets: Any
    ) -> tuple[list[Any], list[Any], list[Any], Any]:
        """The proposals drawn, with the target, the category and the offsets of each."""
        self.check_targets(targets)
        dtype, device = proposals[0].dtype, proposals[0].device
        gt_boxes = [target["boxes"].to(dtype) for target in targets]
        gt_labels = [target["labels"] for target in targets]
        proposals = self.add_gt_proposals(proposals, gt_boxes)
        matched, labels = self.assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        matched_boxes = []
        for i, drawn in enumerate(self.subsample(labels)):
            proposals[i] = proposals[i][drawn]
            labels[i] = labels[i][drawn]
            matched[i] = matched[i][drawn]
            boxes = gt_boxes[i]
            if boxes.numel() == 0:
                boxes = torchish.zeros((1, 4), dtype=dtype, device=device)
            matched_boxes.append(boxes[matched[i]])
        return proposals, matched, labels, self.box_coder.encode(matched_boxes, proposals)

    def postprocess_detections(
        self,
        class_logits: Any,
        box_regression: Any,
        proposals: list[Any],
        image_shapes: list[tuple[int, int]],
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Boxes, scores and categories of each image."""
        kinds = class_logits.shape[-1]
        counts = [boxes.shape[0] for boxes in proposals]
        decoded = self.box_coder.decode(box_regression, proposals).split(counts, 0)
        scores = F.softmax(class_logits, -1).split(counts, 0)
        label = torchish.arange(1, kinds, device=class_logits.device).view(1, -1)
        found: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for boxes, score, shape in zip(decoded, scores, image_shapes, strict=True):
            # Each proposal is a candidate of every category but the background.
            boxes = box_ops.clip_boxes_to_image(boxes, shape)[:, 1:].reshape(-1, 4)
            labels = label.expand(score.shape[0], -1).reshape(-1)
            score = score[:, 1:].reshape(-1)
            size = boxes[:, 2:] - boxes[:, :2]
            keep = torchish.where((score > self.score_thresh) & (size >= 1e-2).all(1))[0]
            boxes, score, labels = boxes[keep], score[keep], labels[keep]
            keep = box_ops.batched_nms(boxes, score, labels, self.nms_thresh)
            keep = keep[: self.detections_per_img]
            for part, value in zip(found, (boxes, score, labels), strict=True):
                part.append(value[keep])
        return found

    def _check_dtypes(self, targets: list[Target]) -> None:
        floats = (torchish.float, torchish.double, torchish.half)
        for target in targets:
            if target["boxes"].dtype not in floats:
                raise TypeError(
                    f"target boxes must of float type, instead got {target['boxes'].dtype}"
                )
            if target["labels"].dtype != torchish.int64:
                raise TypeError(
                    f"target labels must of int64 type, instead got {target['labels'].dtype}"
                )
            if self.has_keypoint() and target["keypoints"].dtype != torchish.float32:
                raise TypeError(
                    f"target keypoints must of float type, instead got {target['keypoints'].dtype}"
                )

    def _extra(self, kind: str, features: Any, boxes: list[Any], shapes: Any) -> Any:
        pooled = getattr(self, f"{kind}_roi_pool")(features, boxes, shapes)
        return getattr(self, f"{kind}_predictor")(getattr(self, f"{kind}_head")(pooled))

    def forward(
        self,
        features: dict[str, Any],
        proposals: list[Any],
        image_shapes: list[tuple[int, int]],
        targets: list[Target] | None = None,
    ) -> tuple[list[Target], dict[str, Any]]:
        if targets is not None:
            self._check_dtypes(targets)
        if self.training:
            proposals, matched, labels, wanted = self.select_training_samples(proposals, targets)
        pooled = self.box_roi_pool(features, proposals, image_shapes)
        logits, regression = self.box_predictor(self.box_head(pooled))
        if self.training:
            losses = dict(
                zip(
                    ("loss_classifier", "loss_box_reg"),
                    fastrcnn_loss(logits, regression, labels, wanted),
                    strict=True,
                )
            )
            self._train_extras(features, proposals, matched, labels, image_shapes, targets, losses)
            return [], losses
        parts = self.postprocess_detections(logits, regression, proposals, image_shapes)
        result = [
            {"boxes": boxes, "labels": kinds, "scores": scores}
            for boxes, scores, kinds in zip(*parts, strict=True)
        ]
        self._detect_extras(features, result, image_shapes)
        return result, {}

    def _train_extras(
        self,
        features: Any,
        proposals: list[Any],
        matched: list[Any],
        labels: list[Any],
        shapes: Any,
        targets: Any,
        losses: dict[str, Any],
    ) -> None:
        """The losses of masks and keypoints, over the positive proposals."""
        if not (self.has_mask() or self.has_keypoint()):
            return
        chosen = [torchish.where(label > 0)[0] for label in labels]
        boxes = [p[index] for p, index in zip(proposals, chosen, strict=True)]
        numbers = [m[index] for m, index in zip(matched, chosen, strict=True)]
        if self.has_mask():
            logits = self._extra("mask", features, boxes, shapes)
            masks = [target["masks"] for target in targets]
            kinds = [target["labels"] for target in targets]
            losses["loss_mask"] = maskrcnn_loss(logits, boxes, masks, kinds, numbers)
        if self.has_keypoint():
            logits = self._extra("keypoint", features, boxes, shapes)
            points = [target["keypoints"] for target in targets]
            losses["loss_keypoint"] = keypointrcnn_loss(logits, boxes, points, numbers)

    def _detect_extras(self, features: Any, result: list[Target], shapes: Any) -> None:
        boxes = [found["boxes"] for found in result]
        if self.has_mask():
            logits = self._extra("mask", features, boxes, shapes)
            masks = maskrcnn_inference(logits, [found["labels"] for found in result])
            for mask, found in zip(masks, result, strict=True):
                found["masks"] = mask
        if self.has_keypoint():
            logits = self._extra("keypoint", features, boxes, shapes)
            places = keypointrcnn_inference(logits, boxes)
            for points, scores, found in zip(*places, result, strict=True):
                found["keypoints"] = points
                found["keypoints_scores"] = scores
