"""What each operator does with sparse tensors; also the methods of their class."""

from __future__ import annotations

import functools
import math
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics import dtypes
from .._basics.errors import not_supported
from .._ops.protocol.overriding import DisableTorchFunctionSubclass
from .._ops.registry import linalg, nnf, ops
from .tensors import (
    COO,
    RULES,
    Compressed,
    SparseTensor,
    as_coo,
    compressed,
    coo,
    to_csr,
    to_layout,
    transposed,
)

_OWN: set[str] = set()  # names that are methods too


def rule(*names: str, method: bool = True) -> Any:
    """Register a function under operators' names."""

    def register(fn: Any) -> Any:
        for name in names:
            RULES[name] = fn
            if method:
                _OWN.add(name)
        return fn

    return register


def _lacking(name: str, **options: Any) -> None:
    """Refuse options of an operator that its rule has no meaning for.

    Raises: NotSupportedError.
    """
    for option, value in options.items():
        if value is not None and value is not False and value != ():
            raise not_supported(
                f"{name}({option}=...) of sparse tensors", "its result, or to_dense"
            )


def is_sparse(x: Any) -> bool:
    """Whether `x` is a sparse tensor."""
    return isinstance(x, SparseTensor)


# --- layouts and copies -------------------------------------------------------------------------


@rule("to_dense")
def to_dense(x: Any, dtype: Any = None, *, masked_grad: Any = None) -> Any:
    """The dense tensor."""
    if not is_sparse(x):
        return x
    x = as_coo(x)
    count = x.sparse_dim()
    shape, rest = x.shape[:count], x.shape[count:]
    zeros = ops.zeros((math.prod(shape), *rest), dtype=x._v.dtype, device=x._v.device)
    dense = zeros.index_add(0, x._flat(), x._v).reshape(*shape, *rest)
    return dense if dtype is None else dense.to(dtype)


@rule("to_sparse", "to_sparse_coo")
def to_sparse(x: Any, *args: Any, layout: Any = None, **kwargs: Any) -> Any:
    """The tensor in COO (or another) layout."""
    _lacking("to_sparse", sparse_dim=args, dense_dim=kwargs.get("dense_dim"))
    return to_layout(x, getattr(layout, "name", "sparse_coo"), kwargs.get("blocksize"))


RULES["to_sparse_csr"] = lambda x, *args: to_csr(x)
RULES["to_sparse_csc"] = lambda x, *args: to_layout(x, "sparse_csc")
RULES["to_sparse_bsr"] = lambda x, blocksize, *args: to_layout(x, "sparse_bsr", blocksize)
RULES["to_sparse_bsc"] = lambda x, blocksize, *args: to_layout(x, "sparse_bsc", blocksize)
_OWN.update(("to_sparse_csr", "to_sparse_csc", "to_sparse_bsr", "to_sparse_bsc"))


@rule("coalesce")
def _coalesce(x: Any) -> Any:
    return x.coalesce()


def _by_values(name: str, zero_stays: bool = True) -> None:
    """An operator that works on each value, and leaves zeros zero."""

    def apply(x: Any, *args: Any, **kwargs: Any) -> Any:
        x = x.coalesce() if isinstance(x, COO) else x
        found = getattr(ops, name, None) or getattr(nnf, name)
        return x._like(found(x._v, *args, **kwargs))

    RULES[name] = apply
    _OWN.add(name)


for _name in (
    "abs", "neg", "sign", "sqrt", "sin", "tan", "tanh", "asin", "atan", "sinh", "asinh", "atanh",
    "ceil", "floor", "round", "trunc", "expm1", "log1p", "relu", "erf", "erfinv", "deg2rad",
    "rad2deg", "positive", "isnan", "isinf", "nan_to_num", "square", "conj", "leaky_relu",
    "dropout",
):  # fmt: skip
    _by_values(_name)
RULES["__neg__"] = RULES["neg"]
RULES["__abs__"] = RULES["abs"]
RULES["negative"] = RULES["neg"]


def _same_places(name: str) -> None:
    def apply(x: Any, *args: Any, **kwargs: Any) -> Any:
        return x._like(getattr(x._v, name)(*args, **kwargs))

    RULES[name] = apply
    _OWN.add(name)


for _name in ("float", "double", "half", "bfloat16", "int", "long", "detach", "type"):
    _same_places(_name)


@rule("clone")
def clone(x: Any, *, memory_format: Any = None) -> Any:
    """Indices and values copied.

    Raises: RuntimeError for any memory format.
    """
    if memory_format is not None:
        kind = "".join(part.title() for part in memory_format.name.split("_") if part != "format")
        raise RuntimeError(f"unsupported memory format option {kind}")
    if isinstance(x, Compressed):
        return x._like(x._v.clone())
    return coo(x._i.clone(), x._v.clone(), x.shape, x._coalesced)


