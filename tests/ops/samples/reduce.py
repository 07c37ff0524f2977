"""Samples of reductions, running reductions, norms and order statistics."""

from __future__ import annotations

import math

import numpy as np

from tests.ops.sampling import N, S, Sample, b, c, distinct, f, i

_NAN = np.array([[1.0, np.nan, 3.0], [4.0, 2.0, np.nan], [0.5, 1.5, 2.5]], np.float32)
_TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], np.float32)
_ZEROS = np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]], np.float32)
_INFS = np.array([[-np.inf, -np.inf], [1.0, np.inf]], np.float32)


def _sums() -> list[Sample]:
    return [
        S(f(3, 4)), S(f(3, 4), 0), S(f(3, 4), -1, True), S(f(2, 3, 4), (0, 2)),
        S(f(2, 3, 4), dim=(1,), keepdim=True), S(f(3, 4), ()), S(f()), S(f(3, 4).T, 0),
        S(f(3), dtype=N("float64")), S(f(3), 5), S(f(2, 3), (0, 0)), S(f(0, 3), 0),
    ]  # fmt: skip


def _extremes() -> list[Sample]:
    return [
        S(f(3, 4)), S(f(3, 4), 1), S(f(3, 4), 0, True), S(_TIES, 1), S(_TIES), S(_NAN),
        S(_NAN, 0), S(i(3, 4), 1), S(b(3, 4), 1), S(f()), S(f(), 0), S(f(3, 4), f(4)),
        S(f(2, 3), 7), S(f(0, 3), 0), S(f(0)),
    ]  # fmt: skip


def _spreads() -> list[Sample]:
    return [
        S(f(3, 4)), S(f(3, 4), 0), S(f(3, 4), (0, 1), keepdim=True), S(f(3, 4), False),
        S(f(3, 4), 1, False, True), S(f(3, 4), 1, correction=2), S(f(3, 4), correction=0),
        S(np.ones((2, 3), np.float32), 1), S(c(4)).no_grad(), S(i(3)),
    ]  # fmt: skip


def _norms() -> list[Sample]:
    orders = (2, 1, 0, 3, 0.5, math.inf, -math.inf)
    return [
        S(f(3, 4)), S(np.zeros((2, 3), np.float32)), S(f(3, 4), "fro", (0, 1)), S(c(3)),
        S(f(3, 4), dtype=N("float64")), S(i(3)),
        *(S(f(3, 4), p, 1) for p in orders), *(S(f(2, 3), p) for p in orders),
    ]  # fmt: skip


