"""The three convolution maps of `conv_primitive`, in the formulations XLA's CPU backend runs fast.

Each falls back on XLA's own convolution; figures for every choice are in docs/performance.md.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from . import onednn
from .xla_maps import ConvShape, xla_conv, xla_input_grad, xla_weight_grad

CHANNELS_LAST = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC")}
CHANNELS_LAST[3] = ("NDHWC", "DHWIO", "NDHWC")

# Below this many channels a stride-residue convolution is mostly overhead.
FEWEST_CHANNELS = 16
# Grouped convolutions become one convolution a group up to this many groups.
MOST_GROUPS = 64
# Samples a weight gradient takes at a time: its patches then stay in the cache. Small images
# (less than CHUNK_AREA outputs) afford more, since every piece writes the whole gradient.
CHUNK, CHUNK_SMALL, CHUNK_AREA, MOST_CHUNKS = 16, 32, 64, 8


def is_onednns(kind: int, a: Any, w: Any, geo: ConvShape) -> bool:
    """Whether `conv` or `input_grad`, as `kind` says, of these operands is oneDNN's."""
    if _covers_input(geo) or (kind == onednn.FORWARD and _is_depthwise(w, geo)):
        return False
    return onednn.takes(kind, a, w, geo)


def conv(x: Any, w: Any, geo: ConvShape) -> Any:
    """y from x and w."""
    if _covers_input(geo):
        y = jnp.matmul(x.reshape(x.shape[0], -1), w.reshape(w.shape[0], -1).T)
        return y.reshape(x.shape[0], w.shape[0], *geo.output)
    if _is_depthwise(w, geo):
        return _depthwise(x, w, geo)
    if is_onednns(onednn.FORWARD, x, w, geo):
        return onednn.conv(onednn.FORWARD, x, w, geo)
    if 1 < geo.groups <= MOST_GROUPS:
        parts = _by_group(geo, (x, 1), (w, 0))
        return jnp.concatenate([xla_conv(a, b, geo._replace(groups=1)) for a, b in parts], 1)
    return xla_conv(x, w, geo)


def input_grad(g: Any, w: Any, geo: ConvShape) -> Any:
    """x from g and w."""
    if _covers_input(geo):
        x = jnp.matmul(g.reshape(g.shape[0], -1), w.reshape(w.shape[0], -1))
        return x.reshape(g.shape[0], w.shape[1], *geo.size)
    if is_onednns(onednn.INPUT_GRAD, g, w, geo):
        return onednn.conv(onednn.INPUT_GRAD, g, w, geo)
    if _is_depthwise(w, geo):
        like = jax.ShapeDtypeStruct((g.shape[0], geo.groups, *geo.size), g.dtype)
        return jax.linear_transpose(lambda x: _depthwise(x, w, geo), like)(g)[0]
    if 1 < geo.groups <= MOST_GROUPS:
        one = geo._replace(groups=1)
        parts = [input_grad(a, b, one) for a, b in _by_group(geo, (g, 1), (w, 0))]
        return jnp.concatenate(parts, 1)
    if _splits_by_stride(geo) and min(w.shape[:2]) >= FEWEST_CHANNELS:
        return _input_grad_by_residue(g, w, geo)
    return xla_input_grad(g, w, geo)