@rule("to", "cpu", "cuda")
def _to(x: Any, *args: Any, **kwargs: Any) -> Any:
    values = x._v.to(*args, **kwargs)
    if values.device == x._v.device:
        return x._like(values)
    if isinstance(x, Compressed):
        device = values.device
        return compressed(type(x), x._ptr.to(device), x._idx.to(device), values, x.shape)
    return coo(x._i.to(values.device), values, x.shape, x._coalesced)


RULES["cpu"] = lambda x, *a, **k: _to(x, "cpu")
RULES["cuda"] = lambda x, device="cuda", *a, **k: _to(x, device)


@rule("pow", "__pow__")
def _pow(x: Any, exponent: Any) -> Any:
    if isinstance(exponent, TensorBase) or exponent <= 0:
        raise RuntimeError("pow of a sparse tensor needs a positive number as its exponent")
    x = x.coalesce() if isinstance(x, COO) else x
    return x._like(x._v**exponent)


# --- arithmetic ---------------------------------------------------------------------------------


def _blocksize(x: Any) -> Any:
    return tuple(x._v.shape[1:3]) if isinstance(x, Compressed) and x.blocks else None


def _is_number(x: Any) -> bool:
    return not isinstance(x, TensorBase) or (x.dim() == 0 and not is_sparse(x))


def _joined(a: Any, b: Any, alpha: Any) -> Any:
    a, b = as_coo(a), as_coo(b)
    if a.shape != b.shape:
        raise RuntimeError(
            f"add: Expected sizes of 'self' and 'other' to match, but {list(a.shape)} != "
            f"{list(b.shape)}"
        )
    other = b._v if alpha == 1 else b._v * alpha
    return coo(ops.cat([a._i, b._i], 1), ops.cat([a._v, other]), a.shape)


