"""The keypoints of Keypoint R-CNN: targets, loss, and places read from heat maps."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import torchish

from ....nn import functional as F


def keypoints_to_heatmap(keypoints: Any, rois: Any, heatmap_size: int) -> tuple[Any, Any]:
    """The place of each keypoint in its region's heat map, as one number, and whether it counts.

    Shape: keypoints (K, P, 3) and rois (K, 4) to twice (K, P).
    """
    last = heatmap_size - 1
    places = []
    for axis in (0, 1):
        low, high = rois[:, axis, None], rois[:, axis + 2, None]
        at = keypoints[..., axis]
        cell = ((at - low) * (heatmap_size / (high - low))).floor().long()
        places.append(torchish.where(at == high, last, cell))
    x, y = places
    inside = (x >= 0) & (y >= 0) & (x <= last) & (y <= last)
    valid = (inside & (keypoints[..., 2] > 0)).long()
    return (y * heatmap_size + x) * valid, valid


def keypointrcnn_loss(
    keypoint_logits: Any,
    proposals: list[Any],
    gt_keypoints: list[Any],
    keypoint_matched_idxs: list[Any],
) -> Any:
    """Cross entropy over the cells of the heat map, for each keypoint that counts."""
    count, kinds, height, width = keypoint_logits.shape
    if height != width:
        raise ValueError(
            "keypoint_logits height and width (last two elements of shape) should be equal. "
            f"Instead got H = {height} and W = {width}"
        )
    pairs = [
        keypoints_to_heatmap(points[matched], boxes, height)
        for boxes, points, matched in zip(
            proposals, gt_keypoints, keypoint_matched_idxs, strict=True
        )
    ]
    targets = torchish.cat([target.view(-1) for target, _ in pairs])
    valid = torchish.where(torchish.cat([v.view(-1) for _, v in pairs]))[0]
    if targets.numel() == 0 or len(valid) == 0:
        return keypoint_logits.sum() * 0
    logits = keypoint_logits.view(count * kinds, height * width)
    return F.cross_entropy(logits[valid], targets[valid])


@functools.lru_cache(maxsize=512)
def _cubic_weights(before: int, after: int) -> np.ndarray:
    """Bicubic resizing of `before` pixels to `after` as a matrix (Keys, a = -0.75)."""
    at = (np.arange(after) + 0.5) * (before / after) - 0.5
    low = np.floor(at).astype(int)
    weights = np.zeros((after, before), np.float64)
    for tap in range(-1, 3):
        d = np.abs(at - (low + tap))
        near = (1.25 * d - 2.25) * d * d + 1
        far = ((-0.75 * d + 3.75) * d - 6) * d + 3
        index = np.clip(low + tap, 0, before - 1)
        np.add.at(weights, (np.arange(after), index), np.where(d <= 1, near, far))
    return weights.astype(np.float32)


def heatmaps_to_keypoints(maps: Any, rois: Any) -> tuple[Any, Any]:
    """The greatest place of each heat map resized to its region, with x, y, 1; and its value.

    Regions have sizes of their own, so this is worked out on the host, without gradients.

    Shape: maps (K, P, H, W) and rois (K, 4) to (K, P, 3) and (K, P).
    """
    values, boxes = maps.detach().cpu().numpy(), rois.detach().cpu().numpy()
    count, kinds = values.shape[:2]
    places = np.ones((count, kinds, 3), np.float32)
    scores = np.zeros((count, kinds), np.float32)
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        width, height = max(x2 - x1, np.float32(1)), max(y2 - y1, np.float32(1))
        columns, rows = int(np.ceil(width)), int(np.ceil(height))
        down = _cubic_weights(values.shape[2], rows)
        right = _cubic_weights(values.shape[3], columns)
        resized = (down @ values[i] @ right.T).reshape(kinds, -1)
        best = resized.argmax(1)
        y, x = np.divmod(best, columns)
        places[i, :, 0] = (x.astype(np.float32) + 0.5) * (width / columns) + x1
        places[i, :, 1] = (y.astype(np.float32) + 0.5) * (height / rows) + y1
        scores[i] = resized[np.arange(kinds), best]
    found = torchish.from_numpy(places).to(maps.device)
    return found, torchish.from_numpy(scores).to(maps.device)


def keypointrcnn_inference(x: Any, boxes: list[Any]) -> tuple[list[Any], list[Any]]:
    """Keypoints and their scores of each image, from heat maps of all images together."""
    parts = x.split([box.size(0) for box in boxes], dim=0)
    pairs = [heatmaps_to_keypoints(part, box) for part, box in zip(parts, boxes, strict=True)]
    return [places for places, _ in pairs], [scores for _, scores in pairs]
