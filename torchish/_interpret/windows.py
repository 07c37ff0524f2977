"""Convolutions and pooling windows in numpy: patches by strides, products by BLAS.

`convolve`, `convolve_input_grad` and `convolve_weight_grad` are the three partial maps of the
trilinear form <conv(x, w), g>, each for any number of spatial dimensions; patches are laid out a
few samples at a time so that they stay in the cache.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .reductions import highest, lowest
from .table import Array, Run, is_half, rule

# Bytes of patches made at a time.
PATCH_BYTES = 1 << 22
# Outputs of one sample below which samples share one matrix product.
SMALL_AREA = 128
# Terms of a sum that BLAS adds up in one go: longer sums are added in pieces, as PyTorch's kernels
# do, which makes a convolution's error two to three times smaller. Those of up to two pieces are
# added in float64: where terms cancel, as those of smooth images do, BLAS leaves three times
# PyTorch's error, and so short a sum costs less than laying out its patches. Sums of one piece are
# as exact as PyTorch's already, the shortest of them equal bit by bit.
TERMS = 64

Pairs = Sequence[tuple[int, int]]


def padded(x: Array, pads: Pairs, value: Any = 0) -> Array:
    """`x` with `pads` at the ends of its last dimensions; negative ones cut."""
    if all(p == (0, 0) for p in pads):
        return x
    lead = x.ndim - len(pads)
    shape = x.shape[:lead] + tuple(
        n + a + b for n, (a, b) in zip(x.shape[lead:], pads, strict=True)
    )
    made = np.full(shape, value, x.dtype)
    into: list[Any] = [slice(None)] * lead
    out_of: list[Any] = [slice(None)] * lead
    for n, (a, b) in zip(x.shape[lead:], pads, strict=True):
        into.append(slice(max(a, 0), max(a, 0) + max(n + min(a, 0) + min(b, 0), 0)))
        out_of.append(slice(max(-a, 0), max(-a, 0) + max(n + min(a, 0) + min(b, 0), 0)))
    made[tuple(into)] = x[tuple(out_of)]
    return made


def spread(x: Array, dilation: Sequence[int], value: Any = 0) -> Array:
    """`x` with zeros (or `value`) between the elements of its last dimensions."""
    if all(d == 1 for d in dilation):
        return x
    lead = x.ndim - len(dilation)
    shape = x.shape[:lead] + tuple(
        max((n - 1) * d + 1, 0) for n, d in zip(x.shape[lead:], dilation, strict=True)
    )
    made = np.full(shape, value, x.dtype)
    where: Any = (..., *[slice(None, None, d) for d in dilation])
    made[where] = x
    return made


def _windows(
    x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int],
    output: Sequence[int],
) -> Array:  # fmt: skip
    """The view x[..., *kernel, *output] of all patches of the last dimensions."""
    lead = x.ndim - len(kernel)
    steps = x.strides[lead:]
    return np.lib.stride_tricks.as_strided(
        x,
        x.shape[:lead] + tuple(kernel) + tuple(output),
        x.strides[:lead]
        + tuple(s * d for s, d in zip(steps, dilation, strict=True))
        + tuple(s * t for s, t in zip(steps, stride, strict=True)),
        writeable=False,
    )


def _chunks(count: int, bytes_each: int, joined: bool = False) -> Iterator[slice]:
    size = max(1, (4 if joined else 1) * PATCH_BYTES // max(bytes_each, 1))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _single(x: Array) -> Array:
    return x.astype(np.float32) if is_half(x.dtype) else x


def _product(a: Array, b: Array, out: Array | None = None) -> Array:
    """The matrix product, its sums over TERMS terms at a time or, for up to two pieces, float64."""
    count = a.shape[-1]
    if TERMS < count < 2 * TERMS and a.dtype == np.float32:
        return _stored(np.matmul(a.astype(np.float64), b.astype(np.float64)), out)
    if count < 2 * TERMS:
        return np.matmul(a, b, out=out) if out is not None else np.asarray(np.matmul(a, b))
    starts = range(0, count, TERMS)
    total = np.matmul(a[..., :TERMS], b[..., :TERMS, :], out=out)
    part = np.empty_like(total)
    for k in starts[1:]:
        total += np.matmul(a[..., k : k + TERMS], b[..., k : k + TERMS, :], out=part)
    return total


def _stored(made: Array, out: Array | None) -> Array:
    """A sum in float64 as float32, in `out` where that is given."""
    if out is None:
        return made.astype(np.float32)
    out[...] = made
    return out


def convolve(
    x: Array, w: Array, stride: Sequence[int], pads: Pairs, dilation: Sequence[int], groups: int,
    output: Sequence[int],
) -> Array:  # fmt: skip
    """y[N, O, *output] from x[N, C, *size] and w[O, C / groups, *kernel]."""
    dtype = x.dtype
    x, w = padded(_single(x), pads), _single(w)
    n, channels, kernel = x.shape[0], w.shape[1], w.shape[2:]
    area, taps = math.prod(output), math.prod(kernel)
    weights = w.reshape(groups, w.shape[0] // groups, channels * taps)
    made = np.empty((n, groups, weights.shape[1], area), x.dtype)
    patches = _windows(x, kernel, stride, dilation, output)
    joined = area < SMALL_AREA
    for part in _chunks(n, x.shape[1] * taps * area * x.itemsize, joined):
        columns = patches[part]
        if joined:
            count = columns.shape[0]
            columns = np.moveaxis(columns, 0, 1 + len(kernel))
            columns = columns.reshape(groups, channels * taps, count * area)
            product = _product(weights, columns)
            product = product.reshape(groups, weights.shape[1], count, area)
            made[part] = product.transpose(2, 0, 1, 3)
        else:
            count = columns.shape[0]
            columns = columns.reshape(count, groups, channels * taps, area)
            _product(weights, columns, made[part])
    return made.reshape(n, w.shape[0], *output).astype(dtype, copy=False)


def convolve_input_grad(
    g: Array, w: Array, size: Sequence[int], stride: Sequence[int], pads: Pairs,
    dilation: Sequence[int], groups: int,
) -> Array:  # fmt: skip
    """x[N, C, *size] from g[N, O, *output] and w: each patch's gradient is added in place."""
    dtype = g.dtype
    g, w = _single(g), _single(w)
    n, channels, kernel, output = g.shape[0], w.shape[1], w.shape[2:], g.shape[2:]
    area, taps = math.prod(output), math.prod(kernel)
    weights = w.reshape(groups, w.shape[0] // groups, channels * taps).swapaxes(1, 2)
    weights = np.ascontiguousarray(weights)
    extents = tuple(s + max(a, 0) + max(b, 0) for s, (a, b) in zip(size, pads, strict=True))
    # Negative padding: the patches lie inside, offset by what was cut.
    base = [max(-a, 0) for a, _ in pads]
    whole = np.zeros((n, groups * channels, *extents), g.dtype)
    grads = g.reshape(n, groups, weights.shape[2], area)
    joined = area < SMALL_AREA
    for part in _chunks(n, groups * channels * taps * area * g.itemsize, joined):
        if joined:
            rows = grads[part].transpose(1, 2, 0, 3)
            count = rows.shape[2]
            columns = _product(weights, rows.reshape(groups, rows.shape[1], count * area))
            columns = columns.reshape(groups * channels, taps, count, *output)
            columns = np.moveaxis(columns, 2, 0)
        else:
            columns = _product(weights, grads[part])
            columns = columns.reshape(columns.shape[0], groups * channels, taps, *output)
        for k, at in enumerate(itertools.product(*map(range, kernel))):
            where = tuple(
                slice(o + i * d, o + i * d + (m - 1) * s + 1 if m else o + i * d, s)
                for o, i, d, s, m in zip(base, at, dilation, stride, output, strict=True)
            )
            whole[(part, slice(None), *where)] += columns[:, :, k]
    cut = tuple(slice(max(a, 0), max(a, 0) + s) for s, (a, _) in zip(size, pads, strict=True))
    return whole[(slice(None), slice(None), *cut)].astype(dtype, copy=False)


def convolve_weight_grad(
    x: Array, g: Array, kernel: Sequence[int], stride: Sequence[int], pads: Pairs,
    dilation: Sequence[int], groups: int,
) -> Array:  # fmt: skip
    """w[O, C / groups, *kernel] from x[N, C, *size] and g[N, O, *output]."""
    dtype = g.dtype
    x, g = padded(_single(x), pads), _single(g)
    n, output = x.shape[0], g.shape[2:]
    channels, outs = x.shape[1] // groups, g.shape[1] // groups
    area, taps = math.prod(output), math.prod(kernel)
    patches = _windows(x, kernel, stride, dilation, output)
    total = np.zeros((groups, outs, channels * taps), g.dtype)
    grads = g.reshape(n, groups, outs, area)
    for part in _chunks(n, x.shape[1] * taps * area * x.itemsize):
        # One product a group: (outs, samples x area) times (samples x area, channels x taps).
        columns = patches[part]
        count = columns.shape[0]
        columns = columns.reshape(count, groups, channels * taps, area)
        left = grads[part].transpose(1, 2, 0, 3).reshape(groups, outs, count * area)
        if count == 1:
            right = columns[0].swapaxes(1, 2)
        else:
            right = columns.transpose(1, 0, 3, 2).reshape(groups, count * area, channels * taps)
        total += _product(left, right)
    return total.reshape(groups * outs, channels, *kernel).astype(dtype, copy=False)


@rule("conv_general_dilated")
def _conv_general_dilated(
    params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]
) -> Run | None:
    numbers = params["dimension_numbers"]
    groups, batches = params["feature_group_count"], params["batch_group_count"]
    dtype = outs[0].dtype
    output = [outs[0].shape[d] for d in numbers.out_spec[2:]]
    back = np.argsort(numbers.out_spec)

    def one(x: Array, w: Array, groups: int) -> Array:
        x = spread(x, params["lhs_dilation"])
        return convolve(
            x, w, params["window_strides"], params["padding"], params["rhs_dilation"], groups,
            output,
        )  # fmt: skip

    def run(x: Array, w: Array) -> Array:
        x, w = x.transpose(numbers.lhs_spec), w.transpose(numbers.rhs_spec)
        if batches == 1:
            y = one(x, w, groups)
        else:
            # Group k of the batch meets group k of the kernels' outputs.
            x, w = (np.ascontiguousarray(part) for part in (x, w))
            parts = zip(np.split(x, batches), np.split(w, batches), strict=True)
            y = np.concatenate([one(a, b, 1) for a, b in parts], 1)
        return y.transpose(back).astype(dtype, copy=False)

    return run


