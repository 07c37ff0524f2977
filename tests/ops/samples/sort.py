"""Samples of sorting, searching and counting."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, b, c, distinct, f, i

_NAN = np.array([3.0, np.nan, 1.0, 2.0], np.float32)
_REPEATED = np.array([3, 1, 2, 1, 5, 3, 3], np.int64)
_ROWS = np.array([[1, 2], [1, 2], [0, 5], [1, 2]], np.int64)
_EDGES = np.array([-2.0, -0.5, 0.5, 2.0], np.float32)

SAMPLES = {
    "torch.sort": [
        S(distinct(3, 4)),
        S(distinct(3, 4), 0, True),
        S(_NAN),
        S(_NAN, descending=True),
        S(i(3, 5), dim=1, stable=True),
        S(f()),
        S(b(5), stable=True),
        S(f(2), 3),
        S(c(3)),
    ],
    "torch.argsort": [S(distinct(3, 4)), S(distinct(3, 4), 0, True), S(_REPEATED, stable=True)],
    "torch.msort": [S(distinct(4, 3)), S(i(4))],
    "torch.topk": [
        S(distinct(3, 5), 2),
        S(distinct(3, 5), 2, 0, False),
        S(_NAN, 2),
        S(f(), 1),
        S(f(3), 4),
        S(distinct(6), 6),
    ],
    "torch.unique": [
        S(_REPEATED),
        S(_REPEATED, True, True, True),
        S(_ROWS, dim=0),
        S(_ROWS, return_inverse=True, return_counts=True, dim=0),
        S(_ROWS, dim=1),
        S(f(2, 2)).no_grad(),
        S(b(4)),
        S(i(0)),
        S(np.array(3.0, np.float32), True, True, True).no_grad(),
    ],
    "torch.unique_consecutive": [
        S(_REPEATED),
        S(_REPEATED, True, True),
        S(_ROWS, dim=0),
        S(_ROWS, return_inverse=True, return_counts=True),
        S(_ROWS, dim=1),
        S(np.zeros((2, 0, 3), np.float32), dim=1).no_grad(),
    ],
    "torch.searchsorted": [
        S(_EDGES, f(3, 4)),
        S(_EDGES, 0.5, right=True),
        S(_EDGES, 0.5, side="left"),
        S(np.sort(f(3, 4)), f(3, 2), out_int32=True),
        S(_EDGES, f(2), side="up"),
        S(f(4), f(2), sorter=np.array([0, 1, 2, 3])),
        S(f(2, 3), f(3, 2)),
    ],
    "torch.bucketize": [S(f(3, 4), _EDGES), S(0.5, _EDGES, right=True), S(f(2), f(2, 2))],
    "torch.isin": [
        S(_REPEATED, i(3)),
        S(_REPEATED, 3),
        S(3, _REPEATED).no_forms(),
        S(i(3, 3), i(3), invert=True),
        S(i(50), i(40)),
        S(f(3), f(3)),
    ],
    "torch.bincount": [
        S(np.abs(i(8))),
        S(np.abs(i(5)), f(5), 8).no_grad(),
        S(i(0), minlength=3),
        S(np.array([-1, 2])),
        S(f(3)),
        S(np.abs(i(4)), i(4)),
    ],
    "torch.histogram": [
        S(f(20), 4).no_grad(),
        S(f(20), _EDGES).no_grad(),
        S(f(20), 3, range=(-1.0, 1.0), density=True).no_grad(),
        S(f(5), 2, weight=f(5)).no_grad(),
        S(i(3), 2),
    ],
    "torch.histogramdd": [S(f(10, 2), [3, 4]).no_grad(), S(f(10, 2), 2).no_grad()],
}
