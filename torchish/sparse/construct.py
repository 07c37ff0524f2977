"""Making sparse tensors, with PyTorch's checks."""

from __future__ import annotations

import math
from typing import Any

from .._autograd.interop import host_array
from .._autograd.tensor_base import TensorBase
from .._basics import dtypes
from .._basics.errors import not_supported
from .._ops.registry import ops
from .invariants import check_compressed, check_coo, check_not_negative, is_asked
from .tensors import (
    BSC,
    BSR,
    COMPRESSED,
    CSC,
    CSR,
    Compressed,
    SparseTensor,
    compressed,
    coo,
    to_layout,
)


def _tensor(value: Any, dtype: Any = None, device: Any = None) -> Any:
    if isinstance(value, TensorBase):
        wanted = {k: v for k, v in (("dtype", dtype), ("device", device)) if v is not None}
        return value.to(**wanted) if wanted else value
    return ops.tensor(value, dtype=dtype, device=device)


def sparse_coo_tensor(
    indices: Any, values: Any = None, size: Any = None, *more: Any, dtype: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None, is_coalesced: bool | None = None,
) -> Any:  # fmt: skip
    """A COO tensor: `indices` (ndim x nnz) and `values` (nnz x ...).

    `sparse_coo_tensor(size)` is one without values.
    Raises: RuntimeError for shapes that do not fit and, with `check_invariants=True` or inside of
        `torch.sparse.check_sparse_tensor_invariants()`, for indices outside of `size`.
    """
    if values is None or (isinstance(indices, int) and isinstance(values, int)):
        sizes = [indices, *([values] if values is not None else []), *more]
        shape = tuple(sizes[0]) if isinstance(sizes[0], list | tuple) else tuple(sizes)
        empty = ops.zeros((len(shape), 0), dtype=dtypes.int64, device=device)
        found = ops.zeros((0,), dtype=dtype, device=device)
        return coo(empty, found.requires_grad_(requires_grad), shape, False)
    places = _tensor(indices, device=device).long()
    found = _tensor(values, dtype, device if device is not None else places.device)
    if isinstance(found, SparseTensor):
        raise RuntimeError("expected values to be a dense tensor, but got values of layout Sparse")
    if found.dim() == 0:
        found = found.reshape(1)
    asked = is_asked(check_invariants)
    if size is None:
        _check_parts(places, found)
        size = _smallest(places, found)
    elif asked:
        _check_parts(places, found)
    shape = tuple(size)
    _check_size(places, found, shape)
    if asked:
        check_coo(places, shape, bool(is_coalesced))
    if shape and min(shape) < 0:
        raise RuntimeError("numel: integer multiplication overflow")
    if requires_grad:
        found = found.detach().requires_grad_()
    return coo(places, found, shape, bool(is_coalesced))


def _check_parts(places: Any, values: Any) -> None:
    """Raise torch's errors for indices and values that do not fit each other."""
    if places.dim() == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    if places.dim() != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(places.shape)}")
    if places.shape[1] != values.shape[0]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {places.shape[1]}, "
            f"nnz from values: {values.shape[0]}"
        )


def _smallest(places: Any, values: Any) -> tuple[int, ...]:
    """The size that holds all indices."""
    rows = host_array(places)
    check_not_negative(rows)
    top = (rows.max(1) + 1).tolist() if rows.shape[1] else [0] * len(rows)
    return (*top, *values.shape[1:])


def _check_size(places: Any, values: Any, shape: tuple[int, ...]) -> None:
    """Raise torch's errors for a size of other dims than indices and values have."""
    if places.dim() == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    sparse, dense = places.shape[0], values.dim() - 1
    if sparse + dense != len(shape):
        raise RuntimeError(
            "'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = "
            f"{len(shape)}, sparse_dim = {sparse}, dense_dim = {dense}"
        )
    _check_parts(places, values)
    expected = [values.shape[0], *shape[sparse:]]
    if list(values.shape) != expected:
        got = list(values.shape)
        raise RuntimeError(f"values has incorrect size, expected {expected}, got {got}")


def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, **kwargs: Any
) -> Any:  # fmt: skip
    """A CSR matrix: row r has the values from crow[r] to crow[r + 1].

    Raises: RuntimeError for shapes that do not fit.
    """
    return _compressed(CSR, crow_indices, col_indices, values, size, **kwargs)


