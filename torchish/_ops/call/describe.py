"""Words for arrays in torch's error texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._basics import dtypes


def scalar_name(array: Any) -> str:
    """`Float`, `Long`, ...: the name of an array's element type in most C++ messages."""
    return dtypes.SCALAR_NAMES[_dtype_of(array)]


def cpp_name(array: Any) -> str:
    """`float`, `long int`, ...: the C++ spelling that the matrix products use."""
    return dtypes.CPP_NAMES[_dtype_of(array)]


def _dtype_of(array: Any) -> dtypes.dtype:
    kind = array.dtype
    return kind if isinstance(kind, dtypes.dtype) else dtypes.from_np(kind)


def show_size(shape: Sequence[int]) -> str:
    """`[2, 3]`."""
    return f"[{', '.join(map(str, shape))}]"


def show_cross(shape: Sequence[int]) -> str:
    """`2x3`."""
    return "x".join(map(str, shape))


def check_expandable(array: Any, target: Sequence[int]) -> None:
    """Raise torch's RuntimeError unless `array` broadcasts to exactly the shape `target`."""
    shape = array.shape
    if len(shape) > len(target):
        raise RuntimeError(
            f"expand(torch.{scalar_name(array)}Tensor{{{show_size(shape)}}}, "
            f"size={show_size(target)}): the number of sizes provided ({len(target)}) must be "
            f"greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    shift = len(target) - len(shape)
    for dim in reversed(range(len(shape))):
        if shape[dim] != target[dim + shift] and shape[dim] != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({target[dim + shift]}) must match the existing "
                f"size ({shape[dim]}) at non-singleton dimension {dim + shift}.  "
                f"Target sizes: {show_size(target)}.  Tensor sizes: {show_size(shape)}"
            )


def check_broadcastable(a: Sequence[int], b: Sequence[int]) -> None:
    """Raise torch's RuntimeError unless shapes `a` and `b` broadcast together."""
    ndim = max(len(a), len(b))
    for back in range(1, min(len(a), len(b)) + 1):
        if a[-back] != b[-back] and 1 not in (a[-back], b[-back]):
            raise RuntimeError(
                f"The size of tensor a ({a[-back]}) must match the size of tensor b ({b[-back]}) "
                f"at non-singleton dimension {ndim - back}"
            )
