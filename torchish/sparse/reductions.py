"""Sums, norms and softmaxes over what is stored."""

from __future__ import annotations

import math
from typing import Any

from .._basics import dtypes
from .._ops.registry import linalg, ops
from .table import lacking, rule
from .tensors import (
    COO,
    as_coo,
    coo,
)


@rule("sum")
def sum_(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of all, or along dims: sparse while a sparse dim is left."""
    lacking("sum", keepdim=keepdim)
    values = x._v if dtype is None else x._v.to(dtype)
    if dim is None:
        return values.sum()
    x = as_coo(x)
    dims = {d % x.dim() for d in ([dim] if isinstance(dim, int) else dim)}
    count = x.sparse_dim()
    dense = [d - count + 1 for d in dims if d >= count]
    values = values.sum(dense) if dense else values
    kept = [d for d in range(count) if d not in dims]
    if not kept:
        found = values.sum(0)
        return found
    size = [n for d, n in enumerate(x.shape) if d not in dims]
    return coo(x._i[kept], values, size, len(kept) == count and x._coalesced).coalesce()


@rule("norm")
def norm(x: Any, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The norm of the values."""
    lacking("norm", dim=dim, keepdim=keepdim, dtype=dtype)
    x = x.coalesce() if isinstance(x, COO) else x
    return linalg.vector_norm(x._v, 2 if p in (None, "fro") else p)


def _softmax(x: Any, dim: int, log: bool) -> Any:
    x = as_coo(x).coalesce()
    at = dim % x.dim()
    if at >= x.sparse_dim():
        found = (ops.log_softmax if log else ops.softmax)(x._v, at - x.sparse_dim() + 1)
        return x._like(found)
    group = ops.zeros((x._nnz(),), dtype=dtypes.int64, device=x._i.device)
    for d in range(x.sparse_dim()):
        if d != at:
            group = group * x.shape[d] + x._i[d]
    _, which = ops.unique(group, return_inverse=True)
    count = int(which.max().item()) + 1 if x._nnz() else 0
    shape = (count, *x._v.shape[1:])
    index = which.reshape(-1, *[1] * (x._v.dim() - 1)).expand(x._v.shape)
    low = ops.full(shape, -math.inf, dtype=x._v.dtype, device=x._v.device)
    top = low.scatter_reduce(0, index, x._v.detach(), "amax")
    off = x._v - top.index_select(0, which)
    zeros = ops.zeros(shape, dtype=x._v.dtype, device=x._v.device)
    total = zeros.index_add(0, which, off.exp()).index_select(0, which)
    return x._like(off - total.log() if log else off.exp() / total)


@rule("softmax")
def softmax(input: Any, dim: int, dtype: Any = None, **kwargs: Any) -> Any:
    """Softmax over the values that are stored, along `dim`."""
    return _softmax(input if dtype is None else input.to(dtype), dim, False)


@rule("log_softmax")
def log_softmax(input: Any, dim: int, dtype: Any = None, **kwargs: Any) -> Any:
    """The logarithm of `softmax`."""
    return _softmax(input if dtype is None else input.to(dtype), dim, True)
