"""The pooling of regions and the deformable convolution as operators: pure functions on arrays.

A bin's average of bilinear samples is separable: out[i, j] = sum over h, w of Y[i, h] X[j, w]
x[h, w], where Y and X average the hat functions of the samples of a bin. Where bins hold few
samples of a large map, single pixels are gathered instead. Both have static shapes.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ..._ops.registry import OptTensor, Tensor, Tensors, op

# Regions are worked on in groups of so many, which bounds what is held at once.
_GROUP = 64
_GATHER_COST = 8.0  # of one pixel, in multiply-adds


def _map(function: Any, *arrays: Any) -> Any:
    """`function` of each row, in groups."""
    count = arrays[0].shape[0]
    return jax.lax.map(lambda row: function(*row), arrays, batch_size=max(1, min(_GROUP, count)))


def _float(x: Any) -> Any:
    return x if x.dtype in (jnp.float32, jnp.float64) else x.astype(jnp.float32)


def _samples(start: Any, size: Any, bins: int, grid: Any, bound: int) -> Any:
    """Places of the samples along one axis, (K, bins, bound), and which of them count."""
    step = (size / bins)[:, None, None]
    k = jnp.arange(bound, dtype=start.dtype)
    number = grid[:, None, None]
    at = start[:, None, None] + jnp.arange(bins, dtype=start.dtype)[None, :, None] * step
    at = at + (k + 0.5) * step / jnp.maximum(number, 1)
    return at, jnp.broadcast_to(k < number, at.shape)


def _clamped(samples: tuple[Any, Any], length: Any) -> tuple[Any, Any]:
    """Places within the map, and the weight of each: 0 more than a pixel outside."""
    at, counts = samples
    if not isinstance(length, int):
        length = length[:, None, None]
    inside = counts & (at >= -1.0) & (at <= length)
    return jnp.clip(at, 0, length - 1), inside.astype(at.dtype)


def _hats(samples: tuple[Any, Any], length: int) -> Any:
    """The summed hat functions of each bin's samples, (K, bins, length)."""
    at, weight = samples
    pixels = jnp.arange(length, dtype=at.dtype)
    hats = jnp.maximum(0, 1 - jnp.abs(at[..., None] - pixels))
    return (hats * weight[..., None]).sum(-2)


def _corners(at: Any, weight: Any, length: Any) -> list[tuple[Any, Any]]:
    low = jnp.minimum(jnp.floor(at), jnp.maximum(length - 2, 0))
    high = jnp.minimum(low + 1, length - 1)
    share = at - low
    return [
        (low.astype(jnp.int32), (1 - share) * weight),
        (high.astype(jnp.int32), share * weight),
    ]


def _rows(x: Any) -> Any:
    """(N, C, H, W) to one row of channels a pixel."""
    return jnp.transpose(x, (0, 2, 3, 1)).reshape(-1, x.shape[1])


def _gathered(rows: Any, first: Any, height: Any, width: Any, ys: Any, xs: Any) -> Any:
    """Sums of samples by single pixels, (K, C, bins_h, bins_w).

    Args:
        rows: the pixels of all maps.
        first, height, width: where the map of each region starts, and its size; each (K,).
    """

    def one(start: Any, h: Any, w: Any, ya: Any, yw: Any, xa: Any, xw: Any) -> Any:
        total: Any = 0
        for yi, ya_w in _corners(ya, yw, h):
            for xi, xa_w in _corners(xa, xw, w):
                flat = start + yi[:, :, None, None] * w + xi[None, None]
                found = rows.at[flat].get(mode="promise_in_bounds")  # (i, s, j, t, C)
                total = total + jnp.einsum("isjtc,is,jt->cij", found, ya_w, xa_w)
        return total

    return _map(one, first, height, width, *ys, *xs)


def _separable(x: Any, index: Any, ys: Any, xs: Any) -> Any:
    along_y, along_x = _hats(ys, x.shape[2]), _hats(xs, x.shape[3])

    def one(b: Any, rows: Any, columns: Any) -> Any:
        half = jnp.einsum("ih,chw->ciw", rows, x[b])
        return jnp.einsum("ciw,jw->cij", half, columns)

    return _map(one, index, along_y, along_x)


