"""Products that are added to a tensor: `beta * input + alpha * (product)`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ..call.describe import check_expandable, cpp_name, scalar_name, show_cross
from ..registry import Scalar, Tensor, op
from ..shared.memory_format import preserve
from .matmul import check_bmm, check_not_bool


def _number_first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Bind the old call forms `f(beta, input, alpha, a, b)`, `f(beta, input, a, b)` and, for
    methods, `input.f(beta, alpha, a, b)`, `input.f(beta, a, b)`; None for any other call."""
    numbers = [arg for arg in args if isinstance(arg, (int, float, complex))]
    tensors = [arg for arg in args if not isinstance(arg, (int, float, complex))]
    if kwargs.keys() - {"out"} or len(tensors) != 3 or len(numbers) not in (1, 2):
        return None
    kinds = [isinstance(arg, (int, float, complex)) for arg in args]
    forms = (
        [True, False, True, False, False], [True, False, False, False],
        [False, True, True, False, False], [False, True, False, False],
    )  # fmt: skip
    if kinds not in forms:
        return None
    return tuple(tensors), {**kwargs, **dict(zip(("beta", "alpha"), numbers, strict=False))}


def _combine(input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    # With beta == 0 torch does not read the input: its NaN and inf do not spread.
    scaled = jnp.where(beta == 0, jnp.zeros_like(input), beta * input)
    return scaled + alpha * product


def _check_matrix(name: str, array: Any) -> None:
    if array.ndim != 2:
        raise RuntimeError(f"{name} must be a matrix, got {array.ndim}-D tensor")


def _check_same(first: str, a: Any, b: Any) -> None:
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{first} and mat2 must have the same dtype, "
            f"but got {scalar_name(a)} and {scalar_name(b)}"
        )


@op("none", inplace=True, overloads=_number_first)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * (mat1 @ mat2)`; `input` broadcasts to the product's shape."""
    _check_matrix("mat1", mat1)
    _check_matrix("mat2", mat2)
    if mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(
            "mat1 and mat2 shapes cannot be multiplied "
            f"({show_cross(mat1.shape)} and {show_cross(mat2.shape)})"
        )
    _check_same("mat1", mat1, mat2)
    _check_same("self", input, mat2)
    check_expandable(input, (mat1.shape[0], mat2.shape[1]))
    check_not_bool(mat1)
    return _combine(input, jnp.matmul(mat1, mat2), beta, alpha)


@op("none", inplace=("torch", "method"), overloads=_number_first)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * (mat @ vec)`."""
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {max(input.ndim, 1)}, {mat.ndim}, {vec.ndim}"
        )
    length = input.shape[0] if input.ndim and input.shape[0] != 1 else mat.shape[0]
    if mat.shape[1] != vec.shape[0] or length != mat.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({length}), mat ({show_cross(mat.shape)}), "
            f"vec ({vec.shape[0]})"
        )
    if not input.dtype == mat.dtype == vec.dtype:
        raise RuntimeError(
            "addmv input tensors must have the same dtype, but got "
            f"{scalar_name(input)}, {scalar_name(mat)}, and {scalar_name(vec)}"
        )
    check_not_bool(mat, "addmv_impl_cpu")
    return _combine(input, jnp.matmul(mat, vec), beta, alpha)


@op("arith", inplace=True, overloads=_number_first, elementwise=False, layout=preserve)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * outer(vec1, vec2)`."""
    for name, vector in (("vec1", vec1), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {vector.ndim}-D")
    check_expandable(input, (vec1.shape[0], vec2.shape[0]))
    product = vec1[:, None] * vec2[None, :]
    if input.dtype == bool:
        return (input & jnp.asarray(beta, bool)) | (product & jnp.asarray(alpha, bool))
    return _combine(input, product, beta, alpha)


@op("none", inplace=True, overloads=_number_first)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * sum_b(batch1[b] @ batch2[b])`."""
    check_bmm(batch1, batch2, batch_message=True)
    check_expandable(input, (batch1.shape[1], batch2.shape[2]))
    _check_same("mat1", batch1, batch2)
    _check_same("self", input, batch2)
    check_not_bool(batch1)
    return _combine(input, jnp.einsum("bnm,bmp->np", batch1, batch2), beta, alpha)


@op("none", inplace=True, overloads=_number_first)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * (batch1[b] @ batch2[b])` for every `b`."""
    if batch2.ndim < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-batch2.ndim}, "
            f"{batch2.ndim - 1}], but got 2)"
        )
    check_expandable(input, (batch1.shape[0], batch1.shape[1], batch2.shape[2]))
    if not input.dtype == batch1.dtype == batch2.dtype:
        raise RuntimeError(
            f"Input dtypes must be the same, got: input {cpp_name(input)}, "
            f"batch1: {cpp_name(batch1)}, batch2: {cpp_name(batch2)}"
        )
    check_bmm(batch1, batch2)
    check_not_bool(batch1, "baddbmm")
    return _combine(input, jnp.matmul(batch1, batch2), beta, alpha)
