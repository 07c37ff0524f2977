"""Window functions for spectral analysis, computed in float32 steps as torch computes them.

Source: Harris, 1978.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._basics.dtypes import CPP_NAMES
from ..._basics.state import process
from ..registry import Tensor, composite
from .filled import as_dtype, finish

Curve = Callable[[Any, int], Any]


def _window(
    name: str,
    length: int,
    periodic: bool,
    dtype: Any,
    layout: Any,
    device: Any,
    requires_grad: bool,
    curve: Curve,
) -> Any:
    """`curve(index, n)` at n points; a periodic window is one longer, without its last point."""
    dt = as_dtype(dtype, process.default_dtype)
    if layout is not None and layout.name != "strided":
        raise RuntimeError(f"{name} is not implemented for sparse types, got: {layout}")
    if not dt.is_floating_point:
        raise RuntimeError(
            f"{name} expects floating point dtypes, got: TensorOptions(dtype="
            f"{CPP_NAMES.get(dt, dt.name)}, device=cpu, layout=Strided (default), "
            "requires_grad=false (default), pinned_memory=false, memory_format=(nullopt))"
        )
    if length < 0:
        raise RuntimeError(
            f"{name} requires non-negative window_length, got window_length={length}"
        )
    if length <= 1:
        return finish(np.ones(length, dt.np), device, requires_grad)
    work = np.dtype(np.float32) if dt.itemsize == 2 else dt.np
    n = length + 1 if periodic else length
    values = curve(np.arange(n, dtype=work), n)[:length]
    return finish(np.ascontiguousarray(values.astype(dt.np)), device, requires_grad)


def _cosine(index: Any, factor: float) -> Any:
    return np.cos(index * index.dtype.type(factor))


@composite(into=("torch",))
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """w[n] = alpha - beta * cos(2 pi n / (N - 1))."""

    def curve(index: Any, n: int) -> Any:
        kind = index.dtype.type
        return _cosine(index, 2 * math.pi / (n - 1)) * kind(-beta) + kind(alpha)

    return _window(
        "hamming_window", window_length, periodic, dtype, layout, device, requires_grad, curve
    )


@composite(into=("torch",))
def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """w[n] = (1 - cos(2 pi n / (N - 1))) / 2."""

    def curve(index: Any, n: int) -> Any:
        kind = index.dtype.type
        return _cosine(index, 2 * math.pi / (n - 1)) * kind(-0.5) + kind(0.5)

    return _window(
        "hann_window", window_length, periodic, dtype, layout, device, requires_grad, curve
    )


@composite(into=("torch",))
def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """w[n] = 0.42 - 0.5 cos(2 pi n / (N - 1)) + 0.08 cos(4 pi n / (N - 1))."""

    def curve(index: Any, n: int) -> Any:
        kind = index.dtype.type
        turns = index * kind(math.pi / (n - 1))
        return _cosine(turns, 4) * kind(0.08) - _cosine(turns, 2) * kind(0.5) + kind(0.42)

    return _window(
        "blackman_window", window_length, periodic, dtype, layout, device, requires_grad, curve
    )


@composite(into=("torch",))
def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A triangle: w[n] = 1 - |2n / (N - 1) - 1|."""

    def curve(index: Any, n: int) -> Any:
        ramp = index * index.dtype.type(2 / (n - 1))
        first = ((n - 1) >> 1) + 1
        return np.where(np.arange(n) < first, ramp, 2 - ramp).astype(index.dtype)

    return _window(
        "bartlett_window", window_length, periodic, dtype, layout, device, requires_grad, curve
    )


@composite(into=("torch",))
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """w[n] = I0(beta sqrt(1 - (2n / (N - 1) - 1)^2)) / I0(beta)."""

    def curve(index: Any, n: int) -> Any:
        place = index.astype(np.float64) * 2 / (n - 1) - 1
        return (np.i0(beta * np.sqrt(1 - place * place)) / np.i0(beta)).astype(index.dtype)

    return _window(
        "kaiser_window", window_length, periodic, dtype, layout, device, requires_grad, curve
    )
