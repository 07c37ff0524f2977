"""To padded and from masked tensors, and comparisons of whole jagged tensors."""

from __future__ import annotations

from typing import Any

from ..._ops.registry import nnf, ops
from ._elementwise import beside
from ._table import rule
from .nested_tensor import (
    NestedTensor,
    numbers,
    to_padded,
)


@rule("to_padded_tensor")
def to_padded_tensor(x: NestedTensor, padding: float, output_size: Any = None) -> Any:
    """A dense tensor with each sample followed by `padding`.

    Raises: RuntimeError for samples with holes.
    """
    if x._lengths is not None:
        raise RuntimeError("to_padded_tensor(): not supported for nested tensors with holes")
    return to_padded(x, padding, None if output_size is None else output_size[x._ragged_idx])


@rule("masked_select")
def masked_select(x: NestedTensor, mask: NestedTensor) -> Any:
    """The elements of each sample where the mask is true."""
    if x.dim() > 2:
        raise RuntimeError("masked_select only support 2-D selections currently")
    if x.shape != mask.shape:
        raise RuntimeError(
            f"Mask with shape {mask.shape} is not compatible with input's shape {x.shape}"
        )
    kept = mask._values
    before = nnf.pad(kept.cumsum(0), (1, 0))
    return NestedTensor(x._values.masked_select(kept), before[x._offsets])


@rule("is_same_size")
def is_same_size(a: NestedTensor, b: NestedTensor) -> bool:
    """Whether the shapes are the same."""
    return bool(a.shape == b.shape)


@rule("allclose")
def allclose(a: NestedTensor, b: NestedTensor, *args: Any, **kwargs: Any) -> bool:
    """Whether all samples are close."""
    return bool(ops.allclose(a._values, beside("allclose", a, b), *args, **kwargs))


@rule("equal")
def equal(a: NestedTensor, b: NestedTensor) -> bool:
    """Whether all samples are equal."""
    same = numbers(a._offsets) == numbers(b._offsets)
    return same and bool(ops.equal(a._values, b._values))
