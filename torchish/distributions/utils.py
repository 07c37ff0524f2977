"""Small helpers of distributions: numbers as tensors, probabilities and logits, triangles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics.state import process
from .._namespace.limits import finfo
from .._ops.registry import nnf, ops

__all__ = [
    "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits",
    "tril_matrix_to_vec", "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Any, ...]:
    """Numbers and tensors as tensors of one shape; numbers take the dtype of the first tensor.

    Raises: ValueError for anything else.
    """
    if not all(isinstance(v, TensorBase | int | float) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    first = next((v for v in values if isinstance(v, TensorBase)), None)
    kind = process.default_dtype if first is None else first.dtype
    place = None if first is None else first.device
    made = [
        v if isinstance(v, TensorBase) else ops.tensor(v, dtype=kind, device=place) for v in values
    ]
    return tuple(ops.broadcast_tensors(*made))


def all_numbers(*values: Any) -> bool:
    """Whether no value is a tensor."""
    return not any(isinstance(v, TensorBase) for v in values)


def clamp_probs(probs: Any) -> Any:
    """Probabilities away from 0 and 1 by the dtype's eps."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """Log-odds of probabilities; log-probabilities of the several."""
    safe = clamp_probs(probs)
    return ops.log(safe) - ops.log1p(-safe) if is_binary else ops.log(safe)


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """The inverse of `probs_to_logits`."""
    return ops.sigmoid(logits) if is_binary else nnf.softmax(logits, dim=-1)


def one_of(probs: Any, logits: Any) -> None:
    """Raise unless exactly one of them is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def standard_normal(shape: Any, dtype: Any, device: Any) -> Any:
    """Standard normal numbers, as `torch.normal` of tensors draws them."""
    zeros = ops.zeros(tuple(shape), dtype=dtype, device=device)
    return ops.normal(zeros, ops.ones_like(zeros))


def sum_rightmost(value: Any, dims: int) -> Any:
    """The sum over the last `dims` dims."""
    return value.reshape(*value.shape[:-dims], -1).sum(-1) if dims else value


_standard_normal, _sum_rightmost = standard_normal, sum_rightmost


class lazy_property:
    """A property that is computed once; the result takes its place on the object."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        self.__doc__, self.__name__ = wrapped.__doc__, wrapped.__name__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return property(self.wrapped)
        from ..autograd import enable_grad

        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.__name__, value)
        return value


def vec_to_tril_matrix(vec: Any, diag: int = 0) -> Any:
    """Numbers, row after row, as a square matrix that is zero above the diagonal `diag`.

    Raises: ValueError for a count that fills no triangle.
    """
    root = (1 + 2 * diag) ** 2 + 8 * vec.shape[-1] + 4 * abs(diag) * (diag + 1)
    size = (-(1 + 2 * diag) + math.sqrt(root)) / 2
    n = round(size)
    if abs(n - size) > finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {vec.shape[-1]} which cannot be expressed as the lower "
            "triangular part of a square D x D matrix."
        )
    rows, columns = ops.tril_indices(n, n, diag, device=vec.device)
    flat = vec.new_zeros((*vec.shape[:-1], n * n))
    flat = flat.index_copy(-1, rows * n + columns, vec)
    return flat.reshape(*vec.shape[:-1], n, n)


def tril_matrix_to_vec(mat: Any, diag: int = 0) -> Any:
    """The numbers of a square matrix up to the diagonal `diag`, row after row.

    Raises: ValueError for a diagonal outside of the matrix.
    """
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = ops.tril_indices(n, n, diag, device=mat.device)
    return mat.flatten(-2).index_select(-1, rows * n + columns)