@rule("add", "__add__", "__radd__")
def add(a: Any, b: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """a + alpha b; with a dense operand the result is dense."""
    _lacking("add", out=out)
    if is_sparse(a) and is_sparse(b):
        found = _joined(a, b, alpha).coalesce()
        return to_layout(found, a.layout.name, _blocksize(a))
    if _is_number(a) or _is_number(b):
        raise RuntimeError("add(sparse, number) is not supported: the result is dense. Use "
                           "to_dense() first.")  # fmt: skip
    return ops.add(to_dense(a), to_dense(b), alpha=alpha)


@rule("sub", "__sub__", "subtract")
def sub(a: Any, b: Any, *, alpha: Any = 1) -> Any:
    """a - alpha b."""
    return add(a, b, alpha=-alpha)


RULES["__rsub__"] = lambda a, b: sub(b, a)
_OWN.add("__rsub__")


@rule("mul", "__mul__", "__rmul__", "multiply")
def mul(a: Any, b: Any, *, out: Any = None) -> Any:
    """a b: at the places of both, or of the sparse one."""
    _lacking("mul", out=out)
    if is_sparse(a) and _is_number(b):
        return a._like(a._v * b)
    if is_sparse(b) and _is_number(a):
        return b._like(b._v * a)
    if not is_sparse(a):
        a, b = b, a
    if isinstance(a, Compressed):
        return to_layout(mul(as_coo(a), b), a.layout.name, _blocksize(a))
    a = as_coo(a).coalesce()
    dense = to_dense(b)
    if dense.shape != a.shape:
        dense = dense.expand(a.shape)
    found = coo(a._i, a._v * dense[tuple(a._i)], a.shape, True)
    if not is_sparse(b):
        return found
    kept = to_dense(coo(b._i, ops.ones_like(b._v), b.shape))[tuple(a._i)] != 0
    while kept.dim() > 1:
        kept = kept.any(-1)
    return coo(found._i[:, kept], found._v[kept], a.shape, True)


@rule("div", "__truediv__", "divide", "true_divide")
def div(a: Any, b: Any, *, rounding_mode: Any = None) -> Any:
    """a / b of a number b."""
    if not is_sparse(a) or not _is_number(b):
        raise RuntimeError("Sparse division requires a scalar or zero-dim dense tensor divisor "
                           f"(got shape {list(getattr(b, 'shape', ()))} for divisor)")  # fmt: skip
    x = a.coalesce() if isinstance(a, COO) else a
    return x._like(ops.div(x._v, b, rounding_mode=rounding_mode))


# --- products -----------------------------------------------------------------------------------


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
    _lacking("matmul", out=out, reduce=None if reduce == "sum" else reduce)
    if is_sparse(a) and is_sparse(b):
        return to_layout(_times_sparse(a, b), a.layout.name, _blocksize(a))
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
_OWN.add("__rmatmul__")


@rule("addmm", "sspaddmm")
def addmm(
    input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None
) -> Any:
    """beta input + alpha (mat1 @ mat2)."""
    _lacking("addmm", out=out)
    found = matmul(mat1, mat2)
    if is_sparse(found):
        return add(mul(input, beta), mul(found, alpha))
    left = to_dense(input)
    return (left if beta == 1 else left * beta) + (found if alpha == 1 else found * alpha)


@rule("bmm")
def bmm(input: Any, mat2: Any, *, out: Any = None) -> Any:
    """Batches of products, by way of dense ones."""
    _lacking("bmm", out=out)
    return ops.bmm(to_dense(input), to_dense(mat2))


# --- movement -----------------------------------------------------------------------------------


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
    _lacking("cat", out=out)
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
    _lacking("stack", out=out)
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


# --- reductions ---------------------------------------------------------------------------------


@rule("sum")
def sum_(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of all, or along dims: sparse while a sparse dim is left."""
    _lacking("sum", keepdim=keepdim)
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
    _lacking("norm", dim=dim, keepdim=keepdim, dtype=dtype)
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


# --- what is not in place, of memory or of autograd ---------------------------------------------


@rule("sparse_mask")
def sparse_mask(x: Any, mask: Any) -> Any:
    """The values of `x` at the places of `mask`."""
    dense = to_dense(x)
    if isinstance(mask, Compressed):
        return mask._like(dense[tuple(as_coo(mask)._i)].reshape(mask._v.shape))
    return coo(mask._i, dense[tuple(mask._i)], mask.shape, mask._coalesced)


@rule("backward")
def backward(x: Any, gradient: Any = None, *args: Any, **kwargs: Any) -> None:
    """Backward from the values."""
    x._v.backward(None if gradient is None else gradient._v, *args, **kwargs)


@rule("zeros_like", method=False)
def zeros_like(x: Any, **kwargs: Any) -> Any:
    """A sparse tensor without values."""
    _lacking("zeros_like", layout=kwargs.get("layout"))
    values = x._v[:0].to(kwargs.get("dtype") or x._v.dtype)
    return coo(x._i[:, :0], values, x.shape, True)


@rule("zero_")
def zero_(x: Any) -> Any:
    """Take all values out."""
    x._i, x._v, x._coalesced = x._i[:, :0], x._v[:0].detach(), True
    return x


@rule("mul_", "__imul__")
def mul_(x: Any, other: Any) -> Any:
    """Scale the values in place."""
    x._v.mul_(other)
    return x


@rule("detach_")
def detach_(x: Any) -> Any:
    """Forget the history of the values."""
    x._v = x._v.detach()
    return x


@rule("size")
def size(x: Any, dim: int | None = None) -> Any:
    """The shape, or one size."""
    return x.shape if dim is None else x.shape[dim]


def _of_shape(name: str) -> None:
    """A question that the shape and dtype answer."""
    plain = getattr(COO, name)

    def ask(x: Any, *args: Any) -> Any:
        with DisableTorchFunctionSubclass():
            return plain(x, *args)

    RULES[name] = ask


for _name in ("numel", "nelement", "dim", "ndimension", "element_size", "is_floating_point",
              "is_complex", "is_signed", "get_device"):  # fmt: skip
    _of_shape(_name)
    _OWN.add(_name)


@rule("is_same_size")
def is_same_size(x: Any, other: Any) -> bool:
    """Whether both have the same shape."""
    return bool(x.shape == other.shape)


@rule("allclose", "equal", method=False)
def equal(a: Any, b: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether the dense tensors are."""
    compare = ops.allclose if args or kwargs else ops.equal
    return bool(compare(to_dense(a), to_dense(b), *args, **kwargs))


RULES["allclose"] = lambda a, b, *args, **kwargs: bool(
    ops.allclose(to_dense(a), to_dense(b), *args, **kwargs)
)


def _dense_inplace(x: Any, other: Any, *, alpha: Any = 1) -> Any:
    """x += alpha other of a dense x and a sparse other."""
    if is_sparse(x):
        found = _joined(x, other, alpha)
        x._i, x._v, x._coalesced = found._i, found._v, False
        return x
    other = as_coo(other)
    values = other._v * alpha if alpha != 1 else other._v
    return x.index_put_(tuple(other._i), values.to(x.dtype), accumulate=True)


RULES["add_"] = RULES["__iadd__"] = _dense_inplace
RULES["sub_"] = RULES["__isub__"] = lambda x, other, *, alpha=1: _dense_inplace(
    x, other, alpha=-alpha
)
_OWN.update(("add_", "sub_", "__iadd__", "__isub__"))


def attach() -> None:
    """Make the rules methods of the class."""
    for name in _OWN:
        if name not in vars(COO) and name not in vars(SparseTensor) and name != "coalesce":
            setattr(SparseTensor, name, functools.partialmethod(_call, name))


def _call(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    return RULES[name](self, *args, **kwargs)


attach()
