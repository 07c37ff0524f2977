"""From layout to layout, copies, and operators that work on each value and leave zeros zero."""

from __future__ import annotations

import math
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._ops.registry import nnf, ops
from .table import OWN, is_sparse, lacking, rule
from .tensors import (
    COO,
    RULES,
    Compressed,
    as_coo,
    compressed,
    coo,
    to_csr,
    to_layout,
)


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
    lacking("to_sparse", sparse_dim=args, dense_dim=kwargs.get("dense_dim"))
    return to_layout(x, getattr(layout, "name", "sparse_coo"), kwargs.get("blocksize"))


RULES["to_sparse_csr"] = lambda x, *args: to_csr(x)
RULES["to_sparse_csc"] = lambda x, *args: to_layout(x, "sparse_csc")
RULES["to_sparse_bsr"] = lambda x, blocksize, *args: to_layout(x, "sparse_bsr", blocksize)
RULES["to_sparse_bsc"] = lambda x, blocksize, *args: to_layout(x, "sparse_bsc", blocksize)
OWN.update(("to_sparse_csr", "to_sparse_csc", "to_sparse_bsr", "to_sparse_bsc"))


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
    OWN.add(name)


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
    OWN.add(name)


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
