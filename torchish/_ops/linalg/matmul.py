"""Products of matrices and vectors, and the linear layers over them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..._autograd.tensor_base import TensorBase
from ..._basics.strides import elementwise_strides
from ..call.composites import last
from ..call.describe import (
    check_broadcastable,
    check_expandable,
    cpp_name,
    scalar_name,
    show_cross,
    show_size as show,
)
from ..registry import OptTensor, Tensor, Tensors, composite, op
from ..shared.memory_format import pointwise


def check_mm(m1: Any, m2: Any, rows: int | None = None) -> None:
    """Raise torch's error unless the matrices' inner sizes and dtypes agree."""
    inner, columns = m2.shape
    rows = m1.shape[0] if rows is None else rows
    if m1.shape[-1] != inner:
        raise RuntimeError(
            "mat1 and mat2 shapes cannot be multiplied "
            f"({rows}x{m1.shape[-1]} and {inner}x{columns})"
        )
    if m1.dtype != m2.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {cpp_name(m1)} != {cpp_name(m2)}"
        )
    check_not_bool(m1)


def check_not_bool(array: Any, kernel: str = "addmm_impl_cpu_") -> None:
    """Matrix products of bool tensors do not exist in torch."""
    if array.dtype == bool:
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


def check_bmm(batch1: Any, batch2: Any, batch_message: bool = False) -> None:
    """Raise torch's error unless both are 3-D stacks of matrices that fit."""
    for name, batch in (("batch1", batch1), ("batch2", batch2)):
        if batch.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    (b, n, k), other = batch1.shape, batch2.shape
    if batch_message:
        if other[0] != b:
            raise RuntimeError(
                f"batch1 and batch2 must have same number of batches, got {b} and {other[0]}"
            )
        if other[1] != k:
            raise RuntimeError(
                f"Incompatible matrix sizes for bmm ({n}x{k} and {other[1]}x{other[2]})"
            )
    elif other[:2] != (b, k):
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"{show((b, k))} but got: {show(other[:2])}."
        )


def _check_same_scalar_type(a: Any, b: Any) -> None:
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected scalar type {scalar_name(a)} but found {scalar_name(b)}")


def check_mv(input_size: int | None, mat: Any, vec: Any) -> None:
    """Raise torch's error unless `mat @ vec` is a matrix times a vector."""
    if mat.ndim != 2 or vec.ndim != 1:
        ndim = 1 if input_size is None else input_size
        raise RuntimeError(f"vector + matrix @ vector expected, got {ndim}, {mat.ndim}, {vec.ndim}")
    if mat.shape[1] != vec.shape[0]:
        size = mat.shape[0] if input_size is None else input_size
        raise RuntimeError(
            f"size mismatch, got input ({size}), mat ({show_cross(mat.shape)}), "
            f"vec ({vec.shape[0]})"
        )


@op("none")
def mm(input: Tensor, mat2: Tensor):
    """Matrix product: `(n, m) @ (m, p) -> (n, p)`."""
    if input.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if mat2.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    check_mm(input, mat2)
    return jnp.matmul(input, mat2)


@op("none")
def bmm(input: Tensor, mat2: Tensor):
    """One matrix product for each of `b` pairs: `(b, n, m) @ (b, m, p) -> (b, n, p)`."""
    check_bmm(input, mat2)
    _check_same_scalar_type(input, mat2)
    check_not_bool(input, "bmm")
    return jnp.matmul(input, mat2)


@op("none")
def mv(input: Tensor, vec: Tensor):
    """Matrix times vector: `(n, m) @ (m) -> (n)`."""
    check_mv(None, input, vec)
    if input.dtype != vec.dtype:
        raise RuntimeError(
            "addmv input tensors must have the same dtype, but got "
            f"{scalar_name(vec)}, {scalar_name(input)}, and {scalar_name(vec)}"
        )
    check_not_bool(input, "addmv_impl_cpu")
    return jnp.matmul(input, vec)


def _check_dot(a: Any, b: Any) -> None:
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if a.dtype != b.dtype:
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
    check_not_bool(a, "dot")


