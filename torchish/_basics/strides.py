"""torch's arithmetic of shapes and strides: whole numbers only, no arrays."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

Ints = tuple[int, ...]


def contiguous_strides(shape: Ints) -> Ints:
    """Row-major strides in elements; torch counts an empty dimension as one."""
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def memory_order(shape: Ints, strides: Ints) -> Ints:
    """Dims sorted so that the outermost in memory comes first (stable)."""
    return tuple(sorted(range(len(shape)), key=lambda d: (-strides[d], d)))


def inverse(order: Sequence[int]) -> Ints:
    """The permutation that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def dense_span(shape: Ints, strides: Ints) -> int:
    """Elements of memory that a layout reaches, counted from its offset."""
    if 0 in shape:
        return 0
    return 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))


def is_dense(shape: Ints, strides: Ints) -> bool:
    """Whether a layout is non-overlapping and dense: a permutation of a contiguous one."""
    if 0 in shape:
        return True
    expected = 1
    for d in sorted((d for d in range(len(shape)) if shape[d] > 1), key=lambda d: strides[d]):
        if strides[d] != expected:
            return False
        expected *= shape[d]
    return True


def has_overlap(shape: Ints, strides: Ints) -> bool:
    """Whether an expanded dim makes several elements share one memory location."""
    return 0 not in shape and any(n > 1 and s == 0 for n, s in zip(shape, strides, strict=True))


def preserved_strides(shape: Ints, strides: Ints) -> Ints:
    """Strides of a copy under torch.preserve_format."""
    if is_dense(shape, strides):
        return strides
    return elementwise_strides(shape, [(shape, strides)])


def elementwise_strides(shape: Ints, operands: list[tuple[Ints, Ints]]) -> Ints:
    """Strides of the output of an elementwise operator.

    Source: torch's TensorIterator: dims are sorted by the operands' strides (broadcast dims are
    ambiguous), and the output is dense in that order.
    """
    ndim = len(shape)
    full = []
    for op_shape, op_strides in operands:
        pad = ndim - len(op_shape)
        full.append(
            [0] * pad
            + [
                0 if n == 1 and shape[pad + d] != 1 else s
                for d, (n, s) in enumerate(zip(op_shape, op_strides, strict=True))
            ]
        )
    perm = list(range(ndim - 1, -1, -1))  # innermost first

    def should_swap(d0: int, d1: int) -> int:
        for strides in full:
            s0, s1 = strides[d0], strides[d1]
            if s0 == 0 or s1 == 0:
                continue
            if s0 < s1:
                return -1
            if s0 > s1:
                return 1
            if shape[d0] > shape[d1]:
                return 1
        return 0

    for i in range(1, ndim):
        d1 = i
        for d0 in range(i - 1, -1, -1):
            comparison = should_swap(perm[d0], perm[d1])
            if comparison > 0:
                perm[d0], perm[d1] = perm[d1], perm[d0]
                d1 = d0
            elif comparison < 0:
                break
    out = [0] * ndim
    step = 1
    for d in perm:
        out[d] = step
        step *= max(shape[d], 1)
    return tuple(out)


@functools.lru_cache(maxsize=4096)
def view_strides(shape: Ints, strides: Ints, new_shape: Ints) -> Ints | None:
    """Strides of `view(new_shape)`, or None when no view of that shape exists.

    Source: torch's computeStride: each contiguous chunk of the old dims is cut into new dims.
    """
    numel = math.prod(shape)
    if numel == 0:
        return strides if shape == new_shape else contiguous_strides(new_shape)
    if not shape:
        return (1,) * len(new_shape)
    out = [0] * len(new_shape)
    view_d = len(new_shape) - 1
    chunk_stride = strides[-1]
    tensor_numel = view_numel = 1
    for d in range(len(shape) - 1, -1, -1):
        tensor_numel *= shape[d]
        if d == 0 or (shape[d - 1] != 1 and strides[d - 1] != tensor_numel * chunk_stride):
            while view_d >= 0 and (view_numel < tensor_numel or new_shape[view_d] == 1):
                out[view_d] = view_numel * chunk_stride
                view_numel *= new_shape[view_d]
                view_d -= 1
            if view_numel != tensor_numel:
                return None
            if d > 0:
                chunk_stride = strides[d - 1]
                tensor_numel = view_numel = 1
    return tuple(out) if view_d == -1 else None
