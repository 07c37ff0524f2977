"""Pooling whose windows follow from the output size: adaptive and fractional."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..registry import Tensor, composite, internal, op, ops
from ..shared import numeric as num
from ..shared.memory_format import follow_spatial
from .winners import at_winners

_F = ("nn.functional",)


def _bounds(n: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """First and one-past-last element of each of `out` windows that cover n elements."""
    k = np.arange(out)
    return k * n // out, -(-((k + 1) * n) // out)


def _output_size(name: str, value: Any, x: Any, nd: int) -> tuple[int, ...]:
    """The output size; None keeps the input's.

    Raises: torch's error for another number of entries.
    """
    sizes = (value,) * nd if not isinstance(value, tuple) else value
    if len(sizes) == 1:
        sizes = sizes * nd
    if nd == 1:
        if None in sizes:
            raise TypeError(
                f"{name}(): argument 'output_size' (position 2) must be tuple of ints, but found "
                "element of type NoneType at pos 0"
            )
        if len(sizes) != 1:
            raise RuntimeError(
                f"{name}() argument 'output_size' should contain one int (got {len(sizes)})"
            )
    elif len(sizes) != nd:
        if "max" in name:
            raise RuntimeError(f"{name}(): internal error: output_size.size() must be {nd}")
        raise RuntimeError(f"{name}: output_size must be {nd}")
    size = x.shape[max(x.ndim - nd, 0) :]
    return tuple(n if s is None else int(s) for s, n in zip(sizes, size, strict=False))


def _check_dims(name: str, x: Any, nd: int) -> None:
    if x.ndim in (nd + 1, nd + 2):
        return
    if nd == 1:
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {x.ndim}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {name})"
        )
    colon = ":" if "max" in name else ""
    raise RuntimeError(
        f"{name}(): Expected {nd + 1}D or {nd + 2}D tensor, but got{colon} {list(x.shape)}"
    )


def _check_negative(name: str, sizes: tuple[int, ...], nd: int) -> None:
    if min(sizes) >= 0:
        return
    shown = ", ".join(map(str, (1, *sizes) if nd == 1 else sizes))
    if nd == 3:
        shown = f"{sizes[0]}, {sizes[1]},{sizes[2]}"
    label = "adaptive_avg_pool2d" if nd == 1 else name
    raise RuntimeError(
        f"{label}: elements of output_size must be greater than or equal to 0 but received "
        f"{{{shown}}}"
    )


def _mean_along(x: Any, axis: int, out: int) -> Any:
    """Window means along one dimension: a reshape where the windows tile, else a small product."""
    n = x.shape[axis]
    if out == n:
        return x
    if out and n % out == 0:
        split = x.reshape(*x.shape[:axis], out, n // out, *x.shape[axis + 1 :])
        return jnp.mean(split, axis + 1)
    start, end = _bounds(n, out)
    at = np.arange(n)
    inside = (at[:, None] >= start) & (at[:, None] < end)
    weights = jnp.asarray(inside / np.maximum(end - start, 1), x.dtype)
    mixed = lax.dot_general(
        x, weights, (((axis,), (0,)), ((), ())), precision=lax.Precision.HIGHEST
    )
    return jnp.moveaxis(mixed, -1, axis)


def _avg_grad_name(**described: Any) -> str:
    nd = described["nd"]
    size = described["output_size"]
    if nd == 1:
        return "SqueezeBackward1"
    if size == 1 or size == (1,) * nd:
        return "MeanBackward1"
    return f"AdaptiveAvgPool{nd}DBackward0"


@op("none", into=("internal",), grad_name=_avg_grad_name, layout=follow_spatial(1, 2))
def adaptive_avg_pool(input: Tensor, output_size: Any, nd: int) -> Any:
    """The mean of windows [floor(i n / out), ceil((i + 1) n / out))."""
    name = f"adaptive_avg_pool{nd}d"
    sizes = _output_size(name, output_size, input, nd)
    _check_negative(name, sizes, nd)
    _check_dims(name, input, nd)
    if not num.is_float(input):
        raise num.not_implemented_for(
            {1: "adaptive_avg_pool2d", 3: "adaptive_avg_pool3d_cpu"}.get(nd, name), input
        )
    x = num.widen(input)
    first = input.ndim - nd
    if 0 in sizes:
        return jnp.zeros((*input.shape[:first], *sizes), input.dtype)
    for dim, out in enumerate(sizes):
        x = _mean_along(x, first + dim, out)
    return x.astype(input.dtype)


def _best_along(x: Any, index: Any, axis: int, places: Any, step: int) -> tuple[Any, Any]:
    """The maximum over taps gathered at `places[tap]` along one dimension, with flat indices."""
    best: Any = None
    where: Any = None
    for at in places:
        part = jnp.take(x, jnp.asarray(at), axis=axis, mode="clip")
        flat = jnp.asarray(at * step, jnp.int64).reshape(-1, *(1,) * (x.ndim - 1 - axis))
        flat = jnp.broadcast_to(flat, part.shape)
        if index is not None:
            flat = flat + jnp.take(index, jnp.asarray(at), axis=axis, mode="clip")
        if best is None:
            best, where = part, flat
            continue
        better = part > best
        if num.is_float(x):
            better = better | (part != part)
        best, where = jnp.where(better, part, best), jnp.where(better, flat, where)
    return best, where


@op("none", into=("internal",), layout=follow_spatial(1, 2), grad_name=lambda **d: (
    "SqueezeBackward1" if d["nd"] == 1 else f"AdaptiveMaxPool{d['nd']}DBackward0"
))  # fmt: skip
def adaptive_max_pool(input: Tensor, output_size: Any, nd: int) -> Any:
    """The maximum of windows [floor(i n / out), ceil((i + 1) n / out)) and its flat index."""
    name = f"adaptive_max_pool{nd}d"
    sizes = _output_size(name, output_size, input, nd)
    _check_dims(name, input, nd)
    first = input.ndim - nd
    if min(sizes) < 0:
        full = [*input.shape[:first], *((1,) if nd == 1 else ()), *sizes]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(sizes)}: {full}")
    if num.is_bool(input) or num.is_complex(input):
        raise num.not_implemented_for(name, input)
    best, index, step = lax.stop_gradient(input), None, 1
    for dim in reversed(range(nd)):
        n, out = input.shape[first + dim], sizes[dim]
        start, end = _bounds(n, out)
        widest = int((end - start).max()) if out else 1
        # Narrower windows repeat their last element, which changes nothing.
        places = [np.minimum(start + k, end - 1) for k in range(widest)]
        best, index = _best_along(best, index, first + dim, places, step)
        step *= n
    if 0 in best.shape:
        return best, index
    return at_winners(input, index, nd), index


def _check_rank(input: Any, output_size: Any) -> None:
    """torch's ValueError where the sizes leave no dim for the channels."""
    if isinstance(output_size, tuple | list) and 1 < len(output_size) >= input.dim():
        raise ValueError(
            f"Input dimension should be at least {len(output_size) + 1}, got {input.dim()}"
        )


