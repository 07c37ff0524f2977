"""Sums and products of sparse tensors, elementwise, with others and with numbers."""

from __future__ import annotations

from typing import Any

from .._autograd.tensor_base import TensorBase
from .._ops.registry import ops
from .layouts import to_dense
from .table import OWN, is_sparse, lacking, rule
from .tensors import (
    COO,
    RULES,
    Compressed,
    as_coo,
    coo,
    to_layout,
)


def blocks_of(x: Any) -> Any:
    return tuple(x._v.shape[1:3]) if isinstance(x, Compressed) and x.blocks else None


def _is_number(x: Any) -> bool:
    return not isinstance(x, TensorBase) or (x.dim() == 0 and not is_sparse(x))


def joined(a: Any, b: Any, alpha: Any) -> Any:
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
    lacking("add", out=out)
    if is_sparse(a) and is_sparse(b):
        found = joined(a, b, alpha).coalesce()
        return to_layout(found, a.layout.name, blocks_of(a))
    if _is_number(a) or _is_number(b):
        raise RuntimeError("add(sparse, number) is not supported: the result is dense. Use "
                           "to_dense() first.")  # fmt: skip
    return ops.add(to_dense(a), to_dense(b), alpha=alpha)


@rule("sub", "__sub__", "subtract")
def sub(a: Any, b: Any, *, alpha: Any = 1) -> Any:
    """a - alpha b."""
    return add(a, b, alpha=-alpha)


RULES["__rsub__"] = lambda a, b: sub(b, a)
OWN.add("__rsub__")


@rule("mul", "__mul__", "__rmul__", "multiply")
def mul(a: Any, b: Any, *, out: Any = None) -> Any:
    """a b: at the places of both, or of the sparse one."""
    lacking("mul", out=out)
    if is_sparse(a) and _is_number(b):
        return a._like(a._v * b)
    if is_sparse(b) and _is_number(a):
        return b._like(b._v * a)
    if not is_sparse(a):
        a, b = b, a
    if isinstance(a, Compressed):
        return to_layout(mul(as_coo(a), b), a.layout.name, blocks_of(a))
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


def _dense_inplace(x: Any, other: Any, *, alpha: Any = 1) -> Any:
    """x += alpha other of a dense x and a sparse other."""
    if is_sparse(x):
        found = joined(x, other, alpha)
        x._i, x._v, x._coalesced = found._i, found._v, False
        return x
    other = as_coo(other)
    values = other._v * alpha if alpha != 1 else other._v
    return x.index_put_(tuple(other._i), values.to(x.dtype), accumulate=True)


RULES["add_"] = RULES["__iadd__"] = _dense_inplace
RULES["sub_"] = RULES["__isub__"] = lambda x, other, *, alpha=1: _dense_inplace(
    x, other, alpha=-alpha
)
OWN.update(("add_", "sub_", "__iadd__", "__isub__"))
