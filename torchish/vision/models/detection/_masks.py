"""The masks of Mask R-CNN: targets, loss, and masks pasted into images."""

from __future__ import annotations

from typing import Any

import torchish

from ....nn import functional as F
from ...ops import roi_align


def maskrcnn_inference(x: Any, labels: list[Any]) -> Any:
    """The probabilities of each detection's own category, (K, 1, M, M) of each image.

    Shape: x (K, classes, M, M) of all images together.
    """
    counts = [label.shape[0] for label in labels]
    together = torchish.cat(labels)
    index = torchish.arange(x.shape[0], device=together.device)
    return x.sigmoid()[index, together][:, None].split(counts, dim=0)


def project_masks_on_boxes(gt_masks: Any, boxes: Any, matched_idxs: Any, M: int) -> Any:
    """What the matched masks (N, H, W) look like within boxes (K, 4): (K, M, M)."""
    rois = torchish.cat([matched_idxs.to(boxes)[:, None], boxes], dim=1)
    return roi_align(gt_masks[:, None].to(rois), rois, (M, M), 1.0)[:, 0]


def maskrcnn_loss(
    mask_logits: Any,
    proposals: list[Any],
    gt_masks: list[Any],
    gt_labels: list[Any],
    mask_matched_idxs: list[Any],
) -> Any:
    """Binary cross entropy of the masks of the proposals' own categories."""
    size = mask_logits.shape[-1]
    rows = zip(gt_labels, gt_masks, proposals, mask_matched_idxs, strict=True)
    labels, targets = [], []
    for label, masks, boxes, matched in rows:
        labels.append(label[matched])
        targets.append(project_masks_on_boxes(masks, boxes, matched, size))
    label, target = torchish.cat(labels), torchish.cat(targets)
    if target.numel() == 0:
        return mask_logits.sum() * 0
    index = torchish.arange(label.shape[0], device=label.device)
    return F.binary_cross_entropy_with_logits(mask_logits[index, label], target)


def expand_boxes(boxes: Any, scale: float) -> Any:
    """Boxes of the same centres whose sides are `scale` times as long."""
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale
    centre = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    return torchish.cat([centre - half, centre + half], dim=1)


def expand_masks_tracing_scale(M: int, padding: int) -> Any:
    """How much larger a mask of M pixels becomes, as a tensor."""
    return torchish.tensor(M + 2 * padding).to(torchish.float32) / M


def expand_masks(mask: Any, padding: int) -> tuple[Any, float]:
    """Masks with a border of zeros, and how much larger they are."""
    side = mask.shape[-1]
    return F.pad(mask, (padding,) * 4), float(side + 2 * padding) / side


def _resampling(first: Any, last: Any, length: int, side: int) -> Any:
    """Weights (K, length, side) of a mask's pixels in each pixel of an image's axis.

    Bilinear resizing of `side` pixels to those from `first` to `last`; 0 outside of them.
    """
    pixels = torchish.arange(length, device=first.device)
    count = (last - first + 1).clamp(min=1)[:, None]
    at = pixels[None] - first[:, None]
    source = ((at + 0.5) * (side / count) - 0.5).clamp(min=0, max=side - 1)
    taps = torchish.arange(side, device=first.device)
    weight = (1 - (source[..., None] - taps).abs()).clamp(min=0)
    inside = (at >= 0) & (pixels[None] <= last[:, None])
    return weight * inside[..., None]


def paste_mask_in_image(mask: Any, box: Any, im_h: int, im_w: int) -> Any:
    """One mask (M, M) of a box of whole pixels as a mask of the whole image, (im_h, im_w)."""
    x1, y1, x2, y2 = box.to(torchish.int64)[:, None].unbind(0)
    side = mask.shape[-1]
    rows, columns = _resampling(y1, y2, im_h, side)[0], _resampling(x1, x2, im_w, side)[0]
    return rows.to(mask.dtype) @ mask @ columns.to(mask.dtype).T


def paste_masks_in_image(
    masks: Any, boxes: Any, img_shape: tuple[int, int], padding: int = 1
) -> Any:
    """Masks (K, 1, M, M) of boxes as masks of the whole image, (K, 1, H, W).

    One product of matrices for all: no shape depends on the boxes.
    """
    height, width = img_shape
    padded, scale = expand_masks(masks, padding)
    if len(masks) == 0:
        return masks.new_empty((0, 1, height, width))
    x1, y1, x2, y2 = expand_boxes(boxes, scale).to(torchish.int64).unbind(1)
    side = padded.shape[-1]
    rows, columns = _resampling(y1, y2, height, side), _resampling(x1, x2, width, side)
    pasted = rows.to(masks.dtype) @ padded[:, 0] @ columns.to(masks.dtype).transpose(1, 2)
    return pasted[:, None]