def _define_adaptive(nd: int) -> None:
    def average(input: Any, output_size: Any) -> Any:
        """The mean over windows that divide the input into `output_size` parts."""
        _check_rank(input, output_size)
        return internal.adaptive_avg_pool(input, output_size, nd)

    def maximum(input: Any, output_size: Any, return_indices: bool = False) -> Any:
        """The maximum over windows that divide the input into `output_size` parts."""
        _check_rank(input, output_size)
        best, index = internal.adaptive_max_pool(input, output_size, nd)
        return (best, index) if return_indices else best

    def with_indices(input: Any, output_size: Any, return_indices: bool = False) -> Any:
        """The maximum and its flat index."""
        _check_rank(input, output_size)
        return internal.adaptive_max_pool(input, output_size, nd)

    for function, label, into in (
        (average, f"adaptive_avg_pool{nd}d", _F),
        (maximum, f"adaptive_max_pool{nd}d", _F),
        (with_indices, f"adaptive_max_pool{nd}d_with_indices", _F),
    ):
        function.__name__ = function.__qualname__ = label
        composite(into=into, name=label)(function)
    if nd == 1:
        composite(into=("torch",), name="adaptive_avg_pool1d")(average)
        composite(into=("torch",), name="adaptive_max_pool1d")(with_indices)


for _nd in (1, 2, 3):
    _define_adaptive(_nd)


def _fractional_starts(samples: Any, n: int, k: int, out: int) -> Any:
    """Window starts (..., out) along one dimension from one random number each."""
    if out == 1:
        return jnp.full((*samples.shape, 1), n - k, jnp.int64)
    alpha = jnp.asarray((n - k) / (out - 1), samples.dtype)
    steps = jnp.arange(out - 1).astype(samples.dtype)
    first = (samples * alpha).astype(jnp.int64)[..., None]
    starts = ((steps + samples[..., None]) * alpha).astype(jnp.int64) - first
    last = jnp.full((*samples.shape, 1), n - k, jnp.int64)
    return jnp.concatenate([starts, last], -1)