def _regions(rois: Any, scale: float, offset: float) -> tuple[Any, Any, Any, Any, Any]:
    """Image number, then start and size along y and along x."""
    corners = rois[:, 1:] * jnp.asarray(scale, rois.dtype) - jnp.asarray(offset, rois.dtype)
    x1, y1, x2, y2 = corners.T
    return rois[:, 0].astype(jnp.int32), y1, y2 - y1, x1, x2 - x1


def _grids(height: Any, width: Any, bins: tuple[int, int], sampling: int) -> tuple[Any, Any]:
    if sampling > 0:
        number = jnp.full_like(height, sampling)
        return number, number
    return jnp.ceil(height / bins[0]), jnp.ceil(width / bins[1])


@op("none", into=("internal",), grad_name="RoiAlignBackward0", name="vision_roi_align")
def roi_align(
    input: Tensor,
    rois: Tensor,
    scale: float,
    bins: tuple[int, int],
    sampling: int,
    aligned: bool,
    bound: int,
) -> Any:
    """input (N, C, H, W), rois (K, 5): means of bilinear samples, (K, C, *bins)."""
    x, boxes = _float(input), jax.lax.stop_gradient(_float(rois))
    if boxes.shape[0] == 0:
        return jnp.zeros((0, x.shape[1], *bins), input.dtype)
    index, top, height, left, width = _regions(boxes, scale, 0.5 if aligned else 0.0)
    if not aligned:
        height, width = jnp.maximum(height, 1), jnp.maximum(width, 1)
    grid_y, grid_x = _grids(height, width, bins, sampling)
    ys = _clamped(_samples(top, height, bins[0], grid_y, bound), x.shape[2])
    xs = _clamped(_samples(left, width, bins[1], grid_x, bound), x.shape[3])
    pixels = bins[0] * bins[1] * bound * bound * 4 * _GATHER_COST
    dense = bins[0] * x.shape[3] * (x.shape[2] + bins[1])
    if pixels < dense:
        h, w = (jnp.full_like(index, n) for n in x.shape[2:])
        sums = _gathered(_rows(x), index * h * w, h, w, ys, xs)
    else:
        sums = _separable(x, index, ys, xs)
    count = jnp.maximum(grid_y * grid_x, 1)[:, None, None, None]
    return (sums / count.astype(sums.dtype)).astype(input.dtype)


@op("none", into=("internal",), grad_name="RoiAlignBackward0", name="vision_roi_align_levels")
def roi_align_levels(
    maps: Tensors,
    rois: Tensor,
    levels: Tensor,
    scales: tuple[float, ...],
    bins: tuple[int, int],
    sampling: int,
) -> Any:
    """As roi_align, each region reading the map of its own level.

    The maps' pixels stand in one table, so that no shape depends on where regions fall.
    """
    boxes = jax.lax.stop_gradient(_float(rois))
    if boxes.shape[0] == 0:
        return jnp.zeros((0, maps[0].shape[1], *bins), maps[0].dtype)
    sizes = [x.shape[0] * x.shape[2] * x.shape[3] for x in maps]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    heights, widths = ([x.shape[d] for x in maps] for d in (2, 3))
    start, h, w = (jnp.asarray(n, jnp.int32)[levels] for n in (starts, heights, widths))
    scale = jnp.asarray(scales, boxes.dtype)[levels][:, None]
    moved = jnp.concatenate([boxes[:, :1], boxes[:, 1:] * scale], 1)
    index, top, height, left, width = _regions(moved, 1.0, 0.0)
    height, width = jnp.maximum(height, 1), jnp.maximum(width, 1)
    grid = jnp.full_like(height, sampling)
    ys = _clamped(_samples(top, height, bins[0], grid, sampling), h.astype(boxes.dtype))
    xs = _clamped(_samples(left, width, bins[1], grid, sampling), w.astype(boxes.dtype))
    rows = jnp.concatenate([_rows(_float(x)) for x in maps])
    sums = _gathered(rows, start + index * h * w, h, w, ys, xs)
    return (sums / sampling**2).astype(maps[0].dtype)


