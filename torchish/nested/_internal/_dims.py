"""Views, parts and joins of jagged tensors; dims keep their numbers, the ragged one stays."""

from __future__ import annotations

from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics.errors import not_supported
from ..._ops.registry import nnf, ops
from ._elementwise import beside
from ._table import RULES, rule
from .nested_tensor import (
    NestedTensor,
)


def inner_dim(
    x: NestedTensor, dim: int, name: str, batch: bool = False, ragged: bool = False
) -> int:
    """The values' dim for a dim of the nested tensor (-1: the batch).

    Raises: RuntimeError for the batch or ragged dim where these are not meant.
    """
    n = x.dim()
    if not -n <= dim < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [-{n}, {n - 1}], but got {dim})"
        )
    dim %= n
    if dim == 0 and not batch:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    if dim == x._ragged_idx and not ragged:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
    return dim - 1


@rule("transpose", "swapaxes", "swapdims")
def transpose(x: NestedTensor, dim0: int, dim1: int) -> Any:
    """Two dims exchanged; the ragged one may be one of them."""
    a, b = dim0 % x.dim(), dim1 % x.dim()
    r = x._ragged_idx
    if r in (a, b) and 0 in (a, b):
        raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
    if 0 in (a, b):
        raise RuntimeError("transpose(): not supported for NestedTensor on dim=0")
    moved = b if a == r else a if b == r else r
    return x.like(x._values.transpose(a - 1, b - 1), moved)


