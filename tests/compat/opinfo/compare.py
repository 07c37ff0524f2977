"""What it means for two results to be equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import torchish

from .convert import numpy_of

# Relative and absolute tolerance by dtype: the precision of the dtype with some room for sums.
TOLERANCE = {
    "float64": (1e-8, 1e-9), "complex128": (1e-8, 1e-9), "float32": (1e-4, 1e-5),
    "complex64": (1e-4, 1e-5), "float16": (4e-3, 4e-3), "bfloat16": (2e-2, 2e-2),
    "complex32": (4e-3, 4e-3),
}  # fmt: skip
# A gradient adds up more roundings than a value.
GRADIENT = 5.0


class Differs(Exception):
    """Two results are not equal; the text says how."""


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor of either library."""
    return isinstance(value, torch.Tensor) or hasattr(value, "_storage")


def leaves(value: Any) -> list[Any]:
    """The leaves of nested sequences and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size | torchish.Size):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def same_dtype(own: Any, theirs: Any, what: str) -> None:
    """Raise Differs unless the dtypes have the same name."""
    a, b = str(own.dtype), str(theirs.dtype)
    if a != b:
        raise Differs(f"{what}dtype {a} instead of {b}")


def same_layout(own: Any, theirs: Any) -> None:
    """Results with memory of their own are laid out as torch's, dimensions of size 1 aside."""
    for x, y in zip(leaves(own), leaves(theirs), strict=True):
        if isinstance(y, torch.Tensor) and y.numel():
            pairs = zip(x.stride(), y.stride(), y.shape, strict=True)
            if any(a != b for a, b, n in pairs if n != 1):
                raise Differs(f"strides {tuple(x.stride())} instead of {tuple(y.stride())}")


def same_aliases(own: Any, theirs: Any, own_args: Any, args: Any) -> None:
    """A result that shares memory with an argument in torch does so here, and no other one does.

    Such a view has torch's strides.
    """
    ours = {id(t._storage) for t in leaves(own_args) if is_tensor(t)}
    shared = {_memory(t) for t in leaves(args) if isinstance(t, torch.Tensor) and t.numel()}
    for x, y in zip(leaves(own), leaves(theirs), strict=True):
        if isinstance(y, torch.Tensor) and y.numel():
            want, have = _memory(y) in shared, id(x._storage) in ours
            if want != have:
                raise Differs("is no view of its argument" if want else "shares memory")
            if want and tuple(x.stride()) != tuple(y.stride()):
                raise Differs(f"strides {tuple(x.stride())} instead of {tuple(y.stride())}")


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def same_values(own: Any, theirs: Any, what: str, factor: float = 1.0) -> None:
    """Shape and values agree within the tolerance of the dtype."""
    if tuple(own.shape) != tuple(theirs.shape):
        raise Differs(f"{what}shape {tuple(own.shape)} instead of {tuple(theirs.shape)}")
    name = str(theirs.dtype).removeprefix("torch.")
    if name == "complex32":
        theirs = theirs.to(torch.complex64)
    a, b = numpy_of(own), numpy_of(theirs)
    rtol, atol = TOLERANCE.get(name, (0.0, 0.0))
    if name in ("float16", "bfloat16"):
        a, b = a.astype(np.float32), b.astype(np.float32)
    if name in ("float16", "complex32"):
        a = a.astype(np.complex64) if name == "complex32" else a
    with np.errstate(all="ignore"):
        close = np.isclose(a, b, rtol * factor, atol * factor, equal_nan=True)
        if not np.all(close):
            wrong = ~close
            worst = np.argmax(np.where(wrong, np.nan_to_num(np.abs(a - b), nan=np.inf), -1.0))
            at = np.unravel_index(worst, a.shape)
            raise Differs(
                f"{what}{int(wrong.sum())} of {wrong.size} values differ, "
                f"e.g. {a[at]!s} instead of {b[at]!s}"
            )


def same(own: Any, theirs: Any, *, values: bool = True) -> None:
    """Results (tensors, numbers, nested sequences of them) agree."""
    a, b = leaves(own), leaves(theirs)
    if len(a) != len(b):
        raise Differs(f"{len(a)} results instead of {len(b)}")
    for k, (x, y) in enumerate(zip(a, b, strict=True)):
        what = f"result {k}: " if len(a) > 1 else ""
        if not isinstance(y, torch.Tensor):
            _same_plain(x, y, what)
            continue
        if not is_tensor(x):
            raise Differs(f"{what}a {type(x).__name__} instead of a Tensor")
        same_dtype(x, y, what)
        if values:
            same_values(x, y, what)
        elif tuple(x.shape) != tuple(y.shape):
            raise Differs(f"{what}shape {tuple(x.shape)} instead of {tuple(y.shape)}")


def _same_plain(own: Any, theirs: Any, what: str) -> None:
    if isinstance(theirs, float | complex) and not isinstance(theirs, bool):
        if not np.isclose(own, theirs, 1e-5, 1e-6, equal_nan=True):
            raise Differs(f"{what}{own} instead of {theirs}")
    elif isinstance(theirs, torch.dtype):
        if str(own) != str(theirs):
            raise Differs(f"{what}{own} instead of {theirs}")
    elif isinstance(theirs, torch.Size) and tuple(own) == tuple(theirs):
        return
    elif own != theirs or type(own).__name__ != type(theirs).__name__:
        raise Differs(f"{what}{own!r} instead of {theirs!r}")


def same_gradients(own: list[Any], theirs: list[Any]) -> None:
    """Gradients agree: None where torch has None, dtype, shape and values otherwise."""
    for k, (x, y) in enumerate(zip(own, theirs, strict=True)):
        what = f"gradient {k}: "
        if (x is None) != (y is None):
            present = "zeros" if x is not None and not numpy_of(x).any() else type(x).__name__
            raise Differs(f"{what}{present} instead of {type(y).__name__}")
        if y is not None:
            same_dtype(x, y, what)
            same_values(x, y, what, GRADIENT)
