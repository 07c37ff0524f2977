"""Norms that weight normalization needs."""

from __future__ import annotations

from ..._ops.registry import linalg
from ..._tensor.tensor import Tensor


def norm_except_dim(v: Tensor, pow: int, dim: int) -> Tensor:
    """The norm over all dimensions but `dim`, kept for broadcasting; -1: over all."""
    if dim == -1:
        return linalg.vector_norm(v, pow)
    others = tuple(d for d in range(v.dim()) if d != dim)
    return linalg.vector_norm(v, pow, dim=others, keepdim=True)


def scaled_direction(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """`g v / |v|`."""
    return v * (g / norm_except_dim(v, 2, dim))
