"""Gamma and what derives from it; normal vectors."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .._basics.state import state
from .._namespace.limits import finfo
from .._ops.call.operator import broadcast_check
from .._ops.registry import linalg, ops, special
from . import constraints
from ._covariance import ByCovariance, factor_of
from .distribution import Distribution, ExponentialFamily, batch_shape
from .utils import broadcast_all, standard_normal


class Gamma(ExponentialFamily):
    """rate^c x^(c-1) exp(-rate x) / Gamma(c) with concentration c."""

    arg_constraints: ClassVar[Any] = {
        "concentration": constraints.positive, "rate": constraints.positive
    }  # fmt: skip
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(batch_shape(self.rate, concentration, rate), (), validate_args)

    @property
    def mean(self) -> Any:
        return self.concentration / self.rate

    @property
    def mode(self) -> Any:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Any:
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        value = ops._standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        value.detach().clamp_(min=finfo(value.dtype).tiny)
        return value

    def log_prob(self, value: Any) -> Any:
        value = ops.as_tensor(value, dtype=self.rate.dtype, device=self.rate.device)
        self._checked(value)
        c, r = self.concentration, self.rate
        return ops.xlogy(c, r) + ops.xlogy(c - 1, value) - r * value - ops.lgamma(c)

    def cdf(self, value: Any) -> Any:
        self._checked(value)
        return special.gammainc(self.concentration, self.rate * value)

    def entropy(self) -> Any:
        c = self.concentration
        return c - ops.log(self.rate) + ops.lgamma(c) + (1.0 - c) * ops.digamma(c)


class Chi2(Gamma):
    """The sum of `df` squared standard normal values."""

    arg_constraints: ClassVar[Any] = {"df": constraints.positive}
    _derived = ("df",)

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args)

    def _expand_into(self, made: Any, shape: Any) -> None:
        made.concentration = self.concentration.expand(shape)
        made.rate = self.rate.expand(shape)

    @property
    def df(self) -> Any:
        """Degrees of freedom."""
        return self.concentration * 2


class Dirichlet(ExponentialFamily):
    """Values on the simplex, of density prod x_i^(c_i - 1).

    Differs from torch: gradients of `rsample` are those of normalised gamma values.
    """

    arg_constraints: ClassVar[Any] = {
        "concentration": constraints.independent(constraints.positive, 1)
    }
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    def rsample(self, sample_shape: Any = ()) -> Any:
        c = self.concentration.expand(self._extended_shape(sample_shape))
        if not (state.grad_enabled and c.requires_grad):
            return ops._sample_dirichlet(c)
        drawn = ops._standard_gamma(c)
        return drawn / drawn.sum(-1, keepdim=True)

    def sample(self, sample_shape: Any = ()) -> Any:
        c = self.concentration.detach()
        return ops._sample_dirichlet(c.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        c = self.concentration
        return ops.xlogy(c - 1.0, value).sum(-1) + ops.lgamma(c.sum(-1)) - ops.lgamma(c).sum(-1)

    @property
    def mean(self) -> Any:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Any:
        less = (self.concentration - 1).clamp(min=0.0)
        found = less / less.sum(-1, True)
        flat = (self.concentration < 1).all(-1, keepdim=True)
        top = ops.zeros_like(found).scatter(-1, self.concentration.argmax(-1, keepdim=True), 1.0)
        return ops.where(flat, top, found)

    @property
    def variance(self) -> Any:
        total = self.concentration.sum(-1, True)
        c = self.concentration
        return c * (total - c) / (total.pow(2) * (total + 1))

    def entropy(self) -> Any:
        c = self.concentration
        k, total = c.size(-1), c.sum(-1)
        return (
            ops.lgamma(c).sum(-1) - ops.lgamma(total) - (k - total) * ops.digamma(total)
            - ((c - 1.0) * ops.digamma(c)).sum(-1)
        )  # fmt: skip


class Beta(ExponentialFamily):
    """x^(c1 - 1) (1 - x)^(c0 - 1) on (0, 1)."""

    arg_constraints: ClassVar[Any] = {
        "concentration1": constraints.positive, "concentration0": constraints.positive
    }  # fmt: skip
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        both = broadcast_all(concentration1, concentration0)
        self._dirichlet = Dirichlet(ops.stack(both, -1), validate_args)
        super().__init__(self._dirichlet._batch_shape, (), validate_args)

    def _expand_into(self, made: Any, shape: Any) -> None:
        made._dirichlet = self._dirichlet.expand(shape)

    @property
    def concentration1(self) -> Any:
        """The exponent of x, plus 1."""
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self) -> Any:
        """The exponent of 1 - x, plus 1."""
        return self._dirichlet.concentration[..., 1]

    @property
    def mean(self) -> Any:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Any:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Any:
        a, b = self.concentration1, self.concentration0
        return a * b / ((a + b).pow(2) * (a + b + 1))

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._dirichlet.rsample(sample_shape).select(-1, 0)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        return self._dirichlet.log_prob(ops.stack([value, 1.0 - value], -1))

    def entropy(self) -> Any:
        return self._dirichlet.entropy()


class MultivariateNormal(ByCovariance, Distribution):
    """A normal vector; give one of covariance, precision (its inverse) or Cholesky factor."""

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }  # fmt: skip
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {
            "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }  # fmt: skip
        found = [(n, m) for n, m in given.items() if m is not None]
        if len(found) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        name, matrix = found[0]
        if matrix.dim() < 2:
            raise ValueError(
                f"{name} must be {'' if name == 'scale_tril' else 'at least two-dimensional, '}"
                "with optional leading batch dimensions"
            )
        batch = broadcast_check([matrix.shape[:-2], loc.shape[:-1]])
        setattr(self, name, matrix.expand((*batch, *matrix.shape[-2:])))
        self.loc = loc.expand((*batch, loc.shape[-1]))
        super().__init__(batch, loc.shape[-1:], validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self.loc.shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        eps = standard_normal(shape, self.loc.dtype, self.loc.device)
        moved = ops.matmul(self._unbroadcasted_scale_tril, eps.unsqueeze(-1)).squeeze(-1)
        return self.loc + moved

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        off, factor = value - self.loc, self._unbroadcasted_scale_tril
        shape = (*off.shape[:-1], *factor.shape[-2:])
        z = linalg.solve_triangular(factor.expand(shape), off.unsqueeze(-1), upper=False)
        n = self._event_shape[0]
        far = n * math.log(2 * math.pi) + z.squeeze(-1).pow(2).sum(-1)
        return -0.5 * far - self._log_half_det()

    def entropy(self) -> Any:
        n = self._event_shape[0]
        found = 0.5 * n * (1.0 + math.log(2 * math.pi)) + self._log_half_det()
        return found.expand(self._batch_shape) if self._batch_shape else found


__all__ = ["Beta", "Chi2", "Dirichlet", "Gamma", "MultivariateNormal"]