@op("none", into=("internal",), grad_name=lambda **d: f"FractionalMaxPool{d['nd']}DBackward0")
def fractional_max_pool(
    input: Tensor, kernel_size: Any, output_size: Any, random_samples: Tensor, nd: int
) -> Any:
    """The maximum over windows with pseudo-random starts, and its flat index."""
    batched = input.ndim == nd + 2
    x = input if batched else input[None]
    size = x.shape[2:]
    axes = ("time", "height", "width")[3 - nd :]
    for n, k, out, axis in zip(size, kernel_size, output_size, axes, strict=True):
        if out + k - 1 > n:
            name = "fractional_max_pool2d" if nd == 2 else "fractional_max_pool3d_out"
            raise RuntimeError(f"{name}(): pool {axis} {k} too large relative to input {axis} {n}")
    if not x.size:
        empty = jnp.zeros((*x.shape[:2], *output_size), x.dtype)
        return empty, empty.astype(jnp.int64)
    samples = jnp.broadcast_to(random_samples, (*x.shape[:2], nd))
    # torch draws the last spatial dimension's sample first.
    best, step = lax.stop_gradient(x), 1
    index: Any = None
    for dim in reversed(range(nd)):
        which = dim if nd == 3 else nd - 1 - dim
        starts = _fractional_starts(
            samples[..., which], size[dim], kernel_size[dim], output_size[dim]
        )
        shape = [*x.shape[:2], *(1,) * nd]
        shape[2 + dim] = output_size[dim]
        best, index = _fractional_pass(
            best, index, starts.reshape(shape), 2 + dim, kernel_size[dim], step
        )
        step *= size[dim]
    out = at_winners(x, index, nd)
    return (out, index) if batched else (out[0], index[0])


def _fractional_pass(
    x: Any, index: Any, starts: Any, axis: int, k: int, step: int
) -> tuple[Any, Any]:
    best: Any = None
    where: Any = None
    for tap in range(k):
        at = starts + tap
        whole = [*x.shape[:axis], at.shape[axis], *x.shape[axis + 1 :]]
        at = jnp.broadcast_to(at, whole)
        part = jnp.take_along_axis(x, at, axis, mode="promise_in_bounds")
        flat = at * step
        if index is not None:
            flat = flat + jnp.take_along_axis(index, at, axis, mode="promise_in_bounds")
        if best is None:
            best, where = part, flat
            continue
        better = (part > best) | (part != part)
        best, where = jnp.where(better, part, best), jnp.where(better, flat, where)
    return best, where


def _fractional(
    input: Any, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any, nd: int
) -> Any:
    name = f"fractional_max_pool{nd}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        if isinstance(output_ratio, float | int):
            output_ratio = (output_ratio,) * nd
        output_size = [int(n * r) for n, r in zip(input.shape[-nd:], output_ratio, strict=True)]
    sizes = (output_size,) * nd if isinstance(output_size, int) else tuple(output_size)
    kernel = (kernel_size,) * nd if isinstance(kernel_size, int) else tuple(kernel_size)
    if samples is None:
        batch = 1 if input.dim() == nd + 1 else input.size(0)
        samples = ops.rand(batch, input.size(-nd - 1), nd, dtype=input.dtype, device=input.device)
    return internal.fractional_max_pool(input, kernel, sizes, samples, nd)


def _define_fractional(nd: int) -> None:
    def pool(
        input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> Any:  # fmt: skip
        """Maximum over windows whose starts are pseudo-random steps apart."""
        out = _fractional(input, kernel_size, output_size, output_ratio, _random_samples, nd)
        return out if return_indices else out[0]

    def with_indices(
        input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> Any:  # fmt: skip
        """The maximum and its flat index."""
        return _fractional(input, kernel_size, output_size, output_ratio, _random_samples, nd)

    for function, label in (
        (pool, f"fractional_max_pool{nd}d"),
        (with_indices, f"fractional_max_pool{nd}d_with_indices"),
    ):
        function.__name__ = function.__qualname__ = label
        composite(into=_F, name=label)(function)


for _nd in (2, 3):
    _define_fractional(_nd)
