"""Boxes: suppression, conversion, areas and overlaps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import torchish

from . import _box_convert, _nms, _rotated
from ._utils import upcast

_ALIGNED = ("xyxy", "xywh", "cxcywh")
_ROTATED = ("cxcywhr", "xywhr", "xyxyxyxy")


def nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Indices of the boxes that no better box overlaps by more than `iou_threshold`.

    Args:
        boxes: (N, 4), corners x1, y1, x2, y2.
        scores: (N,); of equal scores the first box counts as the better.
    Shape: (kept,) int64, by falling score.
    Raises: RuntimeError for other shapes or dtypes that differ.
    """
    if boxes.dim() != 2:
        raise RuntimeError(f"boxes should be a 2d tensor, got {boxes.dim()}D")
    if boxes.size(1) != 4:
        raise RuntimeError(f"boxes should have 4 elements in dimension 1, got {boxes.size(1)}")
    if scores.dim() != 1:
        raise RuntimeError(f"scores should be a 1d tensor, got {scores.dim()}D")
    if boxes.size(0) != scores.size(0):
        raise RuntimeError(
            "boxes and scores should have same number of elements in dimension 0, got "
            f"{boxes.size(0)} and {scores.size(0)}"
        )
    if boxes.dtype != scores.dtype:
        raise RuntimeError("dets should have the same type as scores")
    kept = _nms.suppress(_host(boxes), _host(scores), iou_threshold)
    return torchish.from_numpy(kept).to(boxes.device)


def _host(x: Any) -> np.ndarray:
    x = x.detach()
    if x.dtype in (torchish.bfloat16, torchish.float16):
        x = x.float()
    return x.cpu().numpy()


