"""A matrix given as covariance, as precision (its inverse) or as Cholesky factor."""

from __future__ import annotations

from typing import Any

from .._ops.registry import linalg, ops

NAMES = ("covariance_matrix", "precision_matrix", "scale_tril")


def factor_of(name: str, matrix: Any) -> Any:
    """The lower Cholesky factor of the covariance."""
    if name == "scale_tril":
        return matrix
    if name == "covariance_matrix":
        return linalg.cholesky(matrix)
    flipped = linalg.cholesky(ops.flip(matrix, (-2, -1)))
    inverse = ops.flip(flipped, (-2, -1)).mT
    eye = ops.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return linalg.solve_triangular(inverse, eye, upper=False)


class ByCovariance:
    """The forms that were not given follow from `_unbroadcasted_scale_tril`."""

    _unbroadcasted_scale_tril: Any
    _batch_shape: Any
    _event_shape: Any

    def __getattr__(self, name: str) -> Any:
        if name not in NAMES:
            raise AttributeError(name)
        found = self._unbroadcasted_scale_tril
        if name == "covariance_matrix":
            found = found @ found.mT
        elif name == "precision_matrix":
            found = ops.cholesky_inverse(found)
        n = self._event_shape[-1]
        return found.expand((*self._batch_shape, n, n))

    def _log_half_det(self) -> Any:
        """Half the logarithm of the covariance's determinant."""
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