def weight_grad(x: Any, g: Any, geo: ConvShape) -> Any:
    """w from x and g."""
    if _covers_input(geo):
        w = jnp.matmul(g.reshape(g.shape[0], -1).T, x.reshape(x.shape[0], -1))
        return w.reshape(g.shape[1], x.shape[1], *geo.kernel)
    if onednn.takes(onednn.WEIGHT_GRAD, x, g, geo):
        return onednn.conv(onednn.WEIGHT_GRAD, x, g, geo)
    if 1 < geo.groups <= MOST_GROUPS and x.shape[1] > geo.groups:
        one = geo._replace(groups=1)
        parts = [weight_grad(a, b, one) for a, b in _by_group(geo, (x, 1), (g, 1))]
        return jnp.concatenate(parts, 0)
    size = CHUNK_SMALL if math.prod(geo.output) < CHUNK_AREA else CHUNK
    size = max(size, -(-x.shape[0] // MOST_CHUNKS))
    if geo.groups > 1 or x.shape[0] <= size:
        return xla_weight_grad(x, g, geo)
    wide = jnp.promote_types(x.dtype, jnp.float32)  # half precision sums in float32
    total: Any = None
    for k in range(0, x.shape[0], size):
        part = xla_weight_grad(x[k : k + size], g[k : k + size], geo).astype(wide)
        total = part if total is None else total + part
    return total.astype(x.dtype)


def _by_group(geo: ConvShape, *operands: tuple[Any, int]) -> Any:
    return zip(*(jnp.split(x, geo.groups, axis) for x, axis in operands), strict=True)


def _is_depthwise(w: Any, geo: ConvShape) -> bool:
    return geo.groups > 1 and w.shape[1] == 1 and math.prod(geo.kernel) <= 49


def _depthwise(x: Any, w: Any, geo: ConvShape) -> Any:
    """Each channel by its own kernels: a sum of shifted products, which XLA fuses into one loop.

    Half precision accumulates in float32, as PyTorch's does.
    """
    nd, dtype = len(geo.size), x.dtype
    if jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < 4:
        x, w = x.astype(jnp.float32), w.astype(jnp.float32)
    pads = [(0, 0), (0, 0)]
    for n, k, s, p, d, out in zip(*geo[:5], geo.output, strict=True):
        reach = (out - 1) * s + d * (k - 1) + 1
        pads.append((p[0], reach - n - p[0]))
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, [(lo, hi, 0) for lo, hi in pads])
    each = w.shape[0] // geo.groups
    kernels = w.reshape(geo.groups, each, *geo.kernel)
    total: Any = None
    for tap in product(*map(range, geo.kernel)):
        window = tuple(
            slice(t * d, t * d + (out - 1) * s + 1, s)
            for t, d, s, out in zip(tap, geo.dilation, geo.stride, geo.output, strict=True)
        )
        part = x[(slice(None), slice(None), *window)]
        part = part[:, :, None] * kernels[(..., *tap)].reshape(geo.groups, each, *(1,) * nd)
        total = part if total is None else total + part
    return total.reshape(x.shape[0], w.shape[0], *geo.output).astype(dtype)


def _covers_input(geo: ConvShape) -> bool:
    """The kernel lies on the whole input once: a plain matrix product."""
    return (
        geo.groups == 1
        and geo.size == geo.kernel
        and not any(map(any, geo.padding))
        and all(n == 1 or d == 1 for n, d in zip(geo.size, geo.dilation, strict=True))
    )


def _splits_by_stride(geo: ConvShape) -> bool:
    return (
        geo.groups == 1
        and max(geo.stride) > 1
        and set(geo.dilation) == {1}
        and all(k >= s for k, s in zip(geo.kernel, geo.stride, strict=True))
        and all(n > 1 for n in geo.output)
    )


def _residue(n: int, out: int, k: int, s: int, lo: int, r: int) -> tuple[int, int, int, int]:
    """Where x[r::s] comes from: first tap, number of taps, and the padding of g that aligns them.

    x[i] = sum over t of w[t] g[(i + lo - t) / s], so only taps t = (i + lo) mod s take part.
    """
    first = (r + lo) % s
    taps = len(range(first, k, s))
    count = len(range(r, n, s))
    top = (r + lo - first) // s  # index into g of the first tap for the first element
    return first, taps, taps - 1 - top, top + count - out


def _input_grad_by_residue(g: Any, w: Any, geo: ConvShape) -> Any:
    """x as prod(stride) small stride-1 convolutions, one a residue of the index, interleaved.

    XLA's own form convolves with zeros put between the elements of g: 1.1 to 1.9 times slower.
    """
    nd = len(geo.size)
    last = jnp.moveaxis(g, 1, -1)
    padded = tuple(-(-n // s) * s for n, s in zip(geo.size, geo.stride, strict=True))
    flip = tuple(slice(None, None, -1) for _ in range(nd))
    parts = []
    for residues in product(*map(range, geo.stride)):
        rows = [
            _residue(n, o, k, s, p[0], r)
            for n, o, k, s, p, r in zip(
                padded, geo.output, geo.kernel, geo.stride, geo.padding, residues, strict=True
            )
        ]
        taps = tuple(slice(first, None, s) for (first, *_), s in zip(rows, geo.stride, strict=True))
        kernel = jnp.moveaxis(w[(slice(None), slice(None), *taps)], (0, 1), (-2, -1))[flip]
        parts.append(
            lax.conv_general_dilated(
                last,
                kernel,
                window_strides=(1,) * nd,
                padding=[(lo, hi) for *_, lo, hi in rows],
                dimension_numbers=CHANNELS_LAST[nd],
                preferred_element_type=g.dtype,
            )
        )
    counts = [n // s for n, s in zip(padded, geo.stride, strict=True)]
    x = jnp.stack(parts).reshape(*geo.stride, g.shape[0], *counts, w.shape[1])
    # stride..., N, count..., C -> N, C, (count, stride)...
    order = [nd, 2 * nd + 1]
    for axis in range(nd):
        order += [nd + 1 + axis, axis]
    x = x.transpose(order).reshape(g.shape[0], w.shape[1], *padded)
    return x[(slice(None), slice(None), *(slice(n) for n in geo.size))]
