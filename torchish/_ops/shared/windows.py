"""Sliding windows over the last dimensions: sizes, checks, and separable passes over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

COUNTS = {1: "one", 2: "two", 3: "three"}


class Windows(NamedTuple):
    """Sliding windows: one entry a spatial dimension; `output` is the number of windows."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    output: tuple[int, ...]


def per_dim(value: Any, nd: int, name: str, argument: str) -> tuple[int, ...]:
    """`value` as one number a dimension.

    Raises: RuntimeError in torch's words when its length fits neither 1 nor `nd`.
    """
    if isinstance(value, int):
        return (value,) * nd
    value = tuple(int(v) for v in value)
    if len(value) == 1:
        return value * nd
    if len(value) != nd:
        if nd == 1:
            article = {
                "stride": "None, an int, list of ints, or tuple of ints",
            }.get(argument, "an int, list of ints or tuple of ints")
            raise RuntimeError(
                f"{name}() {argument} must be {article} of size 1 but got size {len(value)}"
            )
        if argument == "stride":
            form = f"either be omitted, a single int, or a tuple of {COUNTS[nd]} ints"
        elif name.startswith("avg_pool3d"):
            form = f"be a single int, or a tuple of {COUNTS[nd]} ints"
        else:
            form = f"either be a single int, or a tuple of {COUNTS[nd]} ints"
        raise RuntimeError(f"{name}: {argument} must {form}")
    return value


def window_count(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """How many windows fit; with ceil_mode the last one may hang over, but must start inside."""
    room = n + 2 * p - d * (k - 1) - 1
    count = (-(-room // s) if ceil_mode else room // s) + 1
    if ceil_mode and (count - 1) * s >= n + p:
        count -= 1
    return count


def windows(
    name: str, nd: int, size: Sequence[int], kernel: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Windows:  # fmt: skip
    """The windows of a pooling call; an empty stride means the kernel's size."""
    kernel = per_dim(kernel, nd, name, "kernel_size")
    stride = kernel if stride in (None, ()) else per_dim(stride, nd, name, "stride")
    padding = per_dim(padding, nd, name, "padding")
    dilation = per_dim(dilation, nd, name, "dilation")
    if 0 in stride:
        raise RuntimeError("stride should not be zero")
    if min(kernel) <= 0:
        labels = ("kT", "kH", "kW")[3 - nd :]
        text = " ".join(f"{a}: {k}" for a, k in zip(labels, kernel, strict=True))
        raise RuntimeError(f"kernel size should be greater than zero, but got {text}")
    if min(stride) < 0:
        labels = ("dT", "dH", "dW")[3 - nd :]
        text = " ".join(f"{a}: {k}" for a, k in zip(labels, stride, strict=True))
        raise RuntimeError(f"stride should be greater than zero, but got {text}")
    if min(dilation) <= 0:
        labels = ("dilationT", "dilationH", "dilationW")[3 - nd :]
        text = " ".join(f"{a}: {k}" for a, k in zip(labels, dilation, strict=True))
        raise RuntimeError(f"dilation should be greater than zero, but got {text}")
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={k} and dilation={d}"
            )
    output = tuple(
        window_count(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    return Windows(tuple(size), kernel, stride, padding, dilation, output)


def check_output(channels: int, win: Windows) -> None:
    """Raise torch's error when no window fits."""
    if min(win.output) < 1:
        size, out = ((channels, *d) for d in (win.size, win.output))
        raise RuntimeError(
            f"Given input size: ({'x'.join(map(str, size))}). Calculated output size: "
            f"({'x'.join(map(str, out))}). Output size is too small"
        )


def taps(x: Any, axis: int, win: Windows, dim: int, fill: Any) -> list[Any]:
    """x at the first, second … element of every window along one dimension."""
    n, k, s, p, d, out = (part[dim] for part in win)
    reach = (out - 1) * s + d * (k - 1) + 1
    after = max(reach - n - p, 0)
    if p or after:
        pads = [(0, 0, 0)] * x.ndim
        pads[axis] = (p, after, 0)
        x = lax.pad(x, jnp.asarray(fill, x.dtype), pads)
    return [lax.slice_in_dim(x, j * d, j * d + (out - 1) * s + 1, s, axis=axis) for j in range(k)]


def tiles(win: Windows) -> bool:
    """Whether the windows cover the input exactly once."""
    return (
        win.kernel == win.stride
        and not any(win.padding)
        and set(win.dilation) == {1}
        and all(n == o * k for n, o, k in zip(win.size, win.output, win.kernel, strict=True))
    )


def window_sum(x: Any, win: Windows) -> Any:
    """The sum over each window; one pass a dimension."""
    nd = len(win.size)
    first = x.ndim - nd
    if tiles(win):
        split = [v for o, k in zip(win.output, win.kernel, strict=True) for v in (o, k)]
        x = x.reshape(*x.shape[:first], *split)
        return x.sum(tuple(first + 2 * d + 1 for d in range(nd)), dtype=x.dtype)
    for dim in range(nd):
        parts = taps(x, first + dim, win, dim, 0)
        x = parts[0]
        for part in parts[1:]:
            x = x + part
    return x


def window_counts(win: Windows, include_pad: bool) -> Any:
    """How many elements each window averages over (padding counts, overhang does not)."""
    import numpy as np

    result: Any = np.ones((), np.int64)
    for n, k, s, p, out in zip(
        win.size, win.kernel, win.stride, win.padding, win.output, strict=True
    ):
        start = np.arange(out) * s - p
        end = np.minimum(start + k, n + p)
        if not include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, n)
        result = result[..., None] * (end - start)
    return result


def area(win: Windows) -> int:
    """Elements in a whole window."""
    return math.prod(win.kernel)