@rule("permute")
def permute(x: NestedTensor, *dims: Any) -> Any:
    """Dims in another order; the batch stays the first."""
    order = [d % x.dim() for d in (dims[0] if len(dims) == 1 else dims)]
    if order[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    return x.like(x._values.permute([d - 1 for d in order[1:]]), order.index(x._ragged_idx))


@rule("view", "reshape", "view_as", "reshape_as")
def view(x: NestedTensor, *size: Any) -> Any:
    """Another shape of the same batch and ragged dim."""
    first = size[0]
    if isinstance(first, TensorBase):
        wanted: tuple[Any, ...] = tuple(first.shape)
    else:
        wanted = tuple(first) if len(size) == 1 and not isinstance(first, int) else size
    shape, r = tuple(x.shape), x._ragged_idx
    fits = len(wanted) > r and wanted[0] in (shape[0], -1) and wanted[r] in (shape[r], -1)
    if r != 1 and wanted != shape:
        raise RuntimeError(
            f"view(): does not support ragged_idx != 1 except when inp._size == size. inp._size is "
            f"({shape}) and size is ({wanted})."
        )
    if len(wanted) < 3 or not fits:
        raise RuntimeError(f"view(): cannot view shape {shape} as {wanted}")
    inner = [x._values.shape[r - 1] if k == r else n for k, n in enumerate(wanted)][1:]
    return x.like(x._values.reshape(inner))


@rule("flatten")
def flatten(x: NestedTensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dims that are neither the batch nor ragged, as one."""
    first, last = inner_dim(x, start_dim, "flatten"), inner_dim(x, end_dim, "flatten")
    if first <= x._ragged_idx - 1 <= last:
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    r = x._ragged_idx - (last - first if last < x._ragged_idx - 1 else 0)
    return x.like(x._values.flatten(first, last), r)


@rule("unflatten")
def unflatten(x: NestedTensor, dim: int, sizes: Any) -> Any:
    """One dim as several."""
    at = inner_dim(x, dim, "unflatten")
    more = len(tuple(sizes)) - 1
    return x.like(
        x._values.unflatten(at, sizes), x._ragged_idx + (more if at < x._ragged_idx - 1 else 0)
    )


@rule("squeeze")
def squeeze(x: NestedTensor, dim: int) -> Any:
    """Without a dim of size 1."""
    at = inner_dim(x, dim, "squeeze")
    gone = x._values.shape[at] == 1 and at < x._ragged_idx - 1
    return x.like(x._values.squeeze(at), x._ragged_idx - gone)


@rule("unsqueeze")
def unsqueeze(x: NestedTensor, dim: int) -> Any:
    """With a new dim of size 1."""
    at = dim % (x.dim() + 1)
    if at == 0:
        raise RuntimeError("unsqueeze(): not supported for NestedTensor on dim=0")
    return x.like(x._values.unsqueeze(at - 1), x._ragged_idx + (at <= x._ragged_idx))


@rule("select")
def select(x: NestedTensor, dim: int, index: int) -> Any:
    """One index of a dim: a sample, or a nested tensor of one dim less."""
    at = inner_dim(x, dim, "select", batch=True)
    if at < 0:
        return unbind(x)[index]
    return x.like(x._values.select(at, index), x._ragged_idx - (at < x._ragged_idx - 1))


@rule("narrow")
def narrow(x: NestedTensor, dim: int, start: int, length: int) -> Any:
    """A range of a dim."""
    return x.like(x._values.narrow(inner_dim(x, dim, "narrow"), start, length))


@rule("chunk")
def chunk(x: NestedTensor, chunks: int, dim: int = 0) -> Any:
    """Parts of a dim, or of the batch."""
    at = inner_dim(x, dim, "chunk", batch=True)
    if at >= 0:
        return tuple(x.like(part) for part in x._values.chunk(chunks, at))
    counts = x._offsets.diff().chunk(chunks)
    sizes = [int(c.sum().item()) for c in counts]
    parts = x._values.split(sizes, x._ragged_idx - 1)
    return tuple(
        NestedTensor(part, nnf.pad(c.cumsum(0), (1, 0)), _ragged_idx=x._ragged_idx)
        for part, c in zip(parts, counts, strict=True)
    )


@rule("split", "split_with_sizes")
def split(x: NestedTensor, split_size: Any, dim: int = 0) -> Any:
    """Parts of a dim, by size."""
    parts = x._values.split(split_size, inner_dim(x, dim, "split"))
    return tuple(x.like(part) for part in parts)


@rule("unbind")
def unbind(x: NestedTensor, dim: int = 0) -> Any:
    """The samples."""
    if dim != 0:
        raise RuntimeError("unbind(): only supported for NestedTensor on dim=0")
    r, sizes = x._ragged_idx - 1, x.sample_lengths()
    if x._lengths is None:
        return tuple(x._values.split(sizes, r))
    spans = zip(x.sample_starts(), sizes, strict=True)
    return tuple(x._values.narrow(r, start, size) for start, size in spans)


RULES["__iter__"] = lambda x: iter(unbind(x))
RULES["__len__"] = lambda x: int(x.shape[0])


@rule("__getitem__")
def getitem(x: NestedTensor, index: Any) -> Any:
    """x[sample], x[:, :, a:b] and the like."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if isinstance(parts[0], int):
        sample = unbind(x)[parts[0]]
        return sample[tuple(parts[1:])] if parts[1:] else sample
    if ... in parts:
        at = parts.index(...)
        parts[at : at + 1] = [slice(None)] * (x.dim() - len(parts) + 1)
    whole = slice(None)
    parts += [whole] * (x.dim() - len(parts))
    if parts[0] != whole or parts[x._ragged_idx] != whole or None in parts:
        raise not_supported("this index of nested tensors", "unbind()")
    gone = sum(isinstance(p, int) for p in parts[1 : x._ragged_idx])
    return x.like(x._values[tuple(parts[1:])], x._ragged_idx - gone)


@rule("cat", "concat", "concatenate")
def cat(tensors: Any, dim: int = 0) -> Any:
    """Nested tensors of the same places, joined along a dense dim."""
    first = next(x for x in tensors if isinstance(x, NestedTensor))
    if dim % first.dim() == 0:
        raise not_supported("cat of nested tensors along the batch", "nested_tensor of all samples")
    at = inner_dim(first, dim, "cat")
    return first.like(ops.cat([beside("cat", first, x) for x in tensors], at))


@rule("expand_as", "expand")
def expand(x: Any, *size: Any) -> Any:
    """A tensor that broadcasts to a nested one."""
    other = size[0]
    if isinstance(x, NestedTensor):
        wanted = tuple(other.shape) if isinstance(other, TensorBase) else tuple(
            other if len(size) == 1 and not isinstance(other, int) else size)  # fmt: skip
        inner = [x._values.shape[x._ragged_idx - 1] if k == x._ragged_idx else n
                 for k, n in enumerate(wanted)][1:]  # fmt: skip
        return x.like(x._values.expand(inner))
    return ops.zeros_like(other) + x
