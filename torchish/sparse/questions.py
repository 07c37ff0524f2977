"""What one asks of a sparse tensor, and what is neither memory's nor autograd's: masks, zeros."""

from __future__ import annotations

from typing import Any

from .._ops.protocol.overriding import DisableTorchFunctionSubclass
from .._ops.registry import ops
from .layouts import to_dense
from .table import OWN, lacking, rule
from .tensors import (
    COO,
    RULES,
    Compressed,
    as_coo,
    coo,
)


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
    lacking("zeros_like", layout=kwargs.get("layout"))
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
    OWN.add(_name)


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