# --- pooling --------------------------------------------------------------------------------------


def _positions(
    at: Sequence[int], stride: Sequence[int], dilation: Sequence[int], output: Sequence[int]
) -> tuple[slice, ...]:
    return tuple(
        slice(i * d, i * d + (m - 1) * s + 1 if m else i * d, s)
        for i, d, s, m in zip(at, dilation, stride, output, strict=True)
    )


def _reduce_window(ufunc: Any, identity: Any) -> Any:
    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        window, stride = params["window_dimensions"], params["window_strides"]
        pads, base = params["padding"], params["base_dilation"]
        dilation, shape, dtype = params["window_dilation"], outs[0].shape, outs[0].dtype
        initial = identity(dtype)

        def run(x: Array) -> Array:
            if is_half(dtype) and ufunc is np.add:
                x = x.astype(np.float32)
            if any(d != 1 for d in base):
                full = [max((n - 1) * d + 1, 0) for n, d in zip(x.shape, base, strict=True)]
                wide = np.full(full, initial, x.dtype)
                wide[tuple(slice(None, None, d) for d in base)] = x
                x = wide
            x = padded(x, pads, initial)
            # Windows are boxes: one dimension after the other.
            for axis, size in enumerate(window):
                x = _along(x, axis, size, stride[axis], dilation[axis], shape[axis])
            return x.astype(dtype, copy=False)

        def _along(x: Array, axis: int, size: int, step: int, gap: int, count: int) -> Array:
            if size == 1 and step == 1 and x.shape[axis] == count:
                return x
            made = None
            for k in range(size):
                where = [slice(None)] * x.ndim
                where[axis] = slice(k * gap, k * gap + (count - 1) * step + 1 if count else 0, step)
                part = x[tuple(where)]
                made = part if made is None else ufunc(made, part)
            return x[tuple(slice(0, 0) for _ in x.shape)] if made is None else made

        return run

    return make


