"""Distances, similarities and the cross product."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..call.composites import last
from ..call.describe import check_broadcastable, scalar_name
from ..reduce.norms import vector_norm_of
from ..registry import Scalar, Tensor, composite, op, wrap_dim
from ..shared.memory_format import row_major


def _is_float(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


@op("none", into=("torch",), out=False)
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None):
    """The p-norm of every difference between a row of `x1` and a row of `x2`.

    Shape: `(*, P, M)`, `(*, R, M)` give `(*, P, R)`.
    """
    for name, array in (("X1", x1), ("X2", x2)):
        if array.ndim < 2:
            raise RuntimeError(
                f"cdist only supports at least 2D tensors, {name} got: {array.ndim}D"
            )
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    for name, array in (("X1", x1), ("X2", x2)):
        if not _is_float(array):
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {name} got: {scalar_name(array)}"
            )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if compute_mode not in (
        None, "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist",
        "donot_use_mm_for_euclid_dist",
    ):  # fmt: skip
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    if x1.dtype != x2.dtype:
        raise RuntimeError(f"expected scalar type {scalar_name(x1)} but found {scalar_name(x2)}")
    check_broadcastable(x1.shape[:-2], x2.shape[:-2])
    return vector_norm_of(x1[..., :, None, :] - x2[..., None, :, :], p, -1, False)


@op("none", into=("torch", "nn.functional"), out=False)
def pdist(input: Tensor, p: float = 2.0):
    """The p-norm of the difference of every two rows, `(N, M) -> (N (N - 1) / 2)`."""
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not _is_float(input):
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = np.triu_indices(input.shape[0], 1)
    return vector_norm_of(input[first] - input[second], p, -1, False)


@op(
    "float", into=("torch", "nn.functional"), out=False, grad_name="NormBackward1",
    layout=row_major,
)  # fmt: skip
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: Scalar = 1e-6, keepdim: bool = False
):
    """`||x1 - x2 + eps||_p` over the last dimension."""
    return vector_norm_of(x1 - x2 + eps, p, -1, keepdim)


@op(
    "arith", into=("torch", "nn.functional"), out=False, grad_name="SumBackward1",
    layout=row_major,
)  # fmt: skip
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: Scalar = 1e-8):
    """`x1 . x2 / (max(||x1||, eps) max(||x2||, eps))` along `dim`."""
    if not jnp.issubdtype(x1.dtype, jnp.inexact):
        raise RuntimeError(
            "expected common dtype to be floating point, yet common dtype is " + scalar_name(x1)
        )
    shape = jnp.broadcast_shapes(x1.shape, x2.shape)
    if not shape:
        return cosine_similarity.operator.body(x1[None], x2[None], dim, eps)
    axis = wrap_dim(dim, len(shape))
    x1, x2 = jnp.broadcast_to(x1, shape), jnp.broadcast_to(x2, shape)
    unit1, unit2 = (x / _floored(vector_norm_of(x, 2, axis, True), eps) for x in (x1, x2))
    return jnp.sum(unit1 * unit2, axis=axis)


def _floored(norm: Any, eps: Any) -> Any:
    """At least `eps`, with the gradient of the norm itself, as torch has it."""
    return norm + lax.stop_gradient(
        jnp.maximum(norm, jnp.asarray(eps).real.astype(norm.dtype)) - norm
    )


def _check_cross(a: Any, b: Any, dim: int) -> int:
    if a.ndim != b.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = wrap_dim(dim, a.ndim)
    if a.shape[axis] != 3 or b.shape[axis] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. "
            f"Got {a.shape[axis]} and {b.shape[axis]}"
        )
    check_broadcastable(a.shape, b.shape)
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected scalar type {scalar_name(a)} but found {scalar_name(b)}")
    return axis


@op("none", into=("linalg",), name="cross", grad_name="LinalgCrossBackward0")
def _linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1):
    """The cross product of vectors of three along `dim`."""
    axis = _check_cross(input, other, dim)
    return jnp.cross(input, other, axis=axis)


@composite(out=True)
def cross(input, other, dim=None) -> Tensor:
    """The cross product along `dim`, by default the first dimension of size 3."""
    if dim is None:
        dim = next((d for d, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return last(_linalg_cross, input, other, dim=dim)