@op("none")
def dot(input: Tensor, tensor: Tensor):
    """`sum(input * tensor)` of two vectors, without conjugation."""
    _check_dot(input, tensor)
    return jnp.dot(input, tensor)


@op("none")
def vdot(input: Tensor, other: Tensor):
    """`sum(conj(input) * other)` of two vectors."""
    _check_dot(input, other)
    return jnp.dot(jnp.conj(input), other)


def _inner_layout(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """A 0-d operand multiplies, elementwise."""
    if all(x._aval.ndim for x in operands):
        return None
    return pointwise(avals, operands, key)


@op("none", grad_name="ViewBackward0", layout=_inner_layout)
def inner(input: Tensor, other: Tensor):
    """Sum of products over the last dimension of both; a 0-d operand multiplies."""
    if input.dtype != other.dtype:
        raise RuntimeError("both inputs should have same dtype")
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    check_not_bool(input)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{show(input.shape)} and {show(other.shape)}"
        )
    return jnp.tensordot(input, other, axes=(-1, -1))


@op("arith", grad_name="MulBackward0", aliases=("ger",), elementwise=False)
def outer(input: Tensor, vec2: Tensor):
    """`out[i, j] = input[i] * vec2[j]`."""
    for name, vector in (("self", input), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {vector.ndim}-D")
    return input[:, None] * vec2[None, :]


def _check_matmul(a: Any, b: Any) -> None:
    """torch's errors for operands of which at least one is a stack of matrices or a row vector."""
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    if b.ndim == 1:
        rows = math.prod(a.shape[:-1])
        if a.shape[-1] != b.shape[0]:
            raise RuntimeError(
                f"size mismatch, got input ({rows}), mat ({rows}x{a.shape[-1]}), vec ({b.shape[0]})"
            )
        if a.dtype != b.dtype:
            raise RuntimeError(
                "addmv input tensors must have the same dtype, but got "
                f"{scalar_name(b)}, {scalar_name(a)}, and {scalar_name(b)}"
            )
    elif b.ndim == 2:
        check_mm(a, b, rows=math.prod(a.shape[:-1]))
    else:
        check_broadcastable(a.shape[:-2], b.shape[:-2])
        batch = math.prod(jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2]))
        if a.shape[-1] != b.shape[-2]:
            expected, got = (batch, a.shape[-1]), (batch, b.shape[-2])
            raise RuntimeError(
                "Expected size for first two dimensions of batch2 tensor to be: "
                f"{show(expected)} but got: {show(got)}."
            )
        _check_same_scalar_type(a, b)
    check_not_bool(a, {1: "addmv_impl_cpu", 2: "addmm_impl_cpu_"}.get(b.ndim, "bmm"))


@op("none", into=("internal",), grad_name="UnsafeViewBackward0")
def _matmul_stacked(input: Tensor, other: Tensor):
    _check_matmul(input, other)
    if other.ndim == 2 and input.ndim > 2:  # one matrix product instead of a batch of them
        rows = input.reshape(math.prod(input.shape[:-1]), input.shape[-1])
        return jnp.matmul(rows, other).reshape(*input.shape[:-1], other.shape[-1])
    return jnp.matmul(input, other)


@composite(into=("torch", "method", "linalg"), out=True)
def matmul(input, other) -> Tensor:
    """Product of vectors, matrices or broadcast stacks of matrices.

    Shape: `(n) (n) -> ()`, `(n, m) (m) -> (n)`, `(*, n, m) (*, m, p) -> (*, n, p)`.
    Raises: RuntimeError when the inner sizes or the dtypes differ.
    """
    _check_tensor("matmul", "input", 1, input)
    _check_tensor("matmul", "other", 2, other)
    return last(_BY_NDIM.get((input._aval.ndim, other._aval.ndim), _matmul_stacked), input, other)


_BY_NDIM = {(2, 2): mm, (2, 1): mv, (1, 1): dot}


def _check_tensor(function: str, name: str, position: int, value: Any) -> None:
    if not isinstance(value, TensorBase):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be Tensor, not "
            f"{type(value).__name__}"
        )