SAMPLES = {
    "torch.sum": [*_sums(), S(i(3, 4), 1), S(b(3, 4)), S(c(3, 4), 0), S(i(3), dtype=N("int32"))],
    "torch.nansum": [S(_NAN), S(_NAN, 0), S(i(3, 4), 1), S(f(3), dtype=N("float64"))],
    "torch.mean": [*_sums(), S(i(3)), S(i(3), dtype=N("float32")), S(c(3))],
    "torch.nanmean": [S(_NAN), S(_NAN, 0), S(f(2, 3), 1, True)],
    "torch.prod": [
        S(f(3, 4)),
        S(f(3, 4), 1),
        S(_ZEROS, 1),
        S(_ZEROS),
        S(i(2, 3), 0),
        S(b(3)),
        S(f(3), dtype=N("float64")),
        S(c(3)),
    ],
    "torch.amax": [S(f(3, 4)), S(f(2, 3, 4), (0, 2), True), S(_TIES, 1), S(i(3, 4), 0), S(b(3))],
    "torch.amin": [S(f(3, 4)), S(f(2, 3, 4), (0, 2), True), S(_TIES, 1), S(i(3, 4), 0), S(b(3))],
    "torch.aminmax": [S(f(3, 4)), S(f(3, 4), dim=1), S(f(3, 4), dim=0, keepdim=True), S(f(0))],
    "torch.argmax": [
        S(f(3, 4)),
        S(f(3, 4), 1),
        S(f(3, 4), 0, True),
        S(_TIES, 1),
        S(_NAN, 0),
        S(i(5)),
        S(f()),
        S(f(2, 3), None, True),
        S(f(0)),
    ],
    "torch.argmin": [S(f(3, 4)), S(f(3, 4), 1), S(_TIES, 1), S(_NAN, 0), S(i(5)), S(b(3))],
    "torch.max": _extremes(),
    "torch.min": _extremes(),
    "torch.all": [S(b(3, 4)), S(b(3, 4), 1), S(i(3, 4), (0, 1), True), S(f(3)), S(b(0))],
    "torch.any": [S(b(3, 4)), S(b(3, 4), 1), S(i(3, 4), (0, 1), True), S(f(3)), S(b(0))],
    "torch.count_nonzero": [S(i(3, 4)), S(i(3, 4), 1), S(f(3)), S(b(3, 4), (0, 1))],
    "torch.logsumexp": [S(f(3, 4), 1), S(f(3, 4), (0, 1), True), S(_INFS, 1).no_grad(), S(i(3), 0)],
    "torch.var": _spreads(),
    "torch.std": _spreads(),
    "torch.var_mean": [S(f(3, 4)), S(f(3, 4), 1, False), S(f(3, 4), (0, 1), correction=2)],
    "torch.std_mean": [S(f(3, 4)), S(f(3, 4), 1, False), S(f(3, 4), (0, 1), correction=2)],
    "torch.trace": [S(f(3, 4)), S(f(4, 3)), S(i(3, 3)), S(f(3))],
    "torch.cumsum": [
        S(f(3, 4), 0),
        S(f(3, 4), -1),
        S(i(3, 4), 1),
        S(b(4), 0).no_forms(),
        S(f(), 0),
        S(f(3), 0, dtype=N("float64")).no_forms(),
        S(f(3), 2),
    ],
    "torch.cumprod": [S(f(3, 4), 0), S(_ZEROS, 1), S(i(3, 4), 1), S(f(), 0)],
    "torch.cummax": [S(f(3, 4), 0), S(_TIES, 1), S(_NAN, 0), S(i(5), 0), S(f(), 0)],
    "torch.cummin": [S(f(3, 4), 0), S(_TIES, 1), S(_NAN, 0), S(i(5), 0)],
    "torch.logcumsumexp": [S(f(3, 4), 0).within(5), S(f(3, 4), 1).within(5), S(f(), 0)],
    "torch.diff": [
        S(f(3, 4)),
        S(f(3, 4), 2),
        S(f(3, 4), dim=0),
        S(b(4)),
        S(i(4), prepend=i(2)),
        S(f(3), 4),
        S(f()),
    ],
    "torch.trapezoid": [
        S(f(3, 4)),
        S(f(3, 4), f(4)),
        S(f(3, 4), dx=0.5, dim=0),
        S(f(4), f(4)),
        S(f(3, 4), f(3, 4)),
        S(f(3), f(2)),
        S(f(2, 3, 4), f(3, 4), dim=1),
        S(f(3, 4), f(3), dim=0),
        S(f(3, 0)),
        S(f(3, 1)),
        S(f()),
        S(i(3, 4), i(4)),
        S(b(3, 4)),
        S(f(3, 4), b(4)),
        S(f(3, 4), dx=True),
        S(f(3, 4), dx=1j),
    ],
    "torch.cumulative_trapezoid": [
        S(f(3, 4)),
        S(f(3, 4), f(4)),
        S(f(3, 4), dx=0.5, dim=0),
        S(f(3, 0)),
        S(i(3, 4), i(4)),
        S(b(3, 4)),
        S(f(3, 4), dx=1j),
    ],
    "torch.norm": _norms(),
    "torch.dist": [
        S(f(3, 4), f(3, 4)),
        S(f(3), f(3), 1),
        S(f(3), f(3), math.inf),
        S(f(2, 1), f(3), 3),
    ],
    "torch.renorm": [S(f(3, 4), 2, 0, 1.0), S(f(3, 4), 1, 1, 2.0), S(f(3), 2, 0, 1.0)],
    "torch.median": [
        S(distinct(3, 4)),
        S(distinct(3, 4), 1),
        S(_TIES, 1),
        S(_TIES),
        S(_NAN, 0),
        S(_NAN),
        S(i(3, 5), 1),
        S(i(5)),
        S(f()),
        S(f(), 0),
        S(f(3, 4), 0, True),
    ],
    "torch.nanmedian": [S(_NAN), S(_NAN, 0), S(_NAN, 1, True), S(i(5))],
    "torch.kthvalue": [S(distinct(3, 4), 2), S(distinct(3, 4), 1, 0, True), S(distinct(4), 9)],
    "torch.mode": [S(_TIES, 1), S(i(3, 7, low=0, high=3), 1), S(f(3, 4), 0, True)],
    "torch.quantile": [
        S(f(3, 4), 0.3),
        S(f(3, 4), np.array([0.0, 0.25, 1.0], np.float32), 1),
        S(_NAN, 0.5, 0),
        S(f(3, 4), 0.4, 0, True, interpolation="nearest"),
        S(f(5), 0.3, interpolation="lower"),
        S(f(5), 0.3, interpolation="higher"),
        S(f(5), 0.3, interpolation="midpoint"),
        S(f(3), 1.5),
    ],
    "torch.nanquantile": [S(_NAN, 0.5, 0), S(_NAN, np.array([0.2, 0.7], np.float32), 1, True)],
    "torch.histc": [
        S(f(20), 5).no_grad().no_half(),
        S(f(20), 4, -1, 1).no_grad().no_half(),
        S(i(4), 3),
    ],
    "Tensor.sum": [S(f(3, 4), 1, dtype=N("float64"))],
}
