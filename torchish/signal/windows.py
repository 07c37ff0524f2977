"""`torch.signal.windows`: windows of M points, symmetric or periodic.

A periodic window (`sym=False`) is a symmetric one of M + 1 points without its last.
Source: https://docs.pytorch.org/docs/stable/signal.html
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

from .._basics import dtypes
from .._basics.state import process
from .._ops.registry import ops
from .._ops.shared.layout_type import strided

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine",
    "general_hamming", "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip


def _checked(name: str, length: int, options: dict[str, Any]) -> Any:
    """The dtype of the window.

    Raises: ValueError for a negative length, a dtype that is not float32 or float64, a layout
    other than strided.
    """
    if length < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={length}")
    layout = options.get("layout") or strided
    if layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    kind = options.get("dtype") or process.default_dtype
    if kind not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {kind}")
    return kind


def _window(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what all windows share: the options, the checks and the lengths 0 and 1."""
    name = function.__name__

    @functools.wraps(function)
    def window(
        M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, **own: Any,
    ) -> Any:  # fmt: skip
        kind = _checked(name, M, {"dtype": dtype, "layout": layout})
        points = functools.partial(_points, length=M, sym=sym, dtype=kind, device=device)
        if M == 0:
            made = ops.empty((0,), dtype=kind, device=device)
        else:
            made = function(points, M, sym, **own)
            if M == 1:
                made = ops.ones((1,), dtype=kind, device=device)
        return made.requires_grad_() if requires_grad else made

    return window


def _points(start: float, end: float, *, length: int, sym: bool, dtype: Any, device: Any) -> Any:
    return ops.linspace(start, end, length, dtype=dtype, device=device)


Points = Callable[..., Any]


def _last(M: int, sym: bool) -> int:
    """The distance of the last point from the first, in samples, of the symmetric window."""
    return max(M - 1, 1) if sym else M


@_window
def exponential(points: Points, M: int, sym: bool, *, center: Any = None, tau: float = 1.0) -> Any:
    """w[n] = exp(-|n - c| / tau), c in the middle unless `center` is given (periodic only)."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    middle = (M if not sym and M > 1 else M - 1) / 2.0 if center is None else center
    k = points(-middle / tau, (-middle + (M - 1)) / tau)
    return ops.exp(-ops.abs(k))


@_window
def cosine(points: Points, M: int, sym: bool) -> Any:
    """w[n] = sin(pi (n + 0.5) / M)."""
    step = math.pi / (M + 1 if not sym and M > 1 else M)
    return ops.sin(points(0.5 * step, (0.5 + (M - 1)) * step))


@_window
def gaussian(points: Points, M: int, sym: bool, *, std: float = 1.0) -> Any:
    """w[n] = exp(-(n - (M - 1) / 2)^2 / (2 std^2))."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    start = -(M if not sym and M > 1 else M - 1) / 2.0
    scale = 1 / (std * math.sqrt(2))
    k = points(start * scale, (start + (M - 1)) * scale)
    return ops.exp(-(k**2))


@_window
def kaiser(points: Points, M: int, sym: bool, *, beta: float = 12.0) -> Any:
    """w[n] = I0(beta sqrt(1 - ((2 n - N) / N)^2)) / I0(beta), N the last point."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    start = -beta
    step = 2.0 * beta / _last(M, sym)
    k = points(start, min(beta, start + (M - 1) * step))
    limit = ops.full((), beta, dtype=k.dtype, device=k.device)
    return ops.i0(ops.sqrt(beta * beta - ops.pow(k, 2))) / ops.i0(limit)


@_window
def bartlett(points: Points, M: int, sym: bool) -> Any:
    """w[n] = 1 - |2 n / N - 1|, N the last point."""
    step = 2 / _last(M, sym)
    return 1 - ops.abs(points(-1, -1 + (M - 1) * step))


@_window
def general_cosine(points: Points, M: int, sym: bool, *, a: Iterable[float]) -> Any:
    """w[n] = sum_i (-1)^i a_i cos(2 pi i n / N), N the last point."""
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    factors = list(a)
    if not factors:
        raise ValueError("Coefficients cannot be empty")
    step = 2 * math.pi / _last(M, sym)
    k = points(0, (M - 1) * step)
    signed = [(-1) ** i * w for i, w in enumerate(factors)]
    a_i = ops.tensor(signed, dtype=k.dtype, device=k.device)
    i = ops.arange(len(factors), dtype=k.dtype, device=k.device)
    return (a_i.unsqueeze(-1) * ops.cos(i.unsqueeze(-1) * k)).sum(0)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Any:
    """w[n] = alpha - (1 - alpha) cos(2 pi n / N), N the last point."""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, **options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Any:
    """`general_hamming` with alpha = 0.54."""
    return general_hamming(M, sym=sym, **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Any:
    """`general_hamming` with alpha = 0.5."""
    return general_hamming(M, alpha=0.5, sym=sym, **options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Any:
    """w[n] = 0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N), N the last point."""
    if options.get("dtype") is None:
        options["dtype"] = process.default_dtype
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, **options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Any:
    """The four-term cosine window with the smallest maximum sidelobe."""
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)
