"""Normal vectors whose covariance is a product of thin matrices and a diagonal."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .._ops.registry import linalg, ops
from . import constraints
from .distribution import Distribution
from .utils import standard_normal

__all__ = ["LowRankMultivariateNormal"]


def capacitance(factor: Any, diag: Any) -> Any:
    """The Cholesky factor of I + W' D^-1 W."""
    scaled = factor.mT / diag.unsqueeze(-2)
    eye = ops.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return linalg.cholesky(scaled @ factor + eye)


class LowRankMultivariateNormal(Distribution):
    """A normal vector of covariance W W' + D, with W = `cov_factor` and D = diag(`cov_diag`)."""

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Any, cov_factor: Any, cov_diag: Any, validate_args: bool | None = None
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if cov_factor.shape[-2:-1] != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if cov_diag.shape[-1:] != event:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        try:
            wide, self.cov_factor, diag = ops.broadcast_tensors(
                loc.unsqueeze(-1), cov_factor, cov_diag.unsqueeze(-1)
            )
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}"
            ) from error
        self.loc, self.cov_diag = wide[..., 0], diag[..., 0]
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = capacitance(cov_factor, cov_diag)
        super().__init__(self.loc.shape[:-1], event, validate_args)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        found = self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag
        return found.expand(self._batch_shape + self._event_shape)

    @property
    def covariance_matrix(self) -> Any:
        """W W' + D."""
        w = self._unbroadcasted_cov_factor
        found = w @ w.mT + ops.diag_embed(self._unbroadcasted_cov_diag)
        return found.expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def precision_matrix(self) -> Any:
        """The inverse of the covariance."""
        w, d = self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag
        a = linalg.solve_triangular(self._capacitance_tril, w.mT / d.unsqueeze(-2), upper=False)
        found = ops.diag_embed(d.reciprocal()) - a.mT @ a
        return found.expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def scale_tril(self) -> Any:
        """The Cholesky factor of the covariance."""
        return linalg.cholesky(self.covariance_matrix)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        thin = standard_normal((*shape[:-1], self.cov_factor.shape[-1]), self.loc.dtype,
                               self.loc.device)  # fmt: skip
        own = standard_normal(shape, self.loc.dtype, self.loc.device)
        moved = ops.matmul(self._unbroadcasted_cov_factor, thin.unsqueeze(-1)).squeeze(-1)
        return self.loc + moved + self._unbroadcasted_cov_diag.sqrt() * own

    def _log_det(self) -> Any:
        half = self._capacitance_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return 2 * half + self._unbroadcasted_cov_diag.log().sum(-1)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        off, d = value - self.loc, self._unbroadcasted_cov_diag
        thin = ops.matmul(self._unbroadcasted_cov_factor.mT / d.unsqueeze(-2), off.unsqueeze(-1))
        factor = self._capacitance_tril.expand((*thin.shape[:-2], *[thin.shape[-2]] * 2))
        z = linalg.solve_triangular(factor, thin, upper=False).squeeze(-1)
        far = (off.pow(2) / d).sum(-1) - z.pow(2).sum(-1)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + far)

    def entropy(self) -> Any:
        n = self._event_shape[0]
        found = 0.5 * (n * (1.0 + math.log(2 * math.pi)) + self._log_det())
        return found.expand(self._batch_shape) if self._batch_shape else found
