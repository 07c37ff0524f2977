"""Products of matrices and vectors, and the linear layers over them."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..._autograd.tensor_base import TensorBase
from ..._basics.strides import elementwise_strides
from ..call.composites import last
from ..registry import OptTensor, Tensor, Tensors, composite, op
from ..shared.memory_format import pointwise
from . import product_checks as checks


@op("none", check=checks.mm, check_samples=checks.samples)
def mm(input: Tensor, mat2: Tensor):
    """Matrix product: `(n, m) @ (m, p) -> (n, p)`."""
    return jnp.matmul(input, mat2)


@op("none", check=checks.bmm, check_samples=checks.samples)
def bmm(input: Tensor, mat2: Tensor):
    """One matrix product for each of `b` pairs: `(b, n, m) @ (b, m, p) -> (b, n, p)`."""
    return jnp.matmul(input, mat2)


@op("none", check=checks.mv, check_samples=checks.samples)
def mv(input: Tensor, vec: Tensor):
    """Matrix times vector: `(n, m) @ (m) -> (n)`."""
    return jnp.matmul(input, vec)


@op("none", check=lambda input, tensor: checks.dot(input, tensor), check_samples=checks.samples)
def dot(input: Tensor, tensor: Tensor):
    """`sum(input * tensor)` of two vectors, without conjugation."""
    return jnp.dot(input, tensor)


@op("none", check=lambda input, other: checks.dot(input, other))
def vdot(input: Tensor, other: Tensor):
    """`sum(conj(input) * other)` of two vectors."""
    return jnp.dot(jnp.conj(input), other)


def _inner_layout(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """A 0-d operand multiplies, elementwise."""
    if all(x._aval.ndim for x in operands):
        return None
    return pointwise(avals, operands, key)


@op("none", check=checks.inner, grad_name="ViewBackward0", layout=_inner_layout)
def inner(input: Tensor, other: Tensor):
    """Sum of products over the last dimension of both; a 0-d operand multiplies."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    return jnp.tensordot(input, other, axes=(-1, -1))


@op("arith", check=checks.outer, grad_name="MulBackward0", aliases=("ger",), elementwise=False)
def outer(input: Tensor, vec2: Tensor):
    """`out[i, j] = input[i] * vec2[j]`."""
    return input[:, None] * vec2[None, :]


@op(
    "none", into=("internal",), check=checks.matmul, check_samples=checks.samples,
    grad_name="UnsafeViewBackward0",
)  # fmt: skip
def _matmul_stacked(input: Tensor, other: Tensor):
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


def _is_turned(rows: Any, weight: Any) -> bool:
    """Whether the weight's gradient is computed transposed: (in, out) where out is the larger.

    XLA's CPU backend multiplies a tall result of two transposed operands up to twice as slowly as
    a flat one (768 rows, 128 to 512: all three products 3.3 ms instead of 4.2).
    """
    many = rows.shape[0] >= 256 and weight.shape[0] > weight.shape[1]
    return many and jax.default_backend() == "cpu"


def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
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
    (has_bias, stacked): op(
        "none", into=("internal",), check=checks.linear, check_samples=checks.linear_samples,
        name=name, grad_name=grad_name,
    )(_linear_with if has_bias else _linear_without)
    for has_bias, stacked, name, grad_name in (
        (True, False, "_linear_addmm", "AddmmBackward0"),
        (False, False, "_linear_mm", "MmBackward0"),
        (True, True, "_linear_addmm_view", "ViewBackward0"),
        (False, True, "_linear_mm_view", "UnsafeViewBackward0"),
    )
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


@op(
    "none", into=("nn.functional", "torch"), out=False, check=checks.bilinear,
    grad_name="AddBackward0",
)  # fmt: skip
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: OptTensor = None):
    """`y[o] = x1^T W[o] x2 + b[o]` over the last dimensions."""
    product = jnp.einsum("...i,oij,...j->...o", input1, weight, input2)
    return product if bias is None else product + bias


# ---------------------------------------------------------------------------- chains, Kronecker


@op("none", into=("linalg",), check=checks.multi_dot, grad_name="ViewBackward0")
def multi_dot(tensors: Tensors):
    """Product of a chain of matrices in the cheapest order; the ends may be vectors."""
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
