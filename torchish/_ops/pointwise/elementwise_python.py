"""Methods that call a Python function for every element, and other small ones of Tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._autograd.interop import host_array, wrap_host
from ..call.operator import broadcast_check
from ..registry import composite, ops


def _mapped(target: Any, function: Callable[..., Any], *tensors: Any) -> Any:
    """Write function(a, b, ...) of the elements into `target`."""
    shape = broadcast_check([tuple(t.shape) for t in (target, *tensors)])
    arrays = [np.broadcast_to(host_array(t.detach()), shape) for t in (target, *tensors)]
    flat = [
        function(*(x.item() for x in items))
        for items in zip(*(a.flat for a in arrays), strict=True)
    ]
    return target.copy_(wrap_host(np.array(flat, target.dtype.np).reshape(shape)))


@composite(into=("method",))
def apply_(self: Any, callable: Callable[[Any], Any]) -> Any:
    """Replace each element x by `callable(x)`; slow, on the CPU."""
    if self.requires_grad:
        raise RuntimeError("Can't call apply_() on Variable that requires grad. Use "
                           "var.detach().apply_() instead.")  # fmt: skip
    return _mapped(self, callable)


@composite(into=("method",))
def map_(self: Any, tensor: Any, callable: Callable[[Any, Any], Any]) -> Any:
    """Replace each element a by `callable(a, b)` with b from `tensor`; slow, on the CPU."""
    if self.requires_grad:
        raise RuntimeError("Can't call map_() on Variable that requires grad. Use "
                           "var.detach().map_() instead.")  # fmt: skip
    return _mapped(self, callable, tensor)


@composite(into=("method",))
def map2_(self: Any, x: Any, y: Any, callable: Callable[[Any, Any, Any], Any]) -> Any:
    """Replace each element a by `callable(a, b, c)` with b, c from `x`, `y`; slow, on the CPU."""
    if self.requires_grad:
        raise RuntimeError("Can't call map2_() on Variable that requires grad. Use "
                           "var.detach().map2_() instead.")  # fmt: skip
    return _mapped(self, callable, x, y)


@composite(into=("method",))
def is_nonzero(self: Any) -> bool:
    """Whether the one element is not zero."""
    return bool(self)


@composite(into=("method",))
def is_same_size(self: Any, other: Any) -> bool:
    """Whether both have the same shape."""
    return bool(self.shape == other.shape)


@composite(out="exact")
def nonzero_static(input: Any, *, size: int, fill_value: int = -1) -> Any:
    """`nonzero` cut or padded with `fill_value` to `size` rows.

    Raises: RuntimeError for a negative size.
    """
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = ops.nonzero(input)[:size]
    pad = size - found.shape[0]
    if pad:
        rest = found.new_full((pad, found.shape[1]), fill_value)
        found = ops.cat([found, rest])
    return found.contiguous()


@composite(into=("method",))
def record_stream(self: Any, stream: Any) -> None:
    """Nothing to do: XLA orders the uses of a buffer itself."""


@composite(into=("method",))
def to_dense(self: Any, dtype: Any = None, *, masked_grad: bool = True) -> Any:
    """The tensor itself: every tensor here is dense."""
    return self if dtype is None else self.to(dtype)


@composite(into=("method",))
def dense_dim(self: Any) -> int:
    """The number of dimensions: every tensor here is dense."""
    return int(self.dim())


@composite(into=("method",))
def sparse_dim(self: Any) -> int:
    """Zero: every tensor here is dense."""
    return 0


@composite()
def is_distributed(input: Any) -> bool:
    """Whether the tensor is spread over processes (never)."""
    return False
