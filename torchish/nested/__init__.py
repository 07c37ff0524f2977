"""`torch.nested`: batches of tensors that differ in size.

The jagged layout packs samples along the one dim in which they differ; the strided layout (the
default, as in PyTorch) is a list of tensors.
"""

from __future__ import annotations

from typing import Any

from .._autograd.grad_mode import grad_mode
from .._autograd.tensor_base import TensorBase
from .._basics import dtypes
from .._basics.errors import not_supported
from .._ops.registry import nnf, ops
from .._ops.shared.layout_type import jagged, strided as strided_layout
from ._internal.nested_tensor import (
    NestedBase,
    _rebuild_njt as _rebuild_njt,
    jagged_from_list,
    jagged_from_tensor_and_lengths,
    nested_view_from_values_offsets,
    nested_view_from_values_offsets_lengths,
)
from ._strided import strided

__all__ = [
    "as_nested_tensor", "masked_select", "narrow", "nested_tensor", "nested_tensor_from_jagged",
    "to_padded_tensor",
]  # fmt: skip


def _checked(tensors: list[Any]) -> None:
    """Refuse constituents of different dims or dtypes."""
    for k, t in enumerate(tensors):
        if t.dim() != tensors[0].dim():
            raise RuntimeError(
                "All Tensors given to nested_tensor must have the same dimension. Found dimension "
                f"{t.dim()} for Tensor at index {k} and dimension {tensors[0].dim()} for Tensor at "
                "index 0."
            )
        if t.dtype != tensors[0].dtype:
            raise RuntimeError("All Tensors given to nested_tensor must have the same dtype")


def nested_tensor(
    tensor_list: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """A leaf that copies a list of tensors (or of anything `torch.tensor` takes).

    Args:
        layout: ``torch.jagged``, or ``torch.strided`` (the default).
    Raises: RuntimeError for tensors that do not fit together.
    """
    with grad_mode(False):
        parts = [t.detach() if isinstance(t, TensorBase) else ops.tensor(t) for t in tensor_list]
        if layout is jagged:
            made, _ = jagged_from_list(parts, None, dtype, device)
            return made.requires_grad_(requires_grad)
        _check_layout(layout, "nested tensors")
        _checked(parts)
        copies = [t.to(device=device, dtype=dtype).clone() for t in parts]
    return strided(copies).requires_grad_(requires_grad)


def as_nested_tensor(ts: Any, dtype: Any = None, device: Any = None, layout: Any = None) -> Any:
    """A nested tensor of a list of tensors, or of the rows of one, that gradients flow through.

    Raises: TypeError for anything else; RuntimeError for a tensor of one dim.
    """
    listed = isinstance(ts, list | tuple) and all(isinstance(t, TensorBase) for t in ts)
    if not isinstance(ts, TensorBase) and not listed:
        raise TypeError(
            "as_nested_tensor(): Expected first argument to be a tensor or a list / tuple of "
            "tensors "
        )
    if isinstance(ts, NestedBase):
        if layout is not ts.layout:
            raise RuntimeError(
                "as_nested_tensor(): Converting between nested tensor layouts is not supported"
            )
        return ts.to(device=device, dtype=dtype)
    if isinstance(ts, TensorBase) and ts.dim() < 2:
        raise RuntimeError("as_nested_tensor(): Expected tensor argument to have dim() > 1")
    if layout is not jagged:
        _check_layout(layout, "nested tensors")
        parts = list(ts.unbind(0)) if isinstance(ts, TensorBase) else list(ts)
        _checked(parts)
        return strided([t.to(device=device, dtype=dtype) for t in parts])
    if not isinstance(ts, TensorBase):
        return jagged_from_list(list(ts), None, dtype, device)[0]
    batch, width = ts.shape[:2]
    values = ts.to(device=device, dtype=dtype).flatten(0, 1)
    offsets = ops.arange(batch + 1, dtype=dtypes.int64, device=values.device) * width
    return nested_view_from_values_offsets(values, offsets, 1, width, width)


def _check_layout(layout: Any, what: str) -> None:
    if layout not in (None, strided_layout):
        raise RuntimeError(f"Specified layout is unsupported for {what}: {layout}")


def nested_tensor_from_jagged(
    values: Any, offsets: Any = None, lengths: Any = None, jagged_dim: int | None = None,
    min_seqlen: int | None = None, max_seqlen: int | None = None,
) -> Any:  # fmt: skip
    """The jagged tensor whose samples are packed in `values` along ``jagged_dim - 1``.

    Args:
        offsets: where samples begin, and the end; or `lengths`; both where samples leave holes.
    Raises: RuntimeError without either; ValueError for a ``jagged_dim`` below 1.
    """
    if offsets is None:
        if lengths is None:
            raise RuntimeError(
                "nested_tensor_from_jagged(): At least one of offsets or lengths is required."
            )
        offsets, lengths = nnf.pad(lengths.cumsum(0), (1, 0)), None
    if jagged_dim is None:
        jagged_dim = 1
    elif jagged_dim < 1:
        raise ValueError(f"Expected jagged_dim >=1, but got {jagged_dim}.")
    return nested_view_from_values_offsets_lengths(
        values, offsets, lengths, jagged_dim, min_seqlen, max_seqlen
    )


def to_padded_tensor(input: Any, padding: float, output_size: Any = None, out: Any = None) -> Any:
    """A dense tensor in which shorter constituents are followed by `padding`.

    Raises: NotSupportedError for `out`.
    """
    if out is not None:
        raise not_supported("nested.to_padded_tensor(out=...)", "its result")
    return input.to_padded_tensor(padding, output_size)


def narrow(tensor: Any, dim: int, start: Any, length: Any, layout: Any = strided_layout) -> Any:
    """Of each row of a dense tensor, `length` elements from `start`.

    Args:
        start, length: numbers, or (jagged layout) a number for each row.
    Raises: RuntimeError for tensors in the strided layout, or another dim than 1 in the jagged.
    """
    for name, value in (("start", start), ("length", length)):
        if not isinstance(value, int | TensorBase):
            raise RuntimeError(f"{name} must be an integer or a tensor")
    if layout is jagged:
        if dim != 1:
            raise RuntimeError("jagged layout only supports dim=1")
        start, length = (
            x if isinstance(x, TensorBase) else
            ops.tensor([x], dtype=dtypes.int64, device=tensor.device)
            for x in (start, length)
        )  # fmt: skip
        return jagged_from_tensor_and_lengths(tensor, start, length)[0]
    _check_layout(layout, "nested narrow")
    if isinstance(start, TensorBase) or isinstance(length, TensorBase):
        raise RuntimeError("start and length must be integers for the strided layout NT impl")
    return as_nested_tensor(tensor.unbind(0)).narrow(dim, start, length)


def masked_select(tensor: Any, mask: Any) -> Any:
    """The jagged tensor of each row's elements where the mask is true.

    Raises: RuntimeError for tensors that are not strided.
    """
    for what, x in (("tensor, given", tensor), ("mask, given:", mask)):
        if x.layout is not strided_layout:
            raise RuntimeError(f"torch.nested.masked_select requires a strided {what} {x.layout}")
    counts = mask.expand(tensor.shape).sum(tensor.dim() - 1).reshape(-1)
    offsets = nnf.pad(counts.cumsum(0), (1, 0))
    return nested_view_from_values_offsets(tensor.masked_select(mask), offsets)
