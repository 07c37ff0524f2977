"""Reductions and softmaxes: along the ragged dim by sample, or through a padded tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._ops.registry import nnf, ops
from ._dims import inner_dim, unbind
from ._table import RULES
from .nested_tensor import (
    NestedTensor,
    from_padded,
    sample_of_each,
    to_padded,
)


def _dims_of(x: NestedTensor, dim: Any, name: str) -> tuple[list[int], bool, bool]:
    """Inner dims, and whether the batch and the ragged dim are among them."""
    dims = [dim] if isinstance(dim, int) else list(dim)
    n = x.dim()
    dims = [d % n for d in dims]
    ragged, batch = x._ragged_idx in dims, 0 in dims
    if batch and not ragged:
        raise RuntimeError(
            f"{name}(): reducing along the batch dimension but not the ragged dimension is not "
            "supported for nested tensors"
        )
    if ragged and not batch and len(dims) > 1:
        raise RuntimeError(
            f"{name}(): reducing along a ragged and non-batch dimension is not supported for "
            "nested tensors"
        )
    if ragged and x._lengths is not None:
        raise RuntimeError(
            f"{name}(): reducing across the ragged dimension is not supported for non-contiguous "
            "nested tensors with holes"
        )
    return [d - 1 for d in dims if d > 0], batch, ragged


def _over_ragged(x: NestedTensor, name: str, keepdim: bool, fill: Any) -> Any:
    """A reduction of each sample's ragged dim: a dense tensor."""
    r = x._ragged_idx
    if name in ("sum", "mean"):
        first = x._values.movedim(r - 1, 0)
        zeros = first.new_zeros((x.shape[0], *first.shape[1:]))
        found = zeros.index_add(0, sample_of_each(x), first)
        if name == "mean":
            counts = x._offsets.diff().to(found.dtype)
            found = found / counts.reshape(-1, *[1] * (found.dim() - 1))
        return found.unsqueeze(r) if keepdim else found
    return getattr(ops, name)(to_padded(x, fill), dim=r, keepdim=keepdim)


def _extreme(x: NestedTensor, lowest: bool) -> Any:
    """The number that a maximum (minimum) never is, for padding."""
    if x._values.dtype.is_floating_point:
        return float("-inf") if lowest else float("inf")
    from ..._namespace.limits import iinfo

    info = iinfo(x._values.dtype)
    return info.min if lowest else info.max


_FILLS: dict[str, Callable[[NestedTensor], Any]] = {
    "sum": lambda x: 0, "mean": lambda x: 0, "prod": lambda x: 1, "any": lambda x: False,
    "all": lambda x: True, "amax": lambda x: _extreme(x, True),
    "amin": lambda x: _extreme(x, False), "max": lambda x: _extreme(x, True),
    "min": lambda x: _extreme(x, False), "argmax": lambda x: _extreme(x, True),
    "argmin": lambda x: _extreme(x, False),
}  # fmt: skip


def _reduction(name: str) -> None:
    def reduce(x: NestedTensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None,
               out: Any = None) -> Any:  # fmt: skip
        work = x if dtype is None else x.like(x._values.to(dtype))
        fn = getattr(ops, name)
        if dim is None or (isinstance(dim, tuple | list) and not dim):
            return fn(packed(work))
        dims, batch, ragged = _dims_of(work, dim, name)
        if ragged and not batch:
            return _over_ragged(work, name, keepdim, _FILLS[name](work))
        which = dims[0] if isinstance(dim, int) else dims
        found = fn(work._values, dim=which, keepdim=keepdim)
        if batch:
            return found.unsqueeze(0) if keepdim else found
        r = work._ragged_idx - (0 if keepdim else sum(d < work._ragged_idx - 1 for d in dims))
        if isinstance(found, tuple):
            return type(found)(work.like(part, r) for part in found)
        return work.like(found, r)

    RULES[name] = reduce


def packed(x: NestedTensor) -> Any:
    """The elements of samples, without holes."""
    if x._lengths is None:
        return x._values
    return ops.cat([part.flatten() for part in unbind(x)])


for _name in _FILLS:
    _reduction(_name)


def _softmax(name: str) -> Callable[..., Any]:
    def apply(x: NestedTensor, dim: int, *args: Any, **kwargs: Any) -> Any:
        at = inner_dim(x, dim, "softmax", ragged=True)
        dtype = kwargs.get("dtype")
        if at != x._ragged_idx - 1:
            return x.like(getattr(nnf, name)(x._values, dim=at, dtype=dtype))
        if x._lengths is not None:
            raise RuntimeError(
                "softmax(): not supported where lengths is not None if reducing across the ragged "
                "dimension for NestedTensor"
            )
        padded = getattr(nnf, name)(to_padded(x, float("-inf")), dim=x._ragged_idx, dtype=dtype)
        return from_padded(padded, x)

    return apply


RULES["softmax"], RULES["log_softmax"] = _softmax("softmax"), _softmax("log_softmax")
