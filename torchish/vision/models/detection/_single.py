"""Detectors in one step: what RetinaNet, FCOS and SSD share."""

from __future__ import annotations

from typing import Any

import torchish

from .... import nn
from ...ops import boxes as box_ops
from . import _utils as det_utils
from .generalized_rcnn import check_degenerate, check_targets, maps_of, sizes_of

Target = dict[str, Any]


def columns(x: Any, width: int) -> Any:
    """A head's map (N, A * width, H, W) as rows (N, H * W * A, width)."""
    batch, _, height, across = x.shape
    split = x.view(batch, -1, width, height, across)
    return split.permute(0, 3, 4, 1, 2).reshape(batch, -1, width)


class SingleStage(nn.Module):
    """Transform, backbone, head and anchors.

    A subclass defines `_losses` and `_detections`. In training it gives a dict of losses, in
    evaluation a list of detections.
    """

    def _keep(self, score_thresh: float, nms_thresh: float, most: int, candidates: int) -> None:
        """Which detections are kept: see the arguments of a subclass."""
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = most
        self.topk_candidates = candidates
        self._has_warned = False

    def forward(self, images: list[Any], targets: list[Target] | None = None) -> Any:
        """Args:
        images: tensors (C, H, W) in [0, 1].
        targets: of each image `boxes` (N, 4) and `labels` (N,).
        """
        if self.training:
            check_targets(targets)
        original = sizes_of(images)
        batch, targets = self.transform(images, targets)
        check_degenerate(targets)
        maps = list(maps_of(self.backbone(batch.tensors)).values())
        outputs = self.head(maps)
        anchors = self.anchor_generator(batch, maps)
        if self.training:
            return self.eager_outputs(self._losses(targets, outputs, anchors, maps), [])
        found = self._detections(outputs, anchors, batch.image_sizes, maps)
        return self.eager_outputs(
            {}, self.transform.postprocess(found, batch.image_sizes, original)
        )

    def eager_outputs(self, losses: dict[str, Any], detections: list[Target]) -> Any:
        """The losses in training, the detections otherwise."""
        return losses if self.training else detections

    def _losses(self, targets: Any, outputs: Any, anchors: Any, maps: Any) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define _losses")

    def _detections(self, outputs: Any, anchors: Any, sizes: Any, maps: Any) -> list[Target]:
        raise NotImplementedError(f"{type(self).__name__} must define _detections")


def match(matcher: Any, targets: list[Target], anchors: list[Any]) -> list[Any]:
    """The target of each image's anchors; -1 everywhere in an image without targets."""
    found = []
    for places, target in zip(anchors, targets, strict=True):
        if target["boxes"].numel() == 0:
            found.append(
                torchish.full((places.size(0),), -1, dtype=torchish.int64, device=places.device)
            )
        else:
            found.append(matcher(box_ops.box_iou(target["boxes"], places)))
    return found


def split_levels(
    outputs: dict[str, Any], anchors: list[Any], counts: list[int]
) -> tuple[dict[str, list[Any]], list[list[Any]]]:
    """The rows of each level."""
    parts = {name: list(value.split(counts, dim=1)) for name, value in outputs.items()}
    return parts, [list(places.split(counts)) for places in anchors]


class DenseDetector(SingleStage):
    """A single stage whose levels each give their best categories; `_scores` and `_boxes` say
    how an image's level is read.
    """

    def postprocess_detections(
        self,
        head_outputs: dict[str, list[Any]],
        anchors: list[list[Any]],
        image_shapes: list[tuple[int, int]],
    ) -> list[Target]:
        """Boxes, scores and labels of each image, from the rows of each level."""
        found = []
        for image, shape in enumerate(image_shapes):
            parts: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
            for level, places in enumerate(anchors[image]):
                own = {name: value[level][image] for name, value in head_outputs.items()}
                kinds = own["cls_logits"].shape[-1]
                scores = self._scores(own).flatten()
                index = torchish.where(scores > self.score_thresh)[0]
                count = det_utils._topk_min(index, self.topk_candidates, 0)
                best, order = scores[index].topk(count)
                index = index[order]
                rows = torchish.div(index, kinds, rounding_mode="floor")
                boxes = self._boxes(own["bbox_regression"][rows], places[rows])
                values = (box_ops.clip_boxes_to_image(boxes, shape), best, index % kinds)
                for part, value in zip(parts, values, strict=True):
                    part.append(value)
            boxes, scores, labels = (torchish.cat(part) for part in parts)
            found.append(keep_best(boxes, scores, labels, self.nms_thresh, self.detections_per_img))
        return found

    def _detections(self, outputs: Any, anchors: Any, sizes: Any, maps: Any) -> list[Target]:
        places = [x.size(2) * x.size(3) for x in maps]
        each = outputs["cls_logits"].size(1) // sum(places)
        parts, split = split_levels(outputs, anchors, [n * each for n in places])
        return self.postprocess_detections(parts, split, sizes)

    def _scores(self, own: dict[str, Any]) -> Any:
        return torchish.sigmoid(own["cls_logits"])

    def _boxes(self, codes: Any, places: Any) -> Any:
        return self.box_coder.decode_single(codes, places)


def keep_best(boxes: Any, scores: Any, labels: Any, threshold: float, most: int) -> Target:
    """The detections of an image that suppression leaves."""
    keep = box_ops.batched_nms(boxes, scores, labels, threshold)[:most]
    return {"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep]}
