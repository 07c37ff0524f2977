"""Views between complex tensors and their real and imaginary parts."""

from __future__ import annotations

from typing import Any

from ..._autograd.tensor_base import view_of
from ..._basics import dtypes
from ..._basics.dtypes import SCALAR_NAMES
from ..registry import composite, ops


@composite()
def view_as_real(input: Any) -> Any:
    """A complex tensor as a real one with a last dim of 2."""
    dt = input._aval.dtype
    if not dt.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if input._conjugated:
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate "
            "tensor so you can view it as real, use self.resolve_conj(); however, be warned that "
            "the resulting tensor will NOT alias the original."
        )
    return view_of(
        input,
        "ViewAsRealBackward0",
        lambda s, t, o: ((*s, 2), (*[2 * x for x in t], 1), 2 * o),
        elements=dt.to_real(),
    )


@composite()
def view_as_complex(input: Any) -> Any:
    """A real tensor with a last dim of 2 as a complex one."""
    dt, shape, strides = input._aval.dtype, input._aval.shape, input._strides
    if dt not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {SCALAR_NAMES[dt]}"
        )
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if strides[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % 2 for s, n in zip(strides[:-1], shape[:-1], strict=True) if n != 1):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if input._offset % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return view_of(
        input,
        "ViewAsComplexBackward0",
        lambda s, t, o: (s[:-1], tuple(x // 2 for x in t[:-1]), o // 2),
        elements=dt.to_complex(),
    )


@composite()
def real(input: Any) -> Any:
    """The real parts (a view; a real tensor itself)."""
    if not input._aval.dtype.is_complex:
        return input
    return ops.select(view_as_real(_plain(input)), -1, 0)


@composite()
def imag(input: Any) -> Any:
    """The imaginary parts (a view).

    Raises: RuntimeError for real tensors.
    """
    if not input._aval.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    parts = view_as_real(_plain(input))
    return ops.select(_neg_view(parts) if input._conjugated else parts, -1, 1)


def _plain(input: Any) -> Any:
    return conj(input) if input._conjugated else input


@composite()
def _neg_view(input: Any) -> Any:
    """The negative, as a view: writes to either show in the other."""
    return view_of(input, "NegViewBackward0", lambda s, t, o: (s, t, o), flip=True)


@composite()
def conj(input: Any) -> Any:
    """The conjugate, as a view (a real tensor itself)."""
    if not input._aval.dtype.is_complex:
        return input
    return view_of(input, "ConjBackward0", lambda s, t, o: (s, t, o), flip=True)
