"""Samples of indexing, gather, scatter and masks."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, b, f, i

_ROW = np.array([[0, 2, 1], [1, 0, 0]])  # positions along dimension 1 of (2, 3)
_SHORT = np.array([[0, 2]])
_TWICE = np.array([0, 0, 1])
_MASK = np.array([[True, False, True], [False, False, True]])
_OUT = np.array([[0, 7]])
_NEGATIVE = np.array([[0, -1]])
_ZEROS = np.array([[0.0, 2.0, 0.0], [1.5, 0.0, -1.0]], np.float32)
_TIES = np.array([[1.0, 2.0, 2.0], [2.0, 1.0, 1.0]], np.float32)

SAMPLES = {
    "Tensor.__getitem__": [
        S(f(3, 4), 1),
        S(f(3, 4), -1),
        S(f(3, 4), (0, 2)),
        S(f(3, 4), (slice(0, 2), 1)),
        S(f(3, 4), slice(None, None, 2)),
        S(f(3, 4), None),
        S(f(3, 4), Ellipsis),
        S(f(3, 4), (..., 1)),
        S(f(3, 4), [0, 2]),
        S(f(3, 4), np.array([0, 2, 2])),
        S(f(3, 4), (np.array([0, 2]), 1)),
        S(f(3, 4), (slice(None), np.array([0, 3]))).no_strides(),
        S(f(3, 4), np.array(1)),
        S(f(3, 4, 5), (np.array([0, 2]), slice(None), np.array([1, 1]))),
        S(f(3, 4, 5), (slice(None), np.array([0, 2]), np.array([[1], [0]]))).no_strides(),
        S(f(2, 3), _MASK),
        S(f(2, 3), (slice(None), np.array([True, False, True]))).no_strides(),
        S(f(3, 4), True),
        S(f(3, 4), False),
        S(f(), ()),
        S(f(), None),
        S(f(3, 4), 3),
        S(f(3, 4), (0, 0, 0)),
        S(f(), 0),
        S(f(3), slice(None, None, -1)),
        S(f(3), 1.5),
        S(f(3), np.array([5])),
        S(f(3), np.array([-4])),
        S(f(3), f(3)),
        S(f(3, 4), b(2)),
        S(i(3, 4), np.array([[0, 1], [2, 2]])),
        S(f(3, 4), np.array([], np.int64)),
    ],
    "torch.gather": [
        S(f(2, 3), 1, _ROW),
        S(f(2, 3), 1, _SHORT),
        S(f(2, 3), 0, np.array([[0, 1, 0]])),
        S(f(2, 3), -1, _ROW.astype(np.int32)),
        S(f(), 0, np.array(0)),
        S(f(2, 3), 1, _OUT),
        S(f(2, 3), 1, _NEGATIVE),
        S(f(2, 3), 1, f(2, 3)),
        S(f(2, 3), 1, np.array([0])),
        S(i(2, 3), 1, _ROW),
    ],
    "torch.take_along_dim": [
        S(f(2, 3), _ROW, 1),
        S(f(2, 3), np.array([[0], [1]]), 1),
        S(f(2, 3), np.array([0, 5])),
        S(f(2, 3), np.array([0]), 1),
    ],
    "torch.scatter": [
        S(f(2, 3), 1, _ROW[:, :2], f(2, 2)),
        S(f(2, 3), 1, _SHORT, 1.5),
        S(f(2, 3), 1, _SHORT, f(2, 3)).no_grad(),
        S(i(2, 3), 0, _SHORT * 0, i(1, 2)),
        S(f(2, 3), 1, _TWICE[None], f(1, 3)),
        S(f(2, 3), 1, _OUT, f(1, 2)),
        S(f(2, 3), 1, _NEGATIVE, 1.0),
        S(f(2, 3), 1, _SHORT, f(1, 1)),
        S(f(2, 3), 1, _SHORT, f(1, 2), reduce="add").no_grad().warns(),
        S(f(2, 3), 1, _SHORT, 2.0, reduce="multiply").no_grad().warns(),
        S(f(2, 3), 1, _SHORT, value=2),
    ],
    "torch.scatter_add": [
        S(f(2, 3), 1, _ROW, f(2, 3)),
        S(f(2, 3), 1, _TWICE[None], f(1, 3)),
        S(i(2, 3), 0, _SHORT * 0, i(1, 2)),
        S(f(2, 3), 1, _OUT, f(1, 2)),
        S(f(2, 3), 1, _SHORT, i(1, 2)),
    ],
    "torch.scatter_reduce": [
        *[
            S(f(2, 3), 1, _TWICE[None], f(1, 3), how)
            for how in ("sum", "prod", "mean", "amax", "amin")
        ],
        *[
            S(f(2, 3), 1, _TWICE[None], f(1, 3), how, include_self=False)
            for how in ("sum", "prod", "mean", "amax", "amin")
        ],
        S(_ZEROS, 1, _ROW * 0 + _TWICE, _ZEROS, "prod"),
        S(_TIES, 1, _ROW, _TIES, "amax"),
        S(_TIES, 1, _ROW, _TIES, "amin", include_self=False),
        S(i(2, 3), 1, _TWICE[None], i(1, 3), "mean"),
        S(f(2, 3), 1, _SHORT, f(1, 2), "median"),
    ],
    "torch.index_select": [
        S(f(3, 4), 0, np.array([2, 0, 0])),
        S(f(3, 4), 1, np.array([1])),
        S(f(3), 0, np.array(1)),
        S(f(), 0, np.array([0])),
        S(f(3, 4), 0, np.array([3])),
        S(f(3, 4), 0, np.array([-1])),
        S(f(3, 4), 0, _ROW),
        S(i(3, 4), 0, np.array([1], np.int32)),
    ],
    "torch.index_add": [
        S(f(3, 4), 0, np.array([2, 0]), f(2, 4)),
        S(f(3, 4), 1, _TWICE, f(3, 3)),
        S(f(3, 4), 0, np.array([2, 0]), f(2, 4), alpha=0.5),
        S(i(3), 0, _TWICE, i(3), alpha=2),
        S(f(3, 4), 0, np.array([3]), f(1, 4)),
        S(f(3, 4), 0, np.array([0]), f(2, 4)),
        S(b(3), 0, _TWICE, b(3)),
    ],
    "torch.index_copy": [
        S(f(3, 4), 0, np.array([2, 0]), f(2, 4)),
        S(f(3, 4), 1, np.array([1]), f(3, 1)),
        S(f(3, 4), 0, np.array([3]), f(1, 4)),
        S(f(3, 4), 0, np.array([0]), f(2, 4)),
    ],
    "torch.index_fill": [
        S(f(3, 4), 0, np.array([2, 0]), 1.5),
        S(f(3, 4), 1, np.array([-1]), f()).no_grad(),
        S(_ZEROS, 1, np.array([0, 2, 0]), np.array(1.5, np.float32)),
        S(i(3), 0, np.array([1]), 2),
        S(f(3), 0, np.array([3]), 1.0),
    ],
    "torch.index_reduce": [
        *[S(f(3, 4), 0, _TWICE, f(3, 4), how).warns() for how in ("prod", "mean", "amax", "amin")],
        *[
            S(f(3, 4), 0, _TWICE, f(3, 4), how, include_self=False).warns()
            for how in ("prod", "mean", "amax", "amin")
        ],
        S(f(3, 4), 0, _TWICE, f(3, 4), "sum").warns(),
    ],
    "torch.index_put": [
        S(f(3, 4), (np.array([0, 2]),), f(2, 4)),
        S(f(3, 4), (np.array([0, 2]), np.array([1, 1])), f()),
        S(f(3, 4), (_TWICE,), f(3, 4), accumulate=True),
        S(f(2, 3), (_MASK,), f(3)),
        S(f(3, 4), (np.array([0, 2]),), f(3)),
        S(f(3, 4), (np.array([5]),), f(4)),
        S(f(3, 4), (np.array([0]),), i(4)),
    ],
    "Tensor.index_put_": [S(f(3, 4), (np.array([0, 2]),), f(2, 4)).no_grad()],
    "torch.index_put_": [S(f(3, 4), (np.array([0, 2]),), f(2, 4)).no_grad()],
    "torch.take": [
        S(f(2, 3), np.array([0, 5, -1])),
        S(f(2, 3), _ROW),
        S(f(2, 3), np.array([6])),
        S(f(2, 3), f(2)),
    ],
    "torch.put": [
        S(f(2, 3), np.array([0, 5]), f(2)),
        S(f(2, 3), _TWICE, f(3), True),
        S(f(2, 3), np.array([6]), f(1)),
        S(f(2, 3), np.array([0]), f(2)),
    ],
    "torch.masked_fill": [
        S(f(2, 3), _MASK, 1.5),
        S(f(2, 3), _MASK[0], f()),
        S(i(2, 3), _MASK, 2),
        S(f(3), _MASK, -1.0).no_forms(),
        S(f(2, 3), b(2), 1.0),
        S(f(2, 3), _ROW, 1.0),
        S(b(2, 3), _MASK, True),
    ],
    "torch.masked_scatter": [
        S(f(2, 3), _MASK, f(6)),
        S(f(2, 3), _MASK[0], f(2, 2)),
        S(f(2, 3), _MASK, f(2)),
        S(i(2, 3), _MASK, i(3)),
    ],
    "torch.masked_select": [
        S(f(2, 3), _MASK),
        S(f(2, 3), _MASK[0]),
        S(f(2, 3), b(2)),
        S(f(2, 3), _ROW),
    ],
    "torch.nonzero": [
        S(_ZEROS).no_strides(),
        S(f()).no_strides(),
        S(_MASK, as_tuple=True).no_strides(),
        S(f(0)).no_strides(),
    ],
    "torch.argwhere": [S(_ZEROS).no_strides(), S(i(3)).no_strides()],
}
