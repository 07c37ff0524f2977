"""Pooling over fixed windows: maximum (with indices), average, power average, and unpooling.

The derivative of a maximum gathers at the flat index of the winner (winners.py), so its gradient is
one scatter: on the CPU 15 times faster than the select-and-scatter that differentiating
`reduce_window` gives.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._basics.state import state
from ..call.composites import last
from ..registry import Tensor, composite, internal, nnf, op, ops
from ..shared import numeric as num
from ..shared.memory_format import follow_spatial, follows
from ..shared.windows import (
    Windows,
    area,
    check_output,
    window_counts,
    window_sum,
    windows,
)
from .winners import argmax_windows

_F = ("nn.functional",)


def _check_max_input(name: str, nd: int, x: Any) -> None:
    lead = x.ndim - nd
    if nd == 1:
        if lead not in (1, 2) or 0 in x.shape[lead - 1 :]:
            raise RuntimeError(
                f"{name}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for "
                f"input, but got:{list(x.shape)}"
            )
    elif lead not in (1, 2):
        raise RuntimeError(
            f"non-empty {nd + 1}D or {nd + 2}D (batch mode) tensor expected for input"
        )
    elif 0 in x.shape[lead - 1 :]:
        if nd == 3:
            bad = x.shape[lead - 1 :].index(0)
            raise RuntimeError(
                "max_pool3d_with_indices_out_cpu_template(): Expected input's non-batch dimensions "
                f"to have positive length, but input has a shape of {list(x.shape)} and non-batch "
                f"dimension {bad} has length zero!"
            )
        raise RuntimeError(
            f"Expected {nd + 1}D or {nd + 2}D (batch mode) tensor with optional 0 dim batch size "
            f"for input, but got:{list(x.shape)}"
        )


def _check_max_1d(kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """max_pool1d has its own texts."""
    for name, value, least in (
        ("kernel_size", kernel, 1), ("stride", stride, 1), ("padding", padding, 0),
        ("dilation", dilation, 1),
    ):  # fmt: skip
        value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
        if isinstance(value, int) and value < least:
            kind = "greater than zero" if least else "non-negative"
            raise RuntimeError(f"max_pool1d() {name} must be {kind}, but got {value}")
    k, p = (v[0] if isinstance(v, tuple) else v for v in (kernel, padding))
    if p > k // 2:
        raise RuntimeError(
            "max_pool1d() padding should be at most half of kernel size, but got "
            f"padding={p} and kernel_size={k}"
        )


def _max_windows_of(
    x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, nd: int
) -> Windows:
    name = f"max_pool{nd}d"
    if nd == 1:
        _check_max_1d(kernel, stride, padding, dilation)
    if x.ndim < nd:  # has no windows; the other shapes are looked at after the options, as in torch
        _check_max_input(name, nd, x)
    win = windows(name, nd, x.shape[x.ndim - nd :], kernel, stride, padding, dilation, ceil_mode)
    _check_max_input(name, nd, x)
    if nd == 1 and win.output[0] < 1:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {win.output[0]}")
    check_output(x.shape[-nd - 1], win)
    if num.is_bool(x) or num.is_complex(x) or (nd == 1 and not num.is_float(x)):
        raise num.not_implemented_for("max_pool1d_impl" if nd == 1 else name, x)
    return win


def _max_grad_name(**described: Any) -> str:
    nd = described["nd"]
    return "SqueezeBackward1" if nd == 1 else f"MaxPool{nd}DWithIndicesBackward0"


@follows
def _max_layout(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """Strides: in one dim torch follows the input only where it keeps the indices for backward."""
    if key[-1] == 1 and not (state.grad_enabled and operands[0]._needs_grad()):
        return None
    return _FOLLOW(avals, operands, key)  # type: ignore[no-any-return]


_FOLLOW = follow_spatial(1, 2, 3)


@op("none", into=("internal",), grad_name=_max_grad_name, layout=_max_layout)
def max_pool(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    nd: int,
) -> Any:  # fmt: skip
    """The maximum of each window."""
    win = _max_windows_of(input, kernel_size, stride, padding, dilation, ceil_mode, nd)
    return argmax_windows(input, win)[0]


@op("none", into=("internal",), grad_name=_max_grad_name, layout=follow_spatial(1, 2, 3))
def max_pool_with_indices(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    nd: int,
) -> Any:  # fmt: skip
    """The maximum of each window and its flat index."""
    win = _max_windows_of(input, kernel_size, stride, padding, dilation, ceil_mode, nd)
    best, index = argmax_windows(input, win)
    return best, index.astype(jnp.int64)


def _define_max_pool(nd: int) -> None:
    def with_indices(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        """The maximum of each window, and its flat index in the spatial dimensions."""
        return internal.max_pool_with_indices(
            input, kernel_size, stride, padding, dilation, ceil_mode, nd
        )

    def pool(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        """The maximum of each window; with `return_indices` also its flat index."""
        chosen = internal.max_pool_with_indices if return_indices else internal.max_pool
        return chosen(input, kernel_size, stride, padding, dilation, ceil_mode, nd)

    def torch_pool(
        input: Any, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Any:  # fmt: skip
        """The maximum of each window."""
        return internal.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, nd)

    name = f"max_pool{nd}d"
    for function, label, into in (
        (pool, name, _F),
        (with_indices, name + "_with_indices", _F),
        (torch_pool, name, ("torch",)),
    ):
        function.__name__ = function.__qualname__ = label
        composite(into=into, name=label)(function)
    if nd == 1:
        composite(into=("torch",), name="max_pool1d_with_indices")(with_indices)


for _nd in (1, 2, 3):
    _define_max_pool(_nd)


def _check_average_input(nd: int, x: Any, win: Windows) -> None:
    if nd == 3:
        if x.ndim not in (4, 5):
            raise RuntimeError("non-empty 4D or 5D (batch mode) tensor expected for input")
        if any(n + 2 * p < k for n, p, k in zip(win.size, win.padding, win.kernel, strict=True)):
            sizes = " ".join(f"{a}: {n}" for a, n in zip("THW", win.size, strict=True))
            kernels = " ".join(f"k{a}: {n}" for a, n in zip("THW", win.kernel, strict=True))
            raise RuntimeError(f"input image ({sizes}) smaller than kernel size ({kernels})")
    channels = x.shape[-nd - 1]
    if nd == 1:
        # torch pools one dimension as an image of height 1.
        win = win._replace(size=(1, *win.size), output=(1, *win.output))
    check_output(channels, win)


@op("none", into=("internal",), layout=follow_spatial(1, 2), grad_name=lambda **d: (
    "SqueezeBackward1" if d["nd"] == 1 else f"AvgPool{d['nd']}DBackward0"
))  # fmt: skip
def avg_pool(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None, nd: int,
) -> Any:  # fmt: skip
    """The mean of each window; `divisor_override` replaces the number of elements."""
    name = f"avg_pool{nd}d"
    if nd == 1 and input.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {input.ndim}-dimensional tensor for argument #1 "
            "'self' (while checking arguments for avg_pool1d)"
        )
    if nd == 1 and isinstance(kernel_size, tuple) and len(kernel_size) != 1:
        raise RuntimeError(
            f"avg_pool1d() argument 'kernel_size' should contain one int (got {len(kernel_size)})"
        )
    if nd == 2 and input.ndim < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, "
            f"{input.ndim - 1}], but got -3)"
        )
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    size = input.shape[input.ndim - nd :]
    win = windows(name, nd, size, kernel_size, stride, padding, 1, ceil_mode)
    _check_average_input(nd, input, win)
    if divisor_override is not None:
        counts: Any = divisor_override
    else:
        counts = window_counts(win, count_include_pad)
        if (counts == area(win)).all():
            counts = area(win)
    total = window_sum(num.widen(input), win)
    if not num.is_float(input):
        return lax.div(total, jnp.broadcast_to(jnp.asarray(counts, total.dtype), total.shape))
    if isinstance(counts, int):
        return (total / counts).astype(input.dtype)
    return (total / jnp.asarray(counts, total.dtype)).astype(input.dtype)


@composite(into=("torch", "nn.functional"))
def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, L)."""
    return internal.avg_pool(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1
    )


