"""What detectors share: matching, sampling, and the coding of boxes as offsets."""

from __future__ import annotations

import math
from typing import Any

import torchish

from .... import nn
from ....nn import functional as F
from ...ops import (
    FrozenBatchNorm2d,
    box_iou,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)


class BalancedPositiveNegativeSampler:
    """Draws so many places an image, at most a given share of them positive.

    Args:
        batch_size_per_image: places that are drawn.
        positive_fraction: the greatest share of positives.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, matched_idxs: list[Any]) -> tuple[list[Any], list[Any]]:
        """Masks (uint8) of the positives and of the negatives drawn.

        Args:
            matched_idxs: of each image, at least 1 for positives, 0 for negatives, -1 for neither.
        """
        chosen: tuple[list[Any], list[Any]] = ([], [])
        for matched in matched_idxs:
            positive = torchish.where(matched >= 1)[0]
            negative = torchish.where(matched == 0)[0]
            most = int(self.batch_size_per_image * self.positive_fraction)
            n_positive = min(positive.numel(), most)
            n_negative = min(negative.numel(), self.batch_size_per_image - n_positive)
            for masks, pool, count in zip(
                chosen, (positive, negative), (n_positive, n_negative), strict=True
            ):
                drawn = pool[torchish.randperm(pool.numel(), device=pool.device)[:count]]
                mask = torchish.zeros_like(matched, dtype=torchish.uint8)
                mask[drawn] = 1
                masks.append(mask)
        return chosen


def _sides(boxes: Any) -> tuple[Any, Any]:
    """Sizes and centres, each (..., 2)."""
    size = boxes[..., 2:] - boxes[..., :2]
    return size, boxes[..., :2] + 0.5 * size


def encode_boxes(reference_boxes: Any, proposals: Any, weights: Any) -> Any:
    """The offsets (N, 4) that lead from proposals to reference boxes."""
    size, centre = _sides(proposals)
    wanted_size, wanted_centre = _sides(reference_boxes)
    moves = weights[:2] * (wanted_centre - centre) / size
    return torchish.cat((moves, weights[2:] * torchish.log(wanted_size / size)), dim=1)


class BoxCoder:
    """Boxes as weighted offsets of a proposal: moves in its sizes, logarithms of the scale.

    Args:
        weights: of x, y, width and height.
        bbox_xform_clip: greatest logarithm of a scale that is decoded.
    """

    def __init__(
        self,
        weights: tuple[float, float, float, float],
        bbox_xform_clip: float = math.log(1000.0 / 16),
    ) -> None:
        self.weights = weights
        self.bbox_xform_clip = bbox_xform_clip

    def encode(self, reference_boxes: list[Any], proposals: list[Any]) -> Any:
        """The offsets of each image."""
        counts = [len(boxes) for boxes in reference_boxes]
        together = self.encode_single(torchish.cat(reference_boxes), torchish.cat(proposals))
        return together.split(counts, 0)

    def encode_single(self, reference_boxes: Any, proposals: Any) -> Any:
        weights = torchish.as_tensor(
            self.weights, dtype=reference_boxes.dtype, device=reference_boxes.device
        )
        return encode_boxes(reference_boxes, proposals, weights)

    def decode(self, rel_codes: Any, boxes: list[Any]) -> Any:
        """Boxes (K, classes, 4) from offsets (K, classes * 4) of the boxes of all images."""
        if not isinstance(boxes, (list, tuple)):
            raise AssertionError("This function expects boxes of type list or tuple.")
        if not isinstance(rel_codes, torchish.Tensor):
            raise AssertionError("This function expects rel_codes of type torch.Tensor.")
        together = torchish.cat(boxes)
        count = together.shape[0]
        if count == 0:
            return self.decode_single(rel_codes, together)
        return self.decode_single(rel_codes.reshape(count, -1), together).reshape(count, -1, 4)

    def decode_single(self, rel_codes: Any, boxes: Any) -> Any:
        size, centre = _sides(boxes.to(rel_codes.dtype))
        weights = torchish.as_tensor(self.weights, dtype=rel_codes.dtype, device=rel_codes.device)
        codes = rel_codes.reshape(rel_codes.shape[0], rel_codes.shape[1] // 4, 4) / weights
        scale = torchish.exp(codes[..., 2:].clamp(max=self.bbox_xform_clip))
        middle = codes[..., :2] * size[:, None] + centre[:, None]
        half = 0.5 * scale * size[:, None]
        return torchish.cat((middle - half, middle + half), dim=2).flatten(1)


class BoxLinearCoder:
    """Boxes as distances of their sides from an anchor's centre, in sizes of the anchor."""

    def __init__(self, normalize_by_size: bool = True) -> None:
        self.normalize_by_size = normalize_by_size

    def encode(self, reference_boxes: Any, proposals: Any) -> Any:
        """Distances (..., 4): left, top, right, bottom."""
        centre = 0.5 * (reference_boxes[..., :2] + reference_boxes[..., 2:])
        targets = torchish.cat((centre - proposals[..., :2], proposals[..., 2:] - centre), dim=-1)
        return targets / self._sizes(reference_boxes)

    def decode(self, rel_codes: Any, boxes: Any) -> Any:
        boxes = boxes.to(dtype=rel_codes.dtype)
        centre = 0.5 * (boxes[..., :2] + boxes[..., 2:])
        codes = rel_codes * self._sizes(boxes)
        return torchish.cat((centre - codes[..., :2], centre + codes[..., 2:]), dim=-1)

    def _sizes(self, boxes: Any) -> Any:
        if not self.normalize_by_size:
            return 1.0
        size = boxes[..., 2:] - boxes[..., :2]
        return torchish.cat((size, size), dim=-1)


