"""Matrix products with a sparse factor, as sums over its elements."""

from __future__ import annotations

from typing import Any

from .._ops.registry import ops
from .arithmetic import add, blocks_of, mul
from .layouts import to_dense
from .table import OWN, is_sparse, lacking, rule
from .tensors import (
    RULES,
    as_coo,
    coo,
    to_csr,
    to_layout,
)


def _times_dense(a: Any, d: Any) -> Any:
    """A sparse matrix times a dense one: rows of d, scaled and summed."""
    a = as_coo(a)
    if a.dim() != 2 or a.shape[1] != d.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({'x'.join(map(str, a.shape))} and "
            f"{'x'.join(map(str, d.shape))})"
        )
    values = a._v.unsqueeze(-1) if d.dim() == 2 else a._v
    rows = d.index_select(0, a._i[1]) * values
    zeros = ops.zeros((a.shape[0], *d.shape[1:]), dtype=rows.dtype, device=rows.device)
    return zeros.index_add(0, a._i[0], rows)


def _times_sparse(a: Any, b: Any) -> Any:
    """Two sparse matrices: every pair of a value of a and one of b that meet."""
    a, b = as_coo(a).coalesce(), as_coo(b).coalesce()
    starts = to_csr(b)._ptr
    first, counts = starts[a._i[1]], starts[a._i[1] + 1] - starts[a._i[1]]
    mine = ops.repeat_interleave(ops.arange(a._nnz()), counts)
    before = ops.repeat_interleave(counts.cumsum(0) - counts, counts)
    theirs = first[mine] + ops.arange(mine.numel()) - before
    places = ops.stack([a._i[0][mine], b._i[1][theirs]])
    found = coo(places, a._v[mine] * b._v[theirs], (a.shape[0], b.shape[1])).coalesce()
    return found


@rule("matmul", "__matmul__", "mm", "mv", "smm", "spmm", "dsmm", "hspmm")
def matmul(a: Any, b: Any, *, out: Any = None, reduce: str = "sum") -> Any:
    """a @ b of matrices, one or both of them sparse, or of a sparse matrix and a vector."""
    lacking("matmul", out=out, reduce=None if reduce == "sum" else reduce)
    if is_sparse(a) and is_sparse(b):
        return to_layout(_times_sparse(a, b), a.layout.name, blocks_of(a))
    if is_sparse(a):
        return _times_dense(a, b)
    if a.dim() == 1:
        return _times_dense(as_coo(b).t(), a)
    return _times_dense(as_coo(b).t(), a.t()).t()


def reduced(a: Any, d: Any, reduce: str) -> Any:
    """Rows of a dense matrix, scaled by a sparse one's values, joined by mean or extremes."""
    if reduce not in ("mean", "amax", "amin"):
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + reduce
        )
    a = as_coo(a)
    rows = d.index_select(0, a._i[1]) * a._v.unsqueeze(-1)
    zeros = ops.zeros((a.shape[0], *d.shape[1:]), dtype=rows.dtype, device=rows.device)
    place = a._i[0].unsqueeze(-1).expand_as(rows)
    return zeros.scatter_reduce(0, place, rows, reduce, include_self=False)


RULES["__rmatmul__"] = lambda a, b: matmul(b, a)
OWN.add("__rmatmul__")


@rule("addmm", "sspaddmm")
def addmm(
    input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None
) -> Any:
    """beta input + alpha (mat1 @ mat2)."""
    lacking("addmm", out=out)
    found = matmul(mat1, mat2)
    if is_sparse(found):
        return add(mul(input, beta), mul(found, alpha))
    left = to_dense(input)
    return (left if beta == 1 else left * beta) + (found if alpha == 1 else found * alpha)


@rule("bmm")
def bmm(input: Any, mat2: Any, *, out: Any = None) -> Any:
    """Batches of products, by way of dense ones."""
    lacking("bmm", out=out)
    return ops.bmm(to_dense(input), to_dense(mat2))