# ---------------------------------------------------------------------------- linear layers


def _check_linear(input: Any, weight: Any, bias: Any) -> None:
    if input.ndim == 0 or weight.ndim == 0:
        raise RuntimeError(
            "both arguments to linear need to be at least 1D, "
            f"but they are {input.ndim}D and {weight.ndim}D"
        )
    if weight.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {weight.ndim}D")
    if bias is not None and weight.ndim == 1 and input.ndim > 1:
        raise RuntimeError("mat2 must be a matrix, got 1-D tensor")
    inner = weight.shape[-1]
    rows = math.prod(input.shape[:-1])
    if weight.ndim == 1:
        return _check_matmul(input, weight) if input.ndim > 1 else _check_dot(input, weight)
    if input.shape[-1] != inner:
        raise RuntimeError(
            "mat1 and mat2 shapes cannot be multiplied "
            f"({rows}x{input.shape[-1]} and {inner}x{weight.shape[0]})"
        )
    if bias is not None and bias.dtype != weight.dtype:
        raise RuntimeError(
            "self and mat2 must have the same dtype, "
            f"but got {scalar_name(bias)} and {scalar_name(weight)}"
        )
    if input.dtype != weight.dtype and bias is not None:
        raise RuntimeError(
            "mat1 and mat2 must have the same dtype, "
            f"but got {scalar_name(input)} and {scalar_name(weight)}"
        )
    if input.dtype != weight.dtype:
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, "
            f"but got: {cpp_name(input)} != {cpp_name(weight)}"
        )
    check_not_bool(input)
    if bias is not None:
        lead = (rows,) if bias.ndim < 2 else input.shape[:-1]
        check_expandable(bias, (*lead, weight.shape[0]))


def _is_turned(rows: Any, weight: Any) -> bool:
    """Whether the weight's gradient is computed transposed: (in, out) where out is the larger.

    XLA's CPU backend multiplies a tall result of two transposed operands up to twice as slowly as
    a flat one (768 rows, 128 to 512: all three products 3.3 ms instead of 4.2).
    """
    many = rows.shape[0] >= 256 and weight.shape[0] > weight.shape[1]
    return many and jax.default_backend() == "cpu"


def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
    _check_linear(input, weight, bias)
    if weight.ndim == 1:
        product = jnp.matmul(input, weight)
        return product if bias is None else product + bias
    rows = input.reshape(math.prod(input.shape[:-1]), input.shape[-1])
    # The barriers keep XLA's CPU backend from fusing the activations beside this layer (and, in
    # the transpose, their derivatives) into the copies that feed the matrix products: such fused
    # copies run scalar. Both transpose to barriers on the operands of the weight gradient.
    rows = lax.optimization_barrier(rows)
    if _is_turned(rows, weight):
        turned = lax.optimization_barrier(weight.T)
        product = lax.dot_general(rows, turned, (((1,), (0,)), ((), ())))
    else:
        product = lax.dot_general(rows, weight, (((1,), (1,)), ((), ())))
    product = lax.optimization_barrier(product)
    product = product.reshape(*input.shape[:-1], weight.shape[0])
    return product if bias is None else product + bias


def _linear_with(bias: Tensor, input: Tensor, weight: Tensor):
    return _linear(input, weight, bias)


def _linear_without(input: Tensor, weight: Tensor):
    return _linear(input, weight)


# torch names the gradient after the last call inside its linear; operands in that call's order.
_KINDS_OF_LINEAR = {
    (True, False): op("none", into=("internal",), name="_linear_addmm",
                      grad_name="AddmmBackward0")(_linear_with),
    (False, False): op("none", into=("internal",), name="_linear_mm",
                       grad_name="MmBackward0")(_linear_without),
    (True, True): op("none", into=("internal",), name="_linear_addmm_view",
                     grad_name="ViewBackward0")(_linear_with),
    (False, True): op("none", into=("internal",), name="_linear_mm_view",
                      grad_name="UnsafeViewBackward0")(_linear_without),
}  # fmt: skip


