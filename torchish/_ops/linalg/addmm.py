"""Products that are added to a tensor: `beta * input + alpha * (product)`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ..registry import Scalar, Tensor, op
from ..shared.memory_format import preserve
from . import product_checks as checks


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


def _samples(sizes: Any, input: Any, *factors: Any) -> None:
    """Within `vmap`, torch multiplies all samples and adds them then."""
    checks.samples(sizes[1:], *factors)


@op("none", check=checks.addmm, check_samples=_samples, inplace=True, overloads=_number_first)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * (mat1 @ mat2)`; `input` broadcasts to the product's shape."""
    return _combine(input, jnp.matmul(mat1, mat2), beta, alpha)


@op("none", check=checks.addmv, inplace=("torch", "method"), overloads=_number_first)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * (mat @ vec)`."""
    return _combine(input, jnp.matmul(mat, vec), beta, alpha)


@op(
    "arith",
    check=checks.addr,
    inplace=True,
    overloads=_number_first,
    elementwise=False,
    layout=preserve,
)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * outer(vec1, vec2)`."""
    product = vec1[:, None] * vec2[None, :]
    if input.dtype == bool:
        return (input & jnp.asarray(beta, bool)) | (product & jnp.asarray(alpha, bool))
    return _combine(input, product, beta, alpha)


@op("none", check=checks.addbmm, inplace=True, overloads=_number_first)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * sum_b(batch1[b] @ batch2[b])`."""
    return _combine(input, jnp.einsum("bnm,bmp->np", batch1, batch2), beta, alpha)


@op("none", check=checks.baddbmm, inplace=True, overloads=_number_first)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1):
    """`beta * input + alpha * (batch1[b] @ batch2[b])` for every `b`."""
    return _combine(input, jnp.matmul(batch1, batch2), beta, alpha)
