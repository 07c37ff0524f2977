"""Making sparse tensors, with PyTorch's checks."""

from __future__ import annotations

import math
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics import dtypes
from .._basics.errors import not_supported
from .._ops.registry import ops
from .tensors import BSC, BSR, COMPRESSED, CSC, CSR, Compressed, compressed, coo, to_layout


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
    Raises: RuntimeError for indices outside of `size`, or shapes that do not fit.
    """
    if values is None or (isinstance(indices, int) and isinstance(values, int)):
        sizes = [indices, *([values] if values is not None else []), *more]
        shape = tuple(sizes[0]) if isinstance(sizes[0], list | tuple) else tuple(sizes)
        empty = ops.zeros((len(shape), 0), dtype=dtypes.int64, device=device)
        found = ops.zeros((0,), dtype=dtype, device=device)
        return coo(empty, found.requires_grad_(requires_grad), shape, False)
    places = _tensor(indices, device=device)
    if places.is_floating_point() or places.dtype is dtypes.bool_:
        raise RuntimeError(f"indices must be an int64 tensor, but got: {places.type()}")
    places = places.long()
    found = _tensor(values, dtype, device if device is not None else places.device)
    if places.dim() != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(places.shape)}")
    if found.dim() == 0:
        found = found.expand(places.shape[1])
    if places.shape[1] != found.shape[0]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {places.shape[1]}, "
            f"nnz from values: {found.shape[0]}"
        )
    shape = _checked_size(places, found, size)
    if requires_grad:
        found = found.detach().requires_grad_()
    return coo(places, found, shape, bool(is_coalesced))


def _checked_size(places: Any, values: Any, size: Any) -> tuple[int, ...]:
    if places.numel() and int(places.min().item()) < 0:
        dim = int((places.amin(1) < 0).long().argmax().item())
        raise RuntimeError(f"found negative index {int(places[dim].min().item())} for dim {dim}")
    top = (places.amax(1) + 1).tolist() if places.shape[1] else [0] * places.shape[0]
    if size is None:
        return (*top, *values.shape[1:])
    shape = tuple(size)
    if places.shape[0] + values.dim() - 1 != len(shape):
        raise RuntimeError(
            "number of dimensions must be sparse_dim "
            f"({places.shape[0]}) + dense_dim ({values.dim() - 1}), but got {len(shape)}"
        )
    for dim, (need, have) in enumerate(zip(top, shape, strict=False)):
        if need > have:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {have} but found index "
                f"{need - 1}"
            )
    if tuple(values.shape[1:]) != shape[places.shape[0] :]:
        raise RuntimeError(
            f"values has incorrect size, expected {[values.shape[0], *shape[places.shape[0] :]]}, "
            f"got {list(values.shape)}"
        )
    return shape


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
    along = size[1 if kind.by_column else 0]
    if kind.blocks:
        along //= found.shape[2 if kind.by_column else 1]
    if ptr.shape[0] != along + 1:
        what = ("ncols" if kind.by_column else "nrows") + ("blocks" if kind.blocks else "")
        raise RuntimeError(
            f"{ptr_name}.shape[-1] must be equal to {what} + 1 ({along + 1}), but got "
            f"{ptr.shape[0]}"
        )
    if idx.shape[0] != found.shape[0]:
        raise RuntimeError(
            f"number of {idx_name} elements must be the same as number of values elements, but got "
            f"{idx.shape[0]} and {found.shape[0]}"
        )
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
