"""Grids of places and the upsampling of flows."""

from __future__ import annotations

from typing import Any

import torchish

from ....nn import functional as F


def grid_sample(
    img: Any, absolute_grid: Any, mode: str = "bilinear", align_corners: bool | None = None
) -> Any:
    """As `F.grid_sample` for places given in pixels (x, y)."""
    height, width = img.shape[-2:]
    x, y = absolute_grid.split([1, 1], dim=-1)
    x = 2 * x / (width - 1) - 1
    if height > 1:  # stereo matching has maps of one row
        y = 2 * y / (height - 1) - 1
    return F.grid_sample(img, torchish.cat([x, y], dim=-1), mode=mode, align_corners=align_corners)


def make_coords_grid(batch_size: int, h: int, w: int, device: Any = "cpu") -> Any:
    """The place (x, y) of every pixel, (batch_size, 2, h, w)."""
    y, x = torchish.meshgrid(
        torchish.arange(h, device=device), torchish.arange(w, device=device), indexing="ij"
    )
    return torchish.stack([x, y]).float()[None].repeat(batch_size, 1, 1, 1)


def upsample_flow(flow: Any, up_mask: Any = None, factor: int = 8) -> Any:
    """A flow (N, C, H, W) at `factor` times the size, its vectors as many times as long.

    Args:
        up_mask: (N, 9 * factor^2, H, W), logits of the nine neighbours' weights in each new
            pixel; without it the flow is resized.
    """
    batch, channels, height, width = flow.shape
    size = (height * factor, width * factor)
    if up_mask is None:
        return factor * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)
    weights = up_mask.view(batch, 1, 9, factor, factor, height, width).softmax(dim=2)
    around = F.unfold(factor * flow, kernel_size=3, padding=1)
    around = around.view(batch, channels, 9, 1, 1, height, width)
    summed = (weights * around).sum(dim=2)
    return summed.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, *size)
