"""torchvision's compiled operators in plain PyTorch, for running its detectors without them."""

from __future__ import annotations

import math
from typing import Any

import torch


def nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Greedy suppression by its definition."""
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    overlap = (inter / (area[:, None] + area[None] - inter)).detach().numpy() > iou_threshold
    kept: list[int] = []
    for i in scores.sort(descending=True, stable=True)[1].tolist():
        if not overlap[i, kept].any():
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


def _axis(start: float, size: float, bins: int, samples: int, length: int, dtype: Any) -> Any:
    """Weights (bins * samples, length) of the pixels in each sample along one axis."""
    step = size / bins
    at = torch.tensor(
        [
            start + i * step + (k + 0.5) * step / samples
            for i in range(bins)
            for k in range(samples)
        ],
        dtype=dtype,
    )
    inside = (at >= -1) & (at <= length)
    at = at.clamp(0, length - 1)
    hats = (1 - (at[:, None] - torch.arange(length)).abs()).clamp(min=0)
    return hats * inside[:, None]


def roi_align(
    input: Any,
    boxes: Any,
    output_size: Any,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Any:
    """Region by region: each bin the mean of its bilinear samples."""
    height, width = input.shape[-2:]
    rows, columns = output_size
    found = []
    for roi in boxes.tolist():
        x1, y1, x2, y2 = (v * spatial_scale - (0.5 if aligned else 0.0) for v in roi[1:])
        wide, high = x2 - x1, y2 - y1
        if not aligned:
            wide, high = max(wide, 1.0), max(high, 1.0)
        ny = sampling_ratio if sampling_ratio > 0 else math.ceil(high / rows)
        nx = sampling_ratio if sampling_ratio > 0 else math.ceil(wide / columns)
        down = _axis(y1, high, rows, ny, height, input.dtype).reshape(rows, ny, -1).mean(1)
        right = _axis(x1, wide, columns, nx, width, input.dtype).reshape(columns, nx, -1).mean(1)
        found.append(torch.einsum("ih,chw,jw->cij", down, input[int(roi[0])], right))
    if not found:
        return input.new_zeros((0, input.shape[1], rows, columns))
    return torch.stack(found)


def install(torchvision: Any) -> None:
    """Put both where torchvision's detectors find them."""
    torchvision.ops.boxes.nms = nms
    torchvision.ops.poolers.roi_align = roi_align
    torchvision.models.detection.roi_heads.roi_align = roi_align
