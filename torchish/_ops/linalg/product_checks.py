"""torch's errors for operands of products that do not fit.

Each check takes what the operator of its name takes, as shapes and dtypes (`op(check=…)`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax.numpy as jnp

from ..._core.values import aval_of
from ..call.describe import (
    check_broadcastable,
    check_expandable,
    cpp_name,
    scalar_name,
    show_cross,
    show_size as show,
)
from ..call.operator import broadcast_samples


def not_bool(x: Any, kernel: str = "addmm_impl_cpu_") -> None:
    """Products of bool tensors do not exist in torch."""
    if str(x.dtype).endswith("bool"):
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


def _vectors(operator: str, **operands: Any) -> None:
    for name, x in operands.items():
        if x.ndim != 1:
            raise RuntimeError(f"{operator}: Expected 1-D argument {name}, but got {x.ndim}-D")


def _mixed(*operands: Any) -> bool:
    return any(x.dtype != operands[0].dtype for x in operands)


def _scalar_types(a: Any, b: Any) -> None:
    if _mixed(a, b):
        raise RuntimeError(f"expected scalar type {scalar_name(a)} but found {scalar_name(b)}")


def _addmv_types(*operands: Any) -> None:
    if _mixed(*operands):
        *first, last = map(scalar_name, operands)
        raise RuntimeError(
            f"addmv input tensors must have the same dtype, but got {', '.join(first)}, and {last}"
        )


def _m1_as_m2(a: Any, b: Any) -> None:
    if _mixed(a, b):
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {cpp_name(a)} != {cpp_name(b)}"
        )


def _not_multiplied(a: Any, b: Sequence[int], rows: int) -> RuntimeError:
    return RuntimeError(
        f"mat1 and mat2 shapes cannot be multiplied ({rows}x{a.shape[-1]} and {show_cross(b)})"
    )


def _no_vector(length: int, mat: Sequence[int], vec: Any) -> RuntimeError:
    return RuntimeError(
        f"size mismatch, got input ({length}), mat ({show_cross(mat)}), vec ({vec.shape[0]})"
    )


# --- products ------------------------------------------------------------------------------------


def mm(input: Any, mat2: Any) -> None:
    for name, x in (("self", input), ("mat2", mat2)):
        if x.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix")
    _rows_times(input, mat2)


def _rows_times(a: Any, b: Any) -> None:
    """Rows, of any number of dims, times a matrix."""
    if a.shape[-1] != b.shape[0]:
        raise _not_multiplied(a, b.shape, math.prod(a.shape[:-1]))
    _m1_as_m2(a, b)
    not_bool(a)


def stacks(batch1: Any, batch2: Any, own_text: bool = False) -> None:
    """Two stacks of matrices; `own_text`: as addbmm says it."""
    for name, batch in (("batch1", batch1), ("batch2", batch2)):
        if batch.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    (b, n, k), other = batch1.shape, batch2.shape
    if not own_text:
        if tuple(other[:2]) != (b, k):
            raise _no_stack((b, k), other[:2])
        return
    if other[0] != b:
        raise RuntimeError(
            f"batch1 and batch2 must have same number of batches, got {b} and {other[0]}"
        )
    if other[1] != k:
        raise RuntimeError(f"Incompatible matrix sizes for bmm ({n}x{k} and {other[1]}x{other[2]})")


def _no_stack(expected: Sequence[int], got: Sequence[int]) -> RuntimeError:
    return RuntimeError(
        "Expected size for first two dimensions of batch2 tensor to be: "
        f"{show(expected)} but got: {show(got)}."
    )


def bmm(input: Any, mat2: Any) -> None:
    stacks(input, mat2)
    _scalar_types(input, mat2)
    not_bool(input, "bmm")


def mv(input: Any, vec: Any) -> None:
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {input.ndim}, {vec.ndim}")
    if input.shape[1] != vec.shape[0]:
        raise _no_vector(input.shape[0], input.shape, vec)
    _addmv_types(vec, input, vec)
    not_bool(input, "addmv_impl_cpu")


def dot(a: Any, b: Any) -> None:
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if _mixed(a, b):
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{scalar_name(a)} and {scalar_name(b)}"
        )
    if a.shape != b.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {show(a.shape)} and src {show(b.shape)} "
            f"to have the same number of elements, but got {a.shape[0]} and {b.shape[0]} "
            "elements respectively"
        )
    not_bool(a, "dot")


def inner(input: Any, other: Any) -> None:
    if _mixed(input, other):
        raise RuntimeError("both inputs should have same dtype")
    if input.ndim == 0 or other.ndim == 0:
        return
    not_bool(input)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{show(input.shape)} and {show(other.shape)}"
        )


def outer(input: Any, vec2: Any) -> None:
    _vectors("outer", self=input, vec2=vec2)


def matmul(input: Any, other: Any) -> None:
    """Operands of which at least one is a stack of matrices or a row vector."""
    a, b = input, other
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    if b.ndim == 1:
        if a.shape[-1] != b.shape[0]:
            rows = math.prod(a.shape[:-1])
            raise _no_vector(rows, (rows, a.shape[-1]), b)
        _addmv_types(b, a, b)
    elif b.ndim == 2:
        _rows_times(a, b)
    else:
        check_broadcastable(a.shape[:-2], b.shape[:-2])
        batch = math.prod(jnp.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2])))
        if a.shape[-1] != b.shape[-2]:
            raise _no_stack((batch, a.shape[-1]), (batch, b.shape[-2]))
        _scalar_types(a, b)
    not_bool(a, {1: "addmv_impl_cpu", 2: "addmm_impl_cpu_"}.get(b.ndim, "bmm"))


def samples(sizes: Sequence[tuple[int, ...]], a: Any, b: Any) -> None:
    """One product within `vmap`, done for all samples, whose sizes stand before the shapes."""
    length = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if not a.ndim or not b.ndim or a.shape[-1] == length:
        return
    width, rows = a.shape[-1], math.prod(a.shape[:-1])
    around: tuple[int, ...] = max(sizes, key=len)
    every = math.prod(around)
    if b.ndim > 2:
        every *= math.prod(b.shape[:-2])
    elif not sizes[1]:
        rows *= every
        if b.ndim == 1:
            raise _no_vector(rows, (rows, width), b)
        raise _not_multiplied(a, b.shape, rows)
    elif b.ndim == 1 and not sizes[0]:  # the vectors are the columns of one matrix
        raise _not_multiplied(a, (length, every), rows)
    raise _no_stack((every, width), (every, length))


# --- layers --------------------------------------------------------------------------------------


def linear(input: Any, weight: Any, bias: Any = None) -> None:
    if input.ndim == 0 or weight.ndim == 0:
        raise RuntimeError(
            "both arguments to linear need to be at least 1D, "
            f"but they are {input.ndim}D and {weight.ndim}D"
        )
    if weight.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {weight.ndim}D")
    if bias is not None and weight.ndim == 1 and input.ndim > 1:
        raise RuntimeError("mat2 must be a matrix, got 1-D tensor")
    if weight.ndim == 1:
        return matmul(input, weight) if input.ndim > 1 else dot(input, weight)
    rows = math.prod(input.shape[:-1])
    if input.shape[-1] != weight.shape[1]:
        raise _not_multiplied(input, weight.shape[::-1], rows)
    if bias is None:
        _m1_as_m2(input, weight)
        return not_bool(input)
    same_as_mat2("self", bias, weight)
    same_as_mat2("mat1", input, weight)
    not_bool(input)
    lead = (rows,) if bias.ndim < 2 else input.shape[:-1]
    check_expandable(bias, (*lead, weight.shape[0]))


def linear_samples(sizes: Sequence[tuple[int, ...]], *operands: Any) -> None:
    """`linear` within `vmap`: a product with the turned weight, then the sum with the bias."""
    *bias, input, weight = operands
    *of_bias, of_input, of_weight = sizes
    turned = weight.shape[::-1]
    samples((of_input, of_weight), input, aval_of(turned, weight.dtype))
    made = (*input.shape[:-1], turned[-1])
    broadcast_samples([of_input or of_weight, *of_bias], [made, *(x.shape for x in bias)])


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any) -> None:
    if _mixed(input1, input2, weight):
        raise RuntimeError(
            f"All tensors must have the same dtype, got input1: {cpp_name(input1)}, "
            f"input2: {cpp_name(input2)}, weight: {cpp_name(weight)}"
        )
    if input1.ndim != input2.ndim:
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}"
        )
    for dim, (a, b) in enumerate(zip(input1.shape[:-1], input2.shape[:-1], strict=True)):
        if a != b:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {dim}: got {a} and {b}"
            )
    for number, x in ((1, input1), (2, input2)):
        if x.shape[-1] != weight.shape[number]:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: "
                f"got {x.shape[-1]} but expected {weight.shape[number]}"
            )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            "bilinear(): bias size does not match weight size: "
            f"got {bias.shape[0]} but expected {weight.shape[0]}"
        )


def multi_dot(tensors: Sequence[Any]) -> None:
    count = len(tensors)
    if count < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {count}")
    for position, x in enumerate(tensors):
        at_end = position in (0, count - 1)
        if at_end and x.ndim not in (1, 2):
            which = "first" if position == 0 else "last"
            raise RuntimeError(
                f"multi_dot(): the {which} tensor must be 1D or 2D but got {x.ndim}D"
            )
        if not at_end and x.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {position} must be 2D but got {x.ndim}D")
        if x.dtype != tensors[0].dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{cpp_name(tensors[0])} and tensor {position} {cpp_name(x)}"
            )
    for position, (a, b) in enumerate(pairwise(tensors)):
        if a.shape[-1] != b.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {position} and {position + 1} with shapes "
                f"{show(a.shape)} and {show(b.shape)} cannot be multiplied"
            )


# --- products that are added ---------------------------------------------------------------------


def same_as_mat2(name: str, x: Any, mat2: Any) -> None:
    """The dtype of an operand beside that of the last matrix."""
    if _mixed(x, mat2):
        raise RuntimeError(
            f"{name} and mat2 must have the same dtype, but got {scalar_name(x)} and "
            f"{scalar_name(mat2)}"
        )


def addmm(input: Any, mat1: Any, mat2: Any, **_: Any) -> None:
    for name, x in (("mat1", mat1), ("mat2", mat2)):
        if x.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {x.ndim}-D tensor")
    if mat1.shape[1] != mat2.shape[0]:
        raise _not_multiplied(mat1, mat2.shape, mat1.shape[0])
    same_as_mat2("mat1", mat1, mat2)
    same_as_mat2("self", input, mat2)
    check_expandable(input, (mat1.shape[0], mat2.shape[1]))
    not_bool(mat1)


def addmv(input: Any, mat: Any, vec: Any, **_: Any) -> None:
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {max(input.ndim, 1)}, {mat.ndim}, {vec.ndim}"
        )
    length = input.shape[0] if input.ndim and input.shape[0] != 1 else mat.shape[0]
    if mat.shape[1] != vec.shape[0] or length != mat.shape[0]:
        raise _no_vector(length, mat.shape, vec)
    _addmv_types(input, mat, vec)
    not_bool(mat, "addmv_impl_cpu")


def addr(input: Any, vec1: Any, vec2: Any, **_: Any) -> None:
    _vectors("addr", vec1=vec1, vec2=vec2)
    check_expandable(input, (vec1.shape[0], vec2.shape[0]))


def addbmm(input: Any, batch1: Any, batch2: Any, **_: Any) -> None:
    stacks(batch1, batch2, own_text=True)
    check_expandable(input, (batch1.shape[1], batch2.shape[2]))
    same_as_mat2("mat1", batch1, batch2)
    same_as_mat2("self", input, batch2)
    not_bool(batch1)


def baddbmm(input: Any, batch1: Any, batch2: Any, **_: Any) -> None:
    if batch2.ndim < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-batch2.ndim}, "
            f"{batch2.ndim - 1}], but got 2)"
        )
    check_expandable(input, (batch1.shape[0], batch1.shape[1], batch2.shape[2]))
    if _mixed(input, batch1, batch2):
        raise RuntimeError(
            f"Input dtypes must be the same, got: input {cpp_name(input)}, "
            f"batch1: {cpp_name(batch1)}, batch2: {cpp_name(batch2)}"
        )
    stacks(batch1, batch2)
    not_bool(batch1, "baddbmm")