@composite(into=_F, out=True)
def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, H, W)."""
    return last(
        internal.avg_pool, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override, 2,
    )  # fmt: skip


@composite(into=_F, out=True)
def avg_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, D, H, W)."""
    return last(
        internal.avg_pool, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override, 3,
    )  # fmt: skip


def _lp_pool(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: bool, nd: int
) -> Any:
    kernel = (kernel_size,) * nd if isinstance(kernel_size, int) else tuple(kernel_size)
    if norm_type == float("inf"):
        return internal.max_pool(input.abs(), kernel_size, stride, 0, 1, ceil_mode, nd)
    if norm_type == -float("inf"):
        return -internal.max_pool(-input.abs(), kernel_size, stride, 0, 1, ceil_mode, nd)
    powers = input.pow(norm_type)
    mean = internal.avg_pool(powers, kernel_size, stride, 0, ceil_mode, True, None, nd)
    # sign * relu(abs) is the identity whose gradient is 0 at 0.
    kept = ops.sign(mean) * nnf.relu(ops.abs(mean))
    return kept.mul(math.prod(kernel)).pow(1.0 / norm_type)


@composite(into=_F)
def lp_pool1d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of x^p)^(1/p) over each window of (N, C, L)."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 1)


@composite(into=_F)
def lp_pool2d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of x^p)^(1/p) over each window of (N, C, H, W)."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 2)