class Matcher:
    """The best ground truth of each prediction, or why it has none.

    Args:
        high_threshold: from this quality on a prediction is matched.
        low_threshold: below it the prediction is background; between the two it is neither.
        allow_low_quality_matches: match the best predictions of each ground truth anyway.
    """

    BELOW_LOW_THRESHOLD = -1
    BETWEEN_THRESHOLDS = -2
    __annotations__ = {"BELOW_LOW_THRESHOLD": int, "BETWEEN_THRESHOLDS": int}

    def __init__(
        self, high_threshold: float, low_threshold: float, allow_low_quality_matches: bool = False
    ) -> None:
        if low_threshold > high_threshold:
            raise AssertionError("low_threshold should be <= high_threshold")
        self.high_threshold = high_threshold
        self.low_threshold = low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix: Any) -> Any:
        """Numbers of the matched ground truths, -1 or -2.

        Shape: (ground truths, predictions) to (predictions,).
        Raises: ValueError when there is nothing to match.
        """
        quality = match_quality_matrix
        if quality.numel() == 0:
            kind = "ground-truth" if quality.shape[0] == 0 else "proposal"
            raise ValueError(f"No {kind} boxes available for one of the images during training")
        value, best = quality.max(dim=0)
        matches = torchish.where(value < self.high_threshold, self.BETWEEN_THRESHOLDS, best)
        matches = torchish.where(value < self.low_threshold, self.BELOW_LOW_THRESHOLD, matches)
        if self.allow_low_quality_matches:
            # A prediction that is some ground truth's best keeps its own best, which may be
            # another one.
            top = (quality == quality.amax(dim=1)[:, None]).any(dim=0)
            matches = torchish.where(top, best, matches)
        return matches


def choosing(
    fg_iou_thresh: float,
    bg_iou_thresh: float,
    batch_size_per_image: int,
    positive_fraction: float,
    low_quality: bool,
) -> tuple[Any, Matcher, BalancedPositiveNegativeSampler]:
    """How a head chooses what it is trained with: by overlap, matched, then drawn."""
    matcher = Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=low_quality)
    sampler = BalancedPositiveNegativeSampler(batch_size_per_image, positive_fraction)
    return box_iou, matcher, sampler


class SSDMatcher(Matcher):
    """A Matcher with one threshold that gives each ground truth its best prediction."""

    def __init__(self, threshold: float) -> None:
        super().__init__(threshold, threshold, allow_low_quality_matches=False)

    def __call__(self, match_quality_matrix: Any) -> Any:
        matches = super().__call__(match_quality_matrix)
        best = match_quality_matrix.max(dim=1)[1]
        matches[best] = torchish.arange(best.size(0), dtype=torchish.int64, device=best.device)
        return matches


def overwrite_eps(model: nn.Module, eps: float) -> None:
    """Set the eps of all frozen norms: old weights were trained with 0."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps


def retrieve_out_channels(model: nn.Module, size: tuple[int, int]) -> list[int]:
    """Widths of the maps that a backbone gives for images of `size` (width, height)."""
    training = model.training
    model.eval()
    with torchish.no_grad():
        device = next(model.parameters()).device
        features = model(torchish.zeros((1, 3, size[1], size[0]), device=device))
    model.train(training)
    maps = [features] if isinstance(features, torchish.Tensor) else features.values()
    return [x.size(1) for x in maps]


def _topk_min(input: Any, orig_kval: int, axis: int) -> int:
    return min(orig_kval, input.size(axis))


_BOX_LOSSES = {
    "ciou": complete_box_iou_loss,
    "diou": distance_box_iou_loss,
    "giou": generalized_box_iou_loss,
}


def _box_loss(
    type: str,
    box_coder: BoxCoder,
    anchors_per_image: Any,
    matched_gt_boxes_per_image: Any,
    bbox_regression_per_image: Any,
    cnf: dict[str, float] | None = None,
) -> Any:
    """The summed loss of the offsets ("l1", "smooth_l1") or of the boxes ("ciou" …)."""
    if type not in ("l1", "smooth_l1", *_BOX_LOSSES):
        raise AssertionError(f"Unsupported loss: {type}")
    cnf = cnf or {}
    if type in _BOX_LOSSES:
        boxes = box_coder.decode_single(bbox_regression_per_image, anchors_per_image)
        return _BOX_LOSSES[type](
            boxes, matched_gt_boxes_per_image, reduction="sum", eps=cnf.get("eps", 1e-7)
        )
    targets = box_coder.encode_single(matched_gt_boxes_per_image, anchors_per_image)
    if type == "l1":
        return F.l1_loss(bbox_regression_per_image, targets, reduction="sum")
    return F.smooth_l1_loss(
        bbox_regression_per_image, targets, reduction="sum", beta=cnf.get("beta", 1.0)
    )