def sparse_csc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, **kwargs: Any
) -> Any:
    """A CSC matrix: column c has the values from ccol[c] to ccol[c + 1].

    Raises: RuntimeError for shapes that do not fit.
    """
    return _compressed(CSC, ccol_indices, row_indices, values, size, **kwargs)


def sparse_bsr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, **kwargs: Any
) -> Any:
    """A matrix of blocks (count x height x width), compressed by rows of blocks.

    Raises: RuntimeError for shapes that do not fit.
    """
    return _compressed(BSR, crow_indices, col_indices, values, size, **kwargs)


def sparse_bsc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, **kwargs: Any
) -> Any:
    """A matrix of blocks (count x height x width), compressed by columns of blocks.

    Raises: RuntimeError for shapes that do not fit.
    """
    return _compressed(BSC, ccol_indices, row_indices, values, size, **kwargs)


def _inferred(kind: type[Compressed], ptr: Any, idx: Any, values: Any) -> tuple[int, int]:
    """The smallest size that holds the values."""
    along, across = ptr.shape[0] - 1, int(idx.max().item()) + 1 if idx.numel() else 0
    size = (across, along) if kind.by_column else (along, across)
    if kind.blocks:
        size = (size[0] * values.shape[1], size[1] * values.shape[2])
    return size


def _compressed(
    kind: type[Compressed], ptr: Any, idx: Any, values: Any, size: Any = None, *,
    dtype: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None, layout: Any = None,
) -> Any:  # fmt: skip
    ptr_name, idx_name = ("ccol_indices", "row_indices") if kind.by_column else (
        "crow_indices", "col_indices")  # fmt: skip
    ptr, idx = _tensor(ptr, device=device), _tensor(idx, device=device)
    found = _tensor(values, dtype, device)
    if ptr.dim() != 1:
        raise not_supported("batches of compressed matrices", "a list of them")
    if size is None:
        size = _inferred(kind, ptr, idx, found)
    if found.dim() < 1 + 2 * kind.blocks:
        raise RuntimeError(
            "values must have dimensionality > sum of batch and block dimensionalities "
            f"(=0 + {2 * kind.blocks}) but got {found.dim()}"
        )
    block = tuple(found.shape[1:3]) if kind.blocks else (1, 1)
    along = size[1] // block[1] if kind.by_column else size[0] // block[0]
    if ptr.shape[0] != along + 1:
        what = "column" if kind.by_column else "row"
        raise RuntimeError(
            f"{ptr_name}.shape[-1] must be equal to the number of {what}"
            f"{' blocks' if kind.blocks else 's'} + 1 (={along + 1}), but got {ptr.shape[0]}"
        )
    if idx.shape[0] != found.shape[0]:
        raise RuntimeError(
            f"{idx_name}.shape[-1] must be equal to nnz (={found.shape[0]}) as defined by "
            f"values.shape[0], but got {idx.shape[0]}"
        )
    if is_asked(check_invariants):
        check_compressed(kind, (ptr_name, idx_name), ptr, idx, size, block)
    if requires_grad:
        found = found.detach().requires_grad_()
    return compressed(kind, ptr, idx, found, tuple(size))


def sparse_compressed_tensor(
    compressed_indices: Any, plain_indices: Any, values: Any, size: Any = None, *,
    layout: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """A matrix in one of the compressed layouts.

    Raises: RuntimeError for another layout.
    """
    kind = COMPRESSED.get(getattr(layout, "name", ""))
    if kind is None:
        raise RuntimeError(
            "sparse_compressed_tensor expected sparse compressed tensor layout but got "
            + "".join(part.title() for part in str(layout).rpartition(".")[2].split("_"))
        )
    return _compressed(kind, compressed_indices, plain_indices, values, size, **kwargs)


def from_dense(x: Any, sparse_dim: int | None = None, *, layout: Any = None, **kwargs: Any) -> Any:
    """The elements of a dense tensor that are not zero."""
    name = getattr(layout, "name", "sparse_coo")
    count = x.dim() if sparse_dim is None else sparse_dim
    flags = x.detach() != 0
    if count < x.dim():
        flags = flags.reshape(*x.shape[:count], math.prod(x.shape[count:])).any(-1)
    places = ops.nonzero(flags).T.contiguous()
    made = coo(places, x[tuple(places)], x.shape, True)
    return to_layout(made, name, kwargs.get("blocksize"))
