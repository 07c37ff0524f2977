"""`torch.sparse`: COO tensors and compressed matrices.

Operators go through the values, so gradients reach them and the dense operands. What depends on
how many values there are (coalesce, to_sparse, products of two sparse matrices) reads indices on
the host.
"""

from __future__ import annotations

from typing import Any

from .._ops.registry import ops
from . import rules as _rules  # noqa: F401 - the methods of sparse tensors
from .construct import (
    sparse_bsc_tensor as sparse_bsc_tensor,
    sparse_bsr_tensor as sparse_bsr_tensor,
    sparse_compressed_tensor as sparse_compressed_tensor,
    sparse_coo_tensor as sparse_coo_tensor,
    sparse_csc_tensor as sparse_csc_tensor,
    sparse_csr_tensor as sparse_csr_tensor,
)
from .invariants import check_sparse_tensor_invariants as check_sparse_tensor_invariants
from .products import addmm as _addmm, matmul as _matmul, reduced as _reduced
from .reductions import log_softmax as _log_softmax, softmax as _softmax, sum_ as _sum
from .table import is_sparse as _is_sparse
from .tensors import RULES

__all__ = ["addmm", "log_softmax", "mm", "softmax", "spdiags", "sum"]


def mm(mat1: Any, mat2: Any, reduce: str = "sum") -> Any:
    """The product of two matrices, one of them sparse.

    Args:
        reduce: how the scaled rows of a dense `mat2` are joined: "sum", "mean", "amax", "amin".
    """
    if reduce != "sum":
        return _reduced(mat1, mat2, reduce)
    return _matmul(mat1, mat2) if _is_sparse(mat1) or _is_sparse(mat2) else ops.mm(mat1, mat2)


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: Any = 1.0, alpha: Any = 1.0) -> Any:
    """beta mat + alpha (mat1 @ mat2)."""
    return _addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sum(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of a sparse tensor, or along dims."""
    return _sum(input, dim, dtype=dtype)


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Softmax over the values that are stored."""
    return _softmax(input, dim, dtype)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The logarithm of `softmax`."""
    return _log_softmax(input, dim, dtype)


def sampled_addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1.0, alpha: Any = 1.0) -> Any:
    """(beta input + alpha (mat1 @ mat2)) at the places of a CSR matrix `input`."""
    rows, cols = input._places()
    found = (mat1.index_select(0, rows) * mat2.index_select(1, cols).t()).sum(-1)
    return input._like(input._v * beta + found * alpha)


def spdiags(diagonals: Any, offsets: Any, shape: Any, layout: Any = None) -> Any:
    """A sparse matrix with the given diagonals."""
    values, where = ops.atleast_2d(diagonals), offsets.reshape(-1).tolist()
    rows, cols, found = [], [], []
    for k, offset in enumerate(where):
        first = max(0, offset)
        last = min(shape[1], shape[0] + offset, values.shape[1])
        col = ops.arange(first, max(first, last))
        rows.append(col - offset)
        cols.append(col)
        found.append(values[k, first : max(first, last)])
    places = ops.stack([ops.cat(rows), ops.cat(cols)])
    made = sparse_coo_tensor(places, ops.cat(found), tuple(shape))
    return made if layout is None else RULES["to_sparse"](made, layout=layout)