def _by_position(x: Any, bins: tuple[int, int]) -> Any:
    """(N, C * bins, H, W) to (N, C, *bins, H, W)."""
    batch, channels, height, width = x.shape
    return x.reshape(batch, channels // (bins[0] * bins[1]), *bins, height, width)


def _position_sums(x: Any, index: Any, along_y: Any, along_x: Any, bins: Any) -> Any:
    split = _by_position(x, bins)

    def one(b: Any, rows: Any, columns: Any) -> Any:
        half = jnp.einsum("ih,cijhw->cijw", rows, split[b])
        return jnp.einsum("cijw,jw->cij", half, columns)

    return _map(one, index, along_y, along_x)


@op("none", into=("internal",), grad_name="PsRoiAlignBackward0", name="vision_ps_roi_align")
def ps_roi_align(
    input: Tensor, rois: Tensor, scale: float, bins: tuple[int, int], sampling: int, bound: int
) -> Any:
    """As roi_align, each bin reading channels of its own: (K, C / bins, *bins)."""
    x, boxes = _float(input), jax.lax.stop_gradient(_float(rois))
    if boxes.shape[0] == 0:
        return jnp.zeros((0, x.shape[1] // (bins[0] * bins[1]), *bins), input.dtype)
    index, top, height, left, width = _regions(boxes, scale, 0.5)
    grid_y, grid_x = _grids(height, width, bins, sampling)
    ys = _clamped(_samples(top, height, bins[0], grid_y, bound), x.shape[2])
    xs = _clamped(_samples(left, width, bins[1], grid_x, bound), x.shape[3])
    sums = _position_sums(x, index, _hats(ys, x.shape[2]), _hats(xs, x.shape[3]), bins)
    return (sums / (grid_y * grid_x)[:, None, None, None].astype(sums.dtype)).astype(input.dtype)


def _round(x: Any) -> Any:
    """To the nearest whole number, halves away from zero, as C rounds."""
    return jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


def _edges(start: Any, size: Any, bins: int, length: int) -> tuple[Any, Any]:
    """First pixel and end of each bin, (K, bins), within [0, length]."""
    step = (size / bins)[:, None]
    k = jnp.arange(bins, dtype=start.dtype)
    low = jnp.clip(jnp.floor(k * step) + start[:, None], 0, length)
    high = jnp.clip(jnp.ceil((k + 1) * step) + start[:, None], 0, length)
    return low, high


def _inside(low: Any, high: Any, length: int) -> Any:
    pixels = jnp.arange(length, dtype=low.dtype)
    return (pixels >= low[..., None]) & (pixels < high[..., None])


@op("none", into=("internal",), grad_name="RoiPoolBackward0", name="vision_roi_pool")
def roi_pool(input: Tensor, rois: Tensor, scale: float, bins: tuple[int, int]) -> Any:
    """The greatest value of each bin, 0 for an empty one: (K, C, *bins).

    The gradient goes to the first greatest pixel in row-major order.
    """
    boxes = jax.lax.stop_gradient(rois)
    channels, height, width = input.shape[1:]
    if boxes.shape[0] == 0:
        return jnp.zeros((0, channels, *bins), input.dtype)
    index = boxes[:, 0].astype(jnp.int32)
    left, top, right, bottom = _round(boxes[:, 1:] * jnp.asarray(scale, boxes.dtype)).T
    tall, wide = jnp.maximum(bottom - top + 1, 1), jnp.maximum(right - left + 1, 1)
    in_y = _inside(*_edges(top, tall, bins[0], height), height)
    in_x = _inside(*_edges(left, wide, bins[1], width), width)
    lowest = jnp.finfo(input.dtype).min

    def one(b: Any, rows: Any, columns: Any) -> Any:
        x = input[b]
        seen = jax.lax.stop_gradient(x)
        masked = jnp.where(columns[None, None], seen[:, :, None], lowest)  # (C, H, j, W)
        best_x, in_row = masked.argmax(-1), masked.max(-1)  # (C, H, j)
        over_y = jnp.where(rows[None, :, :, None], in_row[:, None], lowest)  # (C, i, H, j)
        best_y = over_y.argmax(2)  # (C, i, j)
        chosen_x = jnp.take_along_axis(best_x, best_y, 1)
        flat = best_y * width + chosen_x
        found = jnp.take_along_axis(x.reshape(channels, -1), flat.reshape(channels, -1), 1)
        full = rows.any(-1)[:, None] & columns.any(-1)[None]
        return jnp.where(full, found.reshape(channels, *bins), 0)

    return _map(one, index, in_y, in_x)


@op("none", into=("internal",), grad_name="PsRoiPoolBackward0", name="vision_ps_roi_pool")
def ps_roi_pool(input: Tensor, rois: Tensor, scale: float, bins: tuple[int, int]) -> Any:
    """The mean of each bin, which reads channels of its own: (K, C / bins, *bins).

    The last row and column of the map are never read, as in torchvision.
    """
    boxes = jax.lax.stop_gradient(rois)
    height, width = input.shape[2:]
    if boxes.shape[0] == 0:
        return jnp.zeros((0, input.shape[1] // (bins[0] * bins[1]), *bins), input.dtype)
    index = boxes[:, 0].astype(jnp.int32)
    left, top, right, bottom = _round(boxes[:, 1:] * jnp.asarray(scale, boxes.dtype)).T
    tall, wide = jnp.maximum(bottom - top, 1), jnp.maximum(right - left, 1)
    in_y = _inside(*_edges(top, tall, bins[0], height - 1), height).astype(input.dtype)
    in_x = _inside(*_edges(left, wide, bins[1], width - 1), width).astype(input.dtype)
    area = in_y.sum(-1)[:, :, None] * in_x.sum(-1)[:, None, :]
    sums = _position_sums(input, index, in_y, in_x, bins)
    return sums / jnp.maximum(area, 1)[:, None]


def _pixel_values(x: Any, at: list[Any]) -> Any:
    """x (G, C, H, W) at fractional places (G, P), each corner outside the map counting 0."""
    groups, channels, height, width = x.shape
    rows = jnp.transpose(x, (0, 2, 3, 1)).reshape(groups, height * width, channels)
    near = [jnp.floor(a) for a in at]
    total: Any = 0
    for dy in (0, 1):
        for dx in (0, 1):
            y, x_ = near[0] + dy, near[1] + dx
            weight = (1 - jnp.abs(at[0] - y)) * (1 - jnp.abs(at[1] - x_))
            inside = (y >= 0) & (y < height) & (x_ >= 0) & (x_ < width)
            flat = jnp.clip(y, 0, height - 1) * width + jnp.clip(x_, 0, width - 1)
            found = jnp.take_along_axis(rows, flat.astype(jnp.int32)[..., None], 1)
            total = total + jnp.where(inside, weight, 0)[..., None] * found
    return jnp.swapaxes(total, 1, 2)  # (G, C, P)


@op("none", into=("internal",), grad_name="DeformConv2DBackward0", name="vision_deform_conv2d")
def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: OptTensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    out: tuple[int, int],
) -> Any:
    """The kernel's taps read the input at their places plus `offset`, weighed by `mask`."""
    batch, channels, height, width = input.shape
    out_channels, per_group, kh, kw = weight.shape
    taps, places = kh * kw, out[0] * out[1]
    parts = offset.shape[1] // (2 * taps)
    moved = offset.reshape(batch * parts, taps, 2, *out)
    starts = [jnp.arange(n) * s - p for n, s, p in zip(out, stride, padding, strict=True)]
    steps = [jnp.arange(k) * d for k, d in zip((kh, kw), dilation, strict=True)]
    base_y = starts[0][None, None, :, None] + steps[0][:, None, None, None]
    base_x = starts[1][None, None, None, :] + steps[1][None, :, None, None]
    grid = jnp.broadcast_shapes(base_y.shape, base_x.shape)
    at = [
        (jnp.broadcast_to(base, grid).reshape(1, taps, *out) + moved[:, :, axis]).reshape(
            batch * parts, taps * places
        )
        for axis, base in enumerate((base_y, base_x))
    ]
    x = input.reshape(batch * parts, channels // parts, height, width)
    columns = _pixel_values(x, at).reshape(batch, parts, channels // parts, taps, places)
    if mask is not None:
        columns = columns * mask.reshape(batch, parts, 1, taps, places)
    groups = channels // per_group
    columns = columns.reshape(batch, groups, per_group * taps, places)
    kernel = weight.reshape(groups, out_channels // groups, per_group * taps)
    result = jnp.einsum("goc,bgcp->bgop", kernel, columns)
    return result.reshape(batch, out_channels, *out)
