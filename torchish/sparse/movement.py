"""Elements in other places: transposed, joined, selected; indices change, values stay."""

from __future__ import annotations

from typing import Any

from .._basics import dtypes
from .._basics.errors import not_supported
from .._ops.registry import ops
from .table import lacking, rule
from .tensors import (
    Compressed,
    as_coo,
    coo,
    transposed,
)


@rule("transpose", "swapaxes", "swapdims")
def transpose(x: Any, dim0: int, dim1: int) -> Any:
    """Two sparse dims exchanged."""
    count = x.dim()
    if isinstance(x, Compressed):
        return transposed(x) if dim0 % count != dim1 % count else x
    order = list(range(count))
    i, j = dim0 % count, dim1 % count
    if max(i, j) >= x.sparse_dim():
        raise not_supported("transposing dense dims of sparse tensors", "to_dense()")
    order[i], order[j] = order[j], order[i]
    size = [x.shape[k] for k in order]
    rows = [x._i[k] for k in order[: x.sparse_dim()]]
    return coo(ops.stack(rows), x._v, size, x._coalesced and i == j)


@rule("t")
def t(x: Any) -> Any:
    """The transpose of a matrix."""
    return transpose(x, 0, 1) if x.dim() > 1 else x


@rule("unsqueeze")
def unsqueeze(x: Any, dim: int) -> Any:
    """A new sparse dim of size 1."""
    at = dim % (x.dim() + 1)
    if at > x.sparse_dim():
        raise not_supported("unsqueeze among dense dims of sparse tensors", "to_dense()")
    zero = ops.zeros((1, x._nnz()), dtype=dtypes.int64, device=x._i.device)
    size = (*x.shape[:at], 1, *x.shape[at:])
    return coo(ops.cat([x._i[:at], zero, x._i[at:]]), x._v, size, x._coalesced)


@rule("cat", "concat", "concatenate", method=False)
def cat(tensors: Any, dim: int = 0, *, out: Any = None) -> Any:
    """Sparse tensors one after the other."""
    lacking("cat", out=out)
    parts = [as_coo(x) for x in tensors]
    at = dim % parts[0].dim()
    if at >= parts[0].sparse_dim():
        values = ops.cat([x._v for x in parts], at - parts[0].sparse_dim() + 1)
        size = [*parts[0].shape]
        size[at] = sum(x.shape[at] for x in parts)
        return coo(parts[0]._i, values, size, parts[0]._coalesced)
    moved, offset = [], 0
    for x in parts:
        shift = ops.zeros((x.sparse_dim(), 1), dtype=dtypes.int64, device=x._i.device)
        shift[at] = offset
        moved.append(x._i + shift)
        offset += x.shape[at]
    size = [*parts[0].shape]
    size[at] = offset
    return coo(ops.cat(moved, 1), ops.cat([x._v for x in parts]), size)


@rule("stack", method=False)
def stack(tensors: Any, dim: int = 0, *, out: Any = None) -> Any:
    """Sparse tensors along a new dim."""
    lacking("stack", out=out)
    return cat([unsqueeze(as_coo(x), dim) for x in tensors], dim)


@rule("select")
def select(x: Any, dim: int, index: int) -> Any:
    """One index of a sparse dim."""
    x, at = as_coo(x), dim % x.dim()
    if at >= x.sparse_dim():
        raise not_supported("select of dense dims of sparse tensors", "to_dense()")
    kept = x._i[at] == index % x.shape[at]
    rows = [k for k in range(x.sparse_dim()) if k != at]
    size = [n for k, n in enumerate(x.shape) if k != at]
    if not rows:
        return x._v[kept].sum(0)
    return coo(x._i[rows][:, kept], x._v[kept], size, x._coalesced)


@rule("index_select")
def index_select(x: Any, dim: int, index: Any) -> Any:
    """Some indices of a sparse dim, in their order."""
    x = as_coo(x).coalesce()
    at = dim % x.dim()
    which, place = ops.nonzero(x._i[at][None] == index[:, None]).unbind(1)
    indices = x._i[:, place].clone()
    indices[at] = which
    size = [*x.shape]
    size[at] = index.numel()
    return coo(indices, x._v[place], size)


@rule("__getitem__")
def getitem(x: Any, index: Any) -> Any:
    """x[int] or x[ints]."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(p, int) for p in parts):
        raise not_supported("indexing sparse tensors by more than numbers", "index_select")
    for p in parts:
        x = select(x, 0, p)
    return x
