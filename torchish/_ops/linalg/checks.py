"""Checks that the linear algebra operators share, and their error for matrices that do not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._autograd.interop import host_array, is_host
from ..._autograd.require import require
from ..._basics.errors import shown_as
from ..._basics.strides import contiguous_strides
from ..call.describe import scalar_name

SMALL = 4096  # host matrices up to this many elements are looked at when the operator is called


@shown_as("torch._C")
class _LinAlgError(RuntimeError):
    """A matrix is singular, or not positive-definite."""


LinAlgError = _LinAlgError


def check_float(name: str, array: Any) -> None:
    """Raise torch's error unless the dtype is float32, float64 or complex."""
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. "
            f"Got {scalar_name(array)}"
        )
    if array.dtype.itemsize < 4:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {scalar_name(array)}")


def check_matrices(name: str, array: Any, letter: str = "A") -> None:
    """Raise torch's error for fewer than two dimensions."""
    if array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {letter} must have at least 2 dimensions.")


def check_square(name: str, array: Any, letter: str = "A") -> None:
    """Raise torch's error unless the last two dimensions are equal."""
    check_matrices(name, array, letter)
    rows, columns = array.shape[-2:]
    if rows != columns:
        raise RuntimeError(
            f"{name}: {letter} must be batches of square matrices, "
            f"but they are {rows} by {columns} matrices"
        )


def columns(pattern: str) -> Callable[..., list[Any]]:
    """A layout: results marked "c" are column-major matrices, as LAPACK leaves them."""
    marks = tuple(pattern)

    def layout(avals: Any, operands: Any, key: Any) -> list[Any]:
        return [
            column_strides(tuple(a.shape)) if mark == "c" else None
            for a, mark in zip(avals, marks, strict=True)
        ]

    return layout


def column_strides(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Strides of row-major batches of column-major matrices; None where that is row-major."""
    if len(shape) < 2 or 0 in shape or 1 in shape[-2:]:
        return None
    *_, rows, count = shape
    swapped = contiguous_strides((*shape[:-2], count, rows))
    return (*swapped[:-2], swapped[-1], swapped[-2])


def adjoint(x: Any) -> Any:
    """The conjugate transpose of the last two dimensions."""
    return jnp.conj(jnp.swapaxes(x, -1, -2))


def finite(
    name: str, input: Any, first_bad: Callable[[Any], int], text: str
) -> Callable[[Any], None]:
    """A check of an operator's (first) result: LinAlgError where `input` alone is finite.

    `first_bad(matrix)` gives the 1-based position that torch's `text` names by `{}`. Small host
    matrices are looked at now, the others when the result is next read.
    """

    def check(result: Any) -> None:
        if input._aval.numel == 0:
            return
        if is_host(input) and input._aval.numel <= SMALL:
            error = _find(name, host_array(input), first_bad, text)
            if error is not None:
                raise error
            return
        first = result[0] if isinstance(result, tuple) else result
        require(name, _broke, [input, first], [], lambda *_: _late(name, input, first_bad, text))

    return check


def _broke(before: Any, after: Any) -> Any:
    return jnp.isfinite(before).all() & ~jnp.isfinite(after).all()


def _late(name: str, input: Any, first_bad: Any, text: str) -> Exception:
    found = _find(name, host_array(input), first_bad, text)
    return found or LinAlgError(f"{name}: {text.format('?')}")


def _find(name: str, array: np.ndarray[Any, Any], first_bad: Any, text: str) -> Exception | None:
    stack = array.reshape(-1, *array.shape[-2:])
    for number, matrix in enumerate(stack):
        position = first_bad(matrix) if np.isfinite(matrix).all() else 0
        if position:
            where = f"(Batch element {number}): " if array.ndim > 2 else ""
            return LinAlgError(f"{name}: {where}{text.format(position)}")
    return None


def zero_pivot(matrix: np.ndarray[Any, Any]) -> int:
    """1-based position of the first zero on the diagonal of U, 0 if there is none."""
    u = matrix.copy()
    for k in range(min(u.shape)):
        pivot = k + int(np.argmax(np.abs(u[k:, k])))
        if u[pivot, k] == 0:
            return k + 1
        u[[k, pivot]] = u[[pivot, k]]
        u[k + 1 :, k:] -= np.outer(u[k + 1 :, k] / u[k, k], u[k, k:])
    return 0


def bad_minor(matrix: np.ndarray[Any, Any]) -> int:
    """Order of the first leading minor that is not positive, 0 if all are."""
    low = np.tril(matrix).astype(np.result_type(matrix, np.float64))
    for k in range(low.shape[0]):
        rest = low[k, k].real - np.sum(np.abs(low[k, :k]) ** 2)
        if not rest > 0:
            return k + 1
        low[k, k] = np.sqrt(rest)
        low[k + 1 :, k] -= low[k + 1 :, :k] @ np.conj(low[k, :k])
        low[k + 1 :, k] /= low[k, k]
    return 0
