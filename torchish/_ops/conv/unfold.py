"""Sliding blocks as columns (unfold, im2col) and their adjoint (fold, col2im)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..registry import Tensor, composite, internal, op
from ..shared import numeric as num
from ..shared.windows import Windows, taps

_F = ("nn.functional",)


def _pair(value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    return pair * 2 if len(pair) == 1 else pair


def _blocks(size: Sequence[int], kernel: Any, dilation: Any, padding: Any, stride: Any) -> Windows:
    kernel, dilation, padding, stride = map(_pair, (kernel, dilation, padding, stride))
    for name, value in (("kernel size", kernel), ("dilation", dilation), ("stride", stride)):
        if min(value) <= 0:
            label = name.split()[0]
            raise RuntimeError(
                f"{name} should be greater than zero, but got {label}_height: {value[0]} "
                f"{label}_width: {value[1]}"
            )
    if min(padding) < 0:
        raise RuntimeError(
            f"padding should be non-negative, but got pad_height: {padding[0]} pad_width: "
            f"{padding[1]}"
        )
    output = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True)
    )
    return Windows(tuple(size), kernel, stride, padding, dilation, output)


def _columns(x: Any, win: Windows) -> Any:
    """(N, C, H, W) -> (N, C * KH * KW, L)."""
    rows = jnp.stack(taps(x, 2, win, 0, 0), 2)  # N, C, KH, OH, W
    cols = jnp.stack(taps(rows, 4, win, 1, 0), 3)  # N, C, KH, KW, OH, OW
    return cols.reshape(x.shape[0], x.shape[1] * math.prod(win.kernel), math.prod(win.output))


@op("none", into=("internal",), grad_name="Im2ColBackward0")
def im2col(input: Tensor, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """Every sliding block of (N, C, H, W) or (C, H, W) as a column."""
    if input.ndim < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, "
            f"{input.ndim - 1}], but got {input.ndim})"
        )
    if input.ndim > 4 or 0 in input.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(input.shape)}"
        )
    win = _blocks(input.shape[-2:], kernel_size, dilation, padding, stride)
    if min(win.output) < 1:
        shown = {
            "kernel_size": win.kernel, "dilation": win.dilation, "padding": win.padding
        }  # fmt: skip
        text = ", ".join(f"{k}={v}" for k, v in shown.items())
        raise RuntimeError(
            f"Given input with spatial size {win.size}, {text}, calculated shape of the array of "
            f"sliding blocks as {win.output}, but its components must be at least one."
        )
    if not (num.is_bool(input) or num.is_inexact(input)):
        raise num.not_implemented_for("im2col_out_cpu", input)
    return _columns(input, win) if input.ndim == 4 else _columns(input[None], win)[0]


@composite(into=_F)
def unfold(
    input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Sliding blocks of (N, C, H, W) as columns: (N, C * KH * KW, L)."""
    return internal.im2col(input, kernel_size, dilation, padding, stride)


@op("none", into=("internal",), grad_name="Col2ImBackward0")
def col2im(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> Any:
    """The sum of columns (N, C * KH * KW, L) over the places their blocks lie at."""
    if input.ndim not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(input.shape)}"
        )
    win = _blocks(_pair(output_size), kernel_size, dilation, padding, stride)
    x = input if input.ndim == 3 else input[None]
    per_block, blocks = math.prod(win.kernel), math.prod(win.output)
    if x.shape[1] % per_block:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={x.shape[1]} and kernel_size={win.kernel}."
        )
    if min(win.output) < 1 or x.shape[2] != blocks:
        text = ", ".join(
            f"{k}={v}"
            for k, v in (
                ("output_size", win.size), ("kernel_size", win.kernel),
                ("dilation", win.dilation), ("padding", win.padding), ("stride", win.stride),
            )
        )  # fmt: skip
        raise RuntimeError(
            f"Given {text}, expected size of input's dimension 2 to match the calculated number of "
            f"sliding blocks {win.output[0]} * {win.output[1]} = {blocks}, but got "
            f"input.size(2)={x.shape[2]}."
        )
    image = jax.ShapeDtypeStruct((x.shape[0], x.shape[1] // per_block, *win.size), x.dtype)
    (out,) = jax.linear_transpose(lambda image: _columns(image, win), image)(x)
    return out if input.ndim == 3 else out[0]


@composite(into=_F)
def fold(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> Tensor:  # fmt: skip
    """The adjoint of unfold: overlapping blocks are added up."""
    return internal.col2im(input, output_size, kernel_size, dilation, padding, stride)