@composite(into=_F)
def lp_pool3d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """(sum of x^p)^(1/p) over each window of (N, C, D, H, W)."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 3)


@op("none", into=("internal",), layout=follow_spatial(2), grad_name=lambda **d: (
    "SqueezeBackward1" if d["nd"] == 1 else f"MaxUnpool{d['nd']}DBackward0"
))  # fmt: skip
def max_unpool(input: Tensor, indices: Tensor, output_size: Any, nd: int) -> Any:
    """Zeros of the output size with each element of input at its flat index."""
    if indices.dtype != jnp.int64:
        kind = {"int32": "Int", "float32": "Float", "float64": "Double"}.get(indices.dtype.name)
        suffix = "" if nd == 3 else f" but got: {kind or indices.dtype.name}"
        raise RuntimeError(f"elements in indices should be type int64{suffix}")
    if indices.shape != input.shape:
        extra = (1,) if nd == 1 else ()
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({[*input.shape, *extra]}) but got indices tensor with shape: "
            f"{[*indices.shape, *extra]}"
        )
    lead = input.shape[: input.ndim - nd]
    rows, width = math.prod(lead), math.prod(output_size)
    offsets = jnp.arange(rows, dtype=jnp.int64)[:, None] * width
    flat = (indices.reshape(rows, -1) + offsets).reshape(-1)
    out = _spread(input.reshape(-1), flat, rows * width)
    return out.reshape(*lead, *output_size)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _spread(values: Any, flat: Any, count: int) -> Any:
    """Zeros with `values` at `flat`; as in torch an overwritten value gets a gradient too."""
    return jnp.zeros((count,), values.dtype).at[flat].set(values, mode="drop")


def _spread_fwd(values: Any, flat: Any, count: int) -> Any:
    return _spread(values, flat, count), flat


def _spread_bwd(count: int, flat: Any, cotangent: Any) -> Any:
    taken = cotangent.at[flat].get(mode="clip")
    return taken, np.zeros(flat.shape, jax.dtypes.float0)


_spread.defvjp(_spread_fwd, _spread_bwd)


def _unpool_size(
    input: Any, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...],
    wanted: Any,
) -> tuple[int, ...]:  # fmt: skip
    nd = len(kernel)
    usual = tuple(
        (n - 1) * s + k - 2 * p
        for n, k, s, p in zip(input.shape[-nd:], kernel, stride, padding, strict=True)
    )
    if wanted is None:
        return usual
    if len(wanted) == nd + 2:
        wanted = wanted[2:]
    if len(wanted) != nd:
        raise ValueError(
            f"output_size should be a sequence containing {nd} or {nd + 2} elements, but it has a "
            f"length of '{len(wanted)}'"
        )
    for d in range(nd):
        least, most = usual[d] - stride[d], usual[d] + stride[d]
        if not least < wanted[d] < most:
            raise ValueError(
                f'invalid output_size "{wanted}" (dim {d} must be between {least} and {most})'
            )
    return tuple(int(v) for v in wanted)


def _define_unpool(nd: int) -> None:
    def unpool(
        input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
        output_size: Any = None,
    ) -> Any:  # fmt: skip
        """The partial inverse of max pooling: each value at the place its maximum came from."""
        from ..._autograd.require import require

        def tupled(v: Any) -> tuple[int, ...]:
            return (v,) * nd if isinstance(v, int) else tuple(v)

        kernel = tupled(kernel_size)
        step = kernel if stride is None else tupled(stride)
        size = _unpool_size(input, kernel, step, tupled(padding), output_size)
        volume = math.prod(size)
        out = internal.max_unpool(input, indices, size, nd)
        shown = "x".join(map(str, (*size, 1) if nd == 1 else size))

        def error(values: Any) -> Exception:
            bad = values[(values < 0) | (values >= volume)]
            return RuntimeError(
                f"Found an invalid max index: {int(bad.reshape(-1)[-1])} (output volumes are of "
                f"size {shown})"
            )

        require("unpool_range", lambda i, n: (i < 0) | (i >= n), [indices], [volume], error)
        return out

    unpool.__name__ = unpool.__qualname__ = f"max_unpool{nd}d"
    composite(into=_F, name=unpool.__name__)(unpool)


for _nd in (1, 2, 3):
    _define_unpool(_nd)