rule("reduce_window_max")(_reduce_window(np.maximum, lowest))
rule("reduce_window_min")(_reduce_window(np.minimum, highest))
rule("reduce_window_sum")(_reduce_window(np.add, lambda dtype: np.zeros((), dtype)))


@rule("select_and_scatter_add")
def _select_and_scatter_add(
    params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]
) -> Run | None:
    select = params["select_prim"].name
    window, stride, pads = (
        params["window_dimensions"], params["window_strides"], params["padding"],
    )  # fmt: skip
    if select not in ("ge", "le"):
        return None
    output, size, dtype = ins[0].shape, ins[1].shape, outs[0].dtype
    better, initial = (np.greater, lowest) if select == "ge" else (np.less, highest)
    ones = [1] * len(window)

    def run(source: Array, operand: Array) -> Array:
        x = padded(operand, pads, initial(operand.dtype))
        offsets = list(itertools.product(*map(range, window)))
        best: Any = None
        chosen: Any = None
        for k, at in enumerate(offsets):
            part = x[_positions(at, stride, ones, output)]
            if best is None:
                best, chosen = part, np.zeros(output, np.int64)
                continue
            # XLA keeps the selected one while `select(selected, next)` holds; NaN never does.
            wins = better(part, best) | np.isnan(part) | np.isnan(best)
            best, chosen = np.where(wins, part, best), np.where(wins, k, chosen)
        made = np.zeros(x.shape, np.float32 if is_half(dtype) else dtype)
        for k, at in enumerate(offsets):
            made[_positions(at, stride, ones, output)] += np.where(chosen == k, source, 0)
        inside = tuple(slice(a, a + n) for (a, _), n in zip(pads, size, strict=True))
        return made[inside].astype(dtype, copy=False)

    return run