@composite(into=("nn.functional",), out=True)
def linear(input, weight, bias=None) -> Tensor:
    """`y = x W^T + b`.

    Shape: input `(*, in)`, weight `(out, in)` or `(in)`, bias `(out)`; result `(*, out)`.
    """
    _check_tensor("linear", "input", 1, input)
    call = _KINDS_OF_LINEAR[bias is not None, input._aval.ndim != 2]
    operands = (input, weight) if bias is None else (bias, input, weight)
    return last(call, *operands)


def _check_bilinear(input1: Any, input2: Any, weight: Any, bias: Any) -> None:
    if not input1.dtype == input2.dtype == weight.dtype:
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
    for number, array in ((1, input1), (2, input2)):
        if array.shape[-1] != weight.shape[number]:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: "
                f"got {array.shape[-1]} but expected {weight.shape[number]}"
            )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            "bilinear(): bias size does not match weight size: "
            f"got {bias.shape[0]} but expected {weight.shape[0]}"
        )


@op("none", into=("nn.functional", "torch"), out=False, grad_name="AddBackward0")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: OptTensor = None):
    """`y[o] = x1^T W[o] x2 + b[o]` over the last dimensions."""
    _check_bilinear(input1, input2, weight, bias)
    product = jnp.einsum("...i,oij,...j->...o", input1, weight, input2)
    return product if bias is None else product + bias


# ---------------------------------------------------------------------------- chains, Kronecker


@op("none", into=("linalg",), grad_name="ViewBackward0")
def multi_dot(tensors: Tensors):
    """Product of a chain of matrices in the cheapest order; the ends may be vectors."""
    count = len(tensors)
    if count < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {count}")
    for position, array in enumerate(tensors):
        at_end = position in (0, count - 1)
        if at_end and array.ndim not in (1, 2):
            which = "first" if position == 0 else "last"
            raise RuntimeError(
                f"multi_dot(): the {which} tensor must be 1D or 2D but got {array.ndim}D"
            )
        if not at_end and array.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {position} must be 2D but got {array.ndim}D")
        if array.dtype != tensors[0].dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{cpp_name(tensors[0])} and tensor {position} {cpp_name(array)}"
            )
    for position, (a, b) in enumerate(pairwise(tensors)):
        if a.shape[-1] != b.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {position} and {position + 1} with shapes "
                f"{show(a.shape)} and {show(b.shape)} cannot be multiplied"
            )
    return jnp.linalg.multi_dot(tensors)


@composite(into=("torch",), out="cast")
def chain_matmul(*matrices) -> Tensor:
    """Product of 2-D tensors in the cheapest order; `linalg.multi_dot` replaces it."""
    for position, matrix in enumerate(matrices):
        if matrix.dim() != 2:
            raise RuntimeError(
                f"Tensor dimension is {matrix.dim()}, expected 2 instead."
                if len(matrices) > 1 or position
                else "chain_matmul(): Expected one or more matrices"
            )
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    return matrices[0] if len(matrices) == 1 else last(multi_dot, list(matrices))


def _kron_layout(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """Strides: torch multiplies the two over twice the dims, elementwise, and joins pairs."""
    shape = tuple(avals[0].shape)
    if all(x._is_plain or x._aval.ndim != len(shape) for x in operands):
        return None
    full = [(shape, tuple(x._strides)) for x in operands if x._aval.ndim == len(shape)]
    return [elementwise_strides(shape, full)]


@op("arith", elementwise=False, grad_name="UnsafeViewBackward0", layout=_kron_layout)
def kron(input: Tensor, other: Tensor):
    """Kronecker product: every element of `input` times the whole of `other`."""
    ndim = max(input.ndim, other.ndim)
    a_shape = (1,) * (ndim - input.ndim) + input.shape
    b_shape = (1,) * (ndim - other.ndim) + other.shape
    a = input.reshape([size for pair in a_shape for size in (pair, 1)])
    b = other.reshape([size for pair in b_shape for size in (1, pair)])
    return (a * b).reshape([m * n for m, n in zip(a_shape, b_shape, strict=True)])
