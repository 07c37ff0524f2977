"""Random matrices: Cholesky factors of correlations, and positive definite ones."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .._namespace.limits import finfo
from .._ops.call.operator import broadcast_check
from .._ops.call.warning import user_level
from .._ops.registry import linalg, ops
from . import constraints
from ._covariance import NAMES, ByCovariance, factor_of
from .distribution import Distribution, ExponentialFamily
from .gammas import Beta, Chi2
from .utils import broadcast_all, vec_to_tril_matrix

__all__ = ["LKJCholesky", "Wishart"]


class LKJCholesky(Distribution):
    """Cholesky factors L of correlation matrices, of density prod L_ii^(2 (eta - 1) + n - i).

    `concentration` eta = 1 makes all correlation matrices equally likely.
    Source: Lewandowski, Kurowicka and Joe, Generating random correlation matrices based on vines
    and extended onion method, 2009.
    """

    arg_constraints = {"concentration": constraints.positive}  # noqa: RUF012
    support = constraints.corr_cholesky

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        eta = self.concentration
        before = ops.arange(dim - 1, dtype=eta.dtype, device=eta.device)
        before = ops.cat([ops.zeros_like(before[:1]), before])
        rest = (eta + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * before
        self._beta = Beta(before + 0.5, rest)
        super().__init__(eta.shape, (dim, dim), validate_args)

    def _expand_into(self, made: Any, shape: Any) -> None:
        made.concentration = self.concentration.expand(shape)
        made._beta = self._beta.expand((*shape, self.dim))

    def sample(self, sample_shape: Any = ()) -> Any:
        """Each row: a direction on the sphere, as long as the root of a beta value."""
        squared = self._beta.sample(sample_shape).unsqueeze(-1)
        shape = self._extended_shape(sample_shape)
        drawn = ops.randn(tuple(shape), dtype=squared.dtype, device=squared.device).tril(-1)
        direction = drawn / drawn.norm(dim=-1, keepdim=True)
        first = ops.zeros_like(direction[..., :1, :])  # of a row without entries: 0 / 0
        rows = squared.sqrt() * ops.cat([first, direction[..., 1:, :]], -2)
        left = (1 - (rows**2).sum(-1)).clamp(min=finfo(rows.dtype).tiny)
        return rows + ops.diag_embed(left.sqrt())

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        eta, less = self.concentration, self.dim - 1
        order = ops.arange(2, self.dim + 1, device=eta.device)
        order = 2 * (eta - 1).unsqueeze(-1) + self.dim - order
        found = (order * value.diagonal(dim1=-1, dim2=-2)[..., 1:].log()).sum(-1)
        alpha = eta + 0.5 * less
        constant = 0.5 * less * math.log(math.pi) + ops.mvlgamma(alpha - 0.5, less)
        return found - (constant - ops.lgamma(alpha) * less)


def _digamma_of_many(x: Any, p: int) -> Any:
    """The derivative of `mvlgamma(x, p)`."""
    less = ops.arange(p, dtype=x.dtype, device=x.device) / 2
    return ops.digamma(x.unsqueeze(-1) - less).sum(-1)


class Wishart(ByCovariance, ExponentialFamily):
    """The sum of X X' over `df` normal vectors X of the given covariance.

    Give one of covariance, precision (its inverse) or Cholesky factor.
    Raises: AssertionError unless one of them is given; ValueError for df <= n - 1.
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    @property
    def arg_constraints(self) -> Any:  # type: ignore[override]
        """`df` depends on the size of the matrix."""
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    def __init__(
        self, df: Any, covariance_matrix: Any = None, precision_matrix: Any = None,
        scale_tril: Any = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        given = zip(NAMES, (covariance_matrix, precision_matrix, scale_tril), strict=True)
        found = [(name, m) for name, m in given if m is not None]
        if len(found) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        name, matrix = found[0]
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        batch: Any = matrix.shape[:-2]
        if isinstance(df, int | float):
            self.df = ops.tensor(df, dtype=matrix.dtype, device=matrix.device)
        else:
            batch = broadcast_check([matrix.shape[:-2], df.shape])
            self.df = df.expand(tuple(batch))
        n = matrix.shape[-1]
        if self.df.le(n - 1).any().item():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        setattr(self, name, matrix.expand((*batch, n, n)))
        if self.df.lt(n).any().item():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 "
                "< df < ndim.",
                stacklevel=user_level(),
            )
        self._event_shape = matrix.shape[-2:]
        super().__init__(batch, matrix.shape[-2:], validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)
        self._dist_chi2 = self._chi2()

    def _chi2(self) -> Chi2:
        """Of the squared diagonal of a Bartlett factor."""
        factor = self._unbroadcasted_scale_tril
        n = self._event_shape[-1]
        less = ops.arange(n, dtype=factor.dtype, device=factor.device)
        return Chi2(self.df.unsqueeze(-1) - less.expand((*self._batch_shape, n)))

    def _expand_into(self, made: Any, shape: Any) -> None:
        whole = (*shape, *self._event_shape)
        made._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril.expand(whole)
        made.df = self.df.expand(shape)
        for name in NAMES:
            if name in self.__dict__:
                setattr(made, name, self.__dict__[name].expand(whole))
        made._batch_shape = shape
        made._dist_chi2 = made._chi2()

    def _df_of_matrices(self) -> Any:
        return self.df.reshape((*self._batch_shape, 1, 1))

    @property
    def mean(self) -> Any:
        return self._df_of_matrices() * self.covariance_matrix

    @property
    def mode(self) -> Any:
        factor = self.df - self._event_shape[-1] - 1
        factor = ops.where(factor <= 0, math.nan, factor)
        return factor.reshape((*self._batch_shape, 1, 1)) * self.covariance_matrix

    @property
    def variance(self) -> Any:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self._df_of_matrices() * (v.pow(2) + outer)

    def _bartlett_sampling(self, sample_shape: Any = ()) -> Any:
        """(L A) (L A)' with A of normal values below a diagonal of roots of chi-squared ones."""
        n = self._event_shape[-1]
        roots = self._dist_chi2.rsample(sample_shape).sqrt()
        factor = roots.clamp(min=finfo(roots.dtype).eps).diag_embed()
        drawn = ops.randn(
            (*sample_shape, *self._batch_shape, n * (n - 1) // 2), dtype=factor.dtype,
            device=factor.device,
        )  # fmt: skip
        factor = self._unbroadcasted_scale_tril @ (factor + vec_to_tril_matrix(drawn, -1))
        return factor @ factor.mT

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Any:
        """Values that gradients reach the parameters through.

        Like PyTorch's, a call draws once more where the first draw was regular: its test for
        singular matrices asks the opposite question, and programs depend on the stream.
        """
        sample = self._bartlett_sampling(tuple(sample_shape))
        batch = [-1 - k for k in range(len(self._batch_shape))]

        def any_in_batch(flags: Any) -> Any:
            return flags.amax(batch) if batch else flags

        shape = sample.shape
        again = any_in_batch(self.support.check(sample.detach())).reshape(-1)
        sample = sample.reshape(again.numel(), *self._batch_shape, *self._event_shape)
        if not again.any().item():
            return sample.reshape(shape)
        warnings.warn("Singular sample detected.", stacklevel=user_level())
        for _ in range(10 if max_try_correction is None else max_try_correction):
            drawn = self._bartlett_sampling((int(again.sum().item()),))
            sample = sample.index_put((again,), drawn)
            left = any_in_batch(~self.support.check(drawn.detach()))
            again = again.index_put((again,), left)
            if not again.any().item():
                break
        return sample.reshape(shape)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        nu, n = self.df, self._event_shape[-1]
        spread = ops.cholesky_solve(value, self._unbroadcasted_scale_tril)
        return (
            -nu * (n * math.log(2) / 2 + self._log_half_det())
            - ops.mvlgamma(nu / 2, n)
            + (nu - n - 1) / 2 * linalg.slogdet(value).logabsdet
            - spread.diagonal(dim1=-2, dim2=-1).sum(-1) / 2
        )

    def entropy(self) -> Any:
        nu, n = self.df, self._event_shape[-1]
        return (
            (n + 1) * (n * math.log(2) / 2 + self._log_half_det())
            + ops.mvlgamma(nu / 2, n)
            - (nu - n - 1) / 2 * _digamma_of_many(nu / 2, n)
            + nu * n / 2
        )

    @property
    def _natural_params(self) -> tuple[Any, Any]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        n = self._event_shape[-1]
        half = y + (n + 1) / 2
        return half * (-linalg.slogdet(-2 * x).logabsdet + math.log(2) * n) + ops.mvlgamma(half, n)
