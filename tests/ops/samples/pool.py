"""Samples of pooling."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, distinct, f, i, pos, unit

_FLAT = np.array([[[5, 7, 2], [1, 8, 4]]], np.int64)


def _nd(nd: int) -> tuple[int, ...]:
    return (7, 6, 5)[:nd]


def _maximum(nd: int) -> list:
    x = distinct(2, 3, *_nd(nd))
    ties = np.round(f(2, 2, *_nd(nd)))
    return [
        S(x, 2),
        S(ties, 3, 2, 1),
        S(ties, 2, 1, 1, ceil_mode=True, return_indices=True),
        S(x[0], 2, 2, 1, 2, return_indices=True),
        S(x, 9),
        S(x, 2, padding=2),
        S(f(*_nd(nd)), 2),
    ]


def _average(nd: int) -> list:
    x = f(2, 3, *_nd(nd))
    return [
        S(x, 2),
        S(x, 3, 2, 1),
        S(x, 3, 2, 1, True, False),
        S(x[0], 2, 1),
        S(x, 9),
        S(i(2, 3, *_nd(nd)), 2),
    ]


def _adaptive_average(nd: int) -> list:
    x = f(2, 3, *_nd(nd))
    return [S(x, 1), S(x, 3), S(x[0], 4), S(x, (2,) * (nd + 1)), S(i(2, 3, *_nd(nd)), 2)]


def _adaptive_maximum(nd: int) -> list:
    x = distinct(2, 3, *_nd(nd))
    return [S(x, 3), S(x[0], 4, return_indices=True), S(x, (2,) * (nd + 1))]


SAMPLES = {
    **{f"nn.functional.max_pool{nd}d": _maximum(nd) for nd in (1, 2, 3)},
    **{f"nn.functional.avg_pool{nd}d": _average(nd) for nd in (1, 2, 3)},
    **{f"nn.functional.adaptive_avg_pool{nd}d": _adaptive_average(nd) for nd in (1, 2, 3)},
    **{f"nn.functional.adaptive_max_pool{nd}d": _adaptive_maximum(nd) for nd in (1, 2, 3)},
    "torch.max_pool2d": [S(distinct(2, 3, 6, 6), 2).no_forms()],
    "torch.max_pool1d_with_indices": [S(distinct(2, 3, 6), 2).no_forms()],
    "torch.adaptive_max_pool1d": [S(distinct(2, 3, 7), 3).no_forms()],
    "nn.functional.lp_pool1d": [S(pos(2, 3, 7), 2, 3)],
    "nn.functional.lp_pool2d": [
        S(pos(2, 3, 6, 6), 3, 2, stride=1),
        S(distinct(2, 3, 6, 6), float("inf"), 2),
    ],
    "nn.functional.max_unpool1d": [
        S(f(1, 2, 3), _FLAT, 3),
        S(f(1, 2, 3), _FLAT, 3, output_size=[10]),
        S(f(1, 2, 3), _FLAT + 9, 3),
    ],
    "nn.functional.max_unpool2d": [
        S(f(1, 2, 1, 3), _FLAT[:, :, None], (2, 2)),
        S(f(1, 2, 1, 3), _FLAT[:, :1, None], (2, 2)),
    ],
    "nn.functional.fractional_max_pool2d": [
        S(
            distinct(2, 3, 8, 7), 2, output_size=3, return_indices=True,
            _random_samples=unit(2, 3, 2),
        ).no_grad(),
        S(distinct(2, 3, 8, 7), 2, output_size=3),
        S(distinct(2, 3, 8, 7), 2),
    ],
    "nn.functional.fractional_max_pool3d": [
        S(distinct(2, 2, 6, 5, 7), 2, output_size=3),
        S(np.zeros((0, 1, 4, 5, 4), np.float32), 2, output_size=2),
    ],
}  # fmt: skip