def batched_nms(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> Any:
    """As `nms`, boxes suppressing only others of their own category.

    Args:
        idxs: the category of each box, (N,).
    """
    # torchvision's two ways give the same boxes; they differ in rounding and in how ties end.
    limit = 4000 if boxes.device.type == "cpu" else 100_000
    if boxes.numel() > limit:
        return _batched_nms_vanilla(boxes, scores, idxs, iou_threshold)
    return _batched_nms_coordinate_trick(boxes, scores, idxs, iou_threshold)


def _batched_nms_coordinate_trick(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> Any:
    """All at once: each category is moved to where no box of another is."""
    if boxes.numel() == 0:
        return torchish.empty((0,), dtype=torchish.int64, device=boxes.device)
    offsets = idxs.to(boxes) * (boxes.max() + 1)
    return nms(boxes + offsets[:, None], scores, iou_threshold)


def _batched_nms_vanilla(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> Any:
    """Category by category."""
    corners, values, kinds = _host(boxes), _host(scores), _host(idxs)
    kept = []
    for kind in np.unique(kinds):
        members = np.nonzero(kinds == kind)[0]
        kept.append(members[_nms.suppress(corners[members], values[members], iou_threshold)])
    index = np.sort(np.concatenate(kept))
    order = np.argsort(-values[index], kind="stable")
    return torchish.from_numpy(index[order]).to(boxes.device)


def remove_small_boxes(boxes: Any, min_size: float) -> Any:
    """Indices of the boxes (N, 4) whose sides are both at least `min_size`."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return torchish.where((width >= min_size) & (height >= min_size))[0]


def clip_boxes_to_image(boxes: Any, size: tuple[int, int]) -> Any:
    """Boxes (..., 4) cut to an image of `size` (height, width)."""
    height, width = size
    x = boxes[..., 0::2].clamp(min=0, max=width)
    y = boxes[..., 1::2].clamp(min=0, max=height)
    return torchish.stack((x, y), dim=boxes.dim()).reshape(boxes.shape)


def box_convert(boxes: Any, in_fmt: str, out_fmt: str) -> Any:
    """Boxes in another format.

    Formats: "xyxy" corners, "xywh" corner and size, "cxcywh" centre and size; with an angle in
    degrees "xywhr" and "cxcywhr", and "xyxyxyxy" four corners.

    Raises: ValueError for an unknown format, NotImplementedError between formats with and without
        an angle.
    """
    known = _ALIGNED + _ROTATED
    if in_fmt not in known or out_fmt not in known:
        raise ValueError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}"
        )
    if in_fmt == out_fmt:
        return boxes.clone()
    if (in_fmt in _ALIGNED) != (out_fmt in _ALIGNED):
        raise NotImplementedError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}"
        )
    return _box_convert.convert(boxes, in_fmt, out_fmt)


def box_area(boxes: Any, fmt: str = "xyxy") -> Any:
    """Areas of boxes (..., 4).

    Raises: ValueError for a format that has no simple area.
    """
    if fmt not in _ALIGNED:
        raise ValueError(f"Unsupported Bounding Box area for given format {fmt}")
    boxes = upcast(boxes)
    if fmt == "xyxy":
        return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return boxes[..., 2] * boxes[..., 3]


def _corners(boxes: Any, fmt: str) -> tuple[Any, Any]:
    first, second = boxes[..., :2], boxes[..., 2:]
    if fmt == "xyxy":
        return first, second
    if fmt == "xywh":
        return first, first + second
    return first - second / 2, first + second / 2


def _box_inter_union(boxes1: Any, boxes2: Any, fmt: str = "xyxy") -> tuple[Any, Any]:
    """Areas of the intersection and of the union of each pair, (..., N, M)."""
    if fmt not in _ALIGNED:
        raise ValueError(f"Unsupported Box IoU Calculation for given fmt {fmt}.")
    area1, area2 = box_area(boxes1, fmt), box_area(boxes2, fmt)
    low1, high1 = _corners(boxes1, fmt)
    low2, high2 = _corners(boxes2, fmt)
    low = torchish.max(low1[..., None, :], low2[..., None, :, :])
    high = torchish.min(high1[..., None, :], high2[..., None, :, :])
    sides = upcast(high - low).clamp(min=0)
    inter = sides[..., 0] * sides[..., 1]
    return inter, area1[..., None] + area2[..., None, :] - inter


def box_iou(boxes1: Any, boxes2: Any, fmt: str = "xyxy") -> Any:
    """Intersection over union of each pair: (..., N, 4) and (..., M, 4) to (..., N, M).

    Boxes with an angle are compared on the host, two-dimensional and without gradients.

    Raises: ValueError for an unknown format.
    """
    if fmt in _ALIGNED:
        inter, union = _box_inter_union(boxes1, boxes2, fmt)
        return inter / union
    if fmt not in _ROTATED:
        raise ValueError(
            f"Unsupported format '{fmt}'. Supported axis-aligned formats: {_ALIGNED}. Supported "
            f"rotated formats: {_ROTATED}."
        )
    if fmt != "cxcywhr":
        boxes1 = box_convert(boxes1, in_fmt=fmt, out_fmt="cxcywhr")
        boxes2 = box_convert(boxes2, in_fmt=fmt, out_fmt="cxcywhr")
    found = torchish.from_numpy(_rotated.iou(_host(boxes1), _host(boxes2)))
    return found.to(device=boxes1.device, dtype=boxes1.dtype)


def _enclosing(boxes1: Any, boxes2: Any) -> tuple[Any, Any]:
    """Width and height of the smallest box around each pair."""
    low = torchish.min(boxes1[..., None, :2], boxes2[..., None, :, :2])
    high = torchish.max(boxes1[..., None, 2:], boxes2[..., None, :, 2:])
    sides = upcast(high - low).clamp(min=0)
    return sides[..., 0], sides[..., 1]


def generalized_box_iou(boxes1: Any, boxes2: Any) -> Any:
    """IoU - (enclosing - union) / enclosing of each pair, (..., N, M).

    Source: Rezatofighi et al., "Generalized Intersection over Union" (2019).
    """
    inter, union = _box_inter_union(boxes1, boxes2)
    width, height = _enclosing(boxes1, boxes2)
    around = width * height
    return inter / union - (around - union) / around


def _box_diou_iou(boxes1: Any, boxes2: Any, eps: float = 1e-7) -> tuple[Any, Any]:
    iou = box_iou(boxes1, boxes2)
    width, height = _enclosing(boxes1, boxes2)
    diagonal = width**2 + height**2 + eps
    centre1, centre2 = ((b[..., :2] + b[..., 2:]) / 2 for b in (boxes1, boxes2))
    apart = upcast(centre1[..., None, :] - centre2[..., None, :, :]) ** 2
    return iou - (apart[..., 0] + apart[..., 1]) / diagonal, iou


def distance_box_iou(boxes1: Any, boxes2: Any, eps: float = 1e-7) -> Any:
    """IoU - (distance of the centres / diagonal of the enclosing box)^2 of each pair.

    Source: Zheng et al., "Distance-IoU Loss" (2019).
    """
    return _box_diou_iou(upcast(boxes1), upcast(boxes2), eps)[0]


def complete_box_iou(boxes1: Any, boxes2: Any, eps: float = 1e-7) -> Any:
    """Distance IoU - alpha v, where v compares the proportions of each pair.

    v = 4 / pi^2 (atan(w1 / h1) - atan(w2 / h2))^2,  alpha = v / (1 - IoU + v + eps)

    Source: Zheng et al., "Distance-IoU Loss" (2019).
    """
    boxes1, boxes2 = upcast(boxes1), upcast(boxes2)
    diou, iou = _box_diou_iou(boxes1, boxes2, eps)
    angle1, angle2 = (
        torchish.atan((b[..., 2] - b[..., 0]) / (b[..., 3] - b[..., 1])) for b in (boxes1, boxes2)
    )
    v = (4 / math.pi**2) * (angle1[..., None] - angle2[..., None, :]) ** 2
    with torchish.no_grad():
        alpha = v / (1 - iou + v + eps)
    return diou - alpha * v


def masks_to_boxes(masks: Any) -> Any:
    """The smallest box around each mask (N, H, W): first and last pixel, (N, 4) float32.

    An empty mask gives zeros.
    """
    if masks.numel() == 0:
        return torchish.zeros((0, 4), device=masks.device, dtype=torchish.float)
    filled = masks.bool()
    edges = []
    for dim in (1, 2):  # columns, then rows
        used = filled.any(dim=dim).float()
        edges.append((used.argmax(1), used.shape[1] - 1 - used.flip(dims=[1]).argmax(1)))
    (x1, x2), (y1, y2) = edges
    boxes = torchish.stack([x1, y1, x2, y2], dim=1).float()
    return boxes * filled.flatten(1).any(1)[:, None]
