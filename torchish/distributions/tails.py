"""Pareto, Weibull and other distributions made of a uniform, exponential or gamma value."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .._namespace.limits import finfo
from .._ops.registry import ops, special
from . import constraints
from .composed import TransformedDistribution
from .continuous import _EULER, Exponential, Normal, Uniform
from .distribution import Distribution, batch_shape
from .gammas import Gamma
from .transforms import AffineTransform, ExpTransform, PowerTransform, StickBreakingTransform
from .utils import broadcast_all

__all__ = [
    "FisherSnedecor", "GeneralizedPareto", "InverseGamma", "Kumaraswamy", "LogisticNormal",
    "Pareto", "VonMises", "Weibull",
]  # fmt: skip


class Pareto(TransformedDistribution):
    """alpha scale^alpha / x^(alpha + 1) from `scale` on."""

    arg_constraints: ClassVar[Any] = {
        "alpha": constraints.positive, "scale": constraints.positive
    }  # fmt: skip

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        parts = [ExpTransform(), AffineTransform(0, self.scale)]
        super().__init__(Exponential(self.alpha, validate_args), parts, validate_args)

    def _expand_into(self, made: Any, shape: Any) -> None:
        super()._expand_into(made, shape)
        made.transforms = [ExpTransform(), AffineTransform(0, made.scale)]

    @property
    def mean(self) -> Any:
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Any:
        return self.scale

    @property
    def variance(self) -> Any:
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    @property
    def support(self) -> Any:  # type: ignore[override]
        """From `scale` on."""
        return constraints.greater_than_eq(self.scale)

    def entropy(self) -> Any:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())


class Weibull(TransformedDistribution):
    """scale times an exponential value to the power 1 / concentration."""

    arg_constraints: ClassVar[Any] = {
        "scale": constraints.positive, "concentration": constraints.positive
    }  # fmt: skip
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        self.concentration_reciprocal = self.concentration.reciprocal()
        base = Exponential(ops.ones_like(self.scale), validate_args)
        super().__init__(base, self._parts(), validate_args)

    def _parts(self) -> list[Any]:
        return [PowerTransform(self.concentration_reciprocal), AffineTransform(0, self.scale)]

    def _expand_into(self, made: Any, shape: Any) -> None:
        super()._expand_into(made, shape)
        made.concentration_reciprocal = made.concentration.reciprocal()
        made.transforms = made._parts()

    @property
    def mean(self) -> Any:
        return self.scale * ops.exp(ops.lgamma(1 + self.concentration_reciprocal))

    @property
    def mode(self) -> Any:
        c = self.concentration
        return self.scale * ((c - 1) / c) ** c.reciprocal()

    @property
    def variance(self) -> Any:
        r = self.concentration_reciprocal
        first, second = ops.exp(2 * ops.lgamma(1 + r)), ops.exp(ops.lgamma(1 + 2 * r))
        return self.scale.pow(2) * (second - first)

    def entropy(self) -> Any:
        r = self.concentration_reciprocal
        return _EULER * (1 - r) + ops.log(self.scale * r) + 1


class Kumaraswamy(TransformedDistribution):
    """a b x^(a - 1) (1 - x^a)^(b - 1) on (0, 1)."""

    arg_constraints: ClassVar[Any] = {
        "concentration1": constraints.positive, "concentration0": constraints.positive
    }  # fmt: skip
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        both = broadcast_all(concentration1, concentration0)
        self.concentration1, self.concentration0 = both
        low, high = ops.zeros_like(both[1]), ops.ones_like(both[1])
        super().__init__(Uniform(low, high, validate_args), self._parts(), validate_args)

    def _parts(self) -> list[Any]:
        return [
            PowerTransform(self.concentration0.reciprocal()), AffineTransform(1.0, -1.0),
            PowerTransform(self.concentration1.reciprocal()),
        ]  # fmt: skip

    def _expand_into(self, made: Any, shape: Any) -> None:
        super()._expand_into(made, shape)
        made.transforms = made._parts()

    def _moment(self, n: int) -> Any:
        b, shifted = self.concentration0, 1 + n / self.concentration1
        return b * ops.exp(ops.lgamma(shifted) + ops.lgamma(b) - ops.lgamma(shifted + b))

    @property
    def mean(self) -> Any:
        return self._moment(1)

    @property
    def mode(self) -> Any:
        a, b = self.concentration1, self.concentration0
        found = b.reciprocal() * (-b).log1p() - (-b * a).log1p()
        return found.masked_fill((b < 1) | (a < 1), math.nan).exp()

    @property
    def variance(self) -> Any:
        return self._moment(2) - self.mean.pow(2)

    def entropy(self) -> Any:
        a, b = self.concentration1, self.concentration0
        harmonic = ops.digamma(b + 1) + _EULER
        return 1 - b.reciprocal() + (1 - a.reciprocal()) * harmonic - ops.log(a) - ops.log(b)


class InverseGamma(TransformedDistribution):
    """One over a gamma value."""

    arg_constraints: ClassVar[Any] = {
        "concentration": constraints.positive, "rate": constraints.positive
    }  # fmt: skip
    support = constraints.positive
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args)
        minus = -base.rate.new_ones(())
        super().__init__(base, PowerTransform(minus), validate_args)

    @property
    def concentration(self) -> Any:
        """The gamma value's."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Any:
        """The gamma value's."""
        return self.base_dist.rate

    @property
    def mean(self) -> Any:
        c = self.concentration
        return ops.where(c > 1, self.rate / (c - 1), math.inf)

    @property
    def mode(self) -> Any:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Any:
        c = self.concentration
        return ops.where(c > 2, self.rate.square() / ((c - 1).square() * (c - 2)), math.inf)

    def entropy(self) -> Any:
        c = self.concentration
        return c + self.rate.log() + c.lgamma() - (1 + c) * c.digamma()


class LogisticNormal(TransformedDistribution):
    """A normal vector taken to the simplex by stick breaking."""

    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args)

    @property
    def loc(self) -> Any:
        """The mean of the normal vector."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Any:
        """The standard deviation of the normal vector."""
        return self.base_dist.base_dist.scale


class FisherSnedecor(Distribution):
    """The quotient of two gamma values, each over its degrees of freedom."""

    arg_constraints: ClassVar[Any] = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        self._gamma1 = Gamma(self.df1 * 0.5, self.df1)
        self._gamma2 = Gamma(self.df2 * 0.5, self.df2)
        super().__init__(batch_shape(self.df1, df1, df2), (), validate_args)

    def _expand_into(self, made: Any, shape: Any) -> None:
        super()._expand_into(made, shape)
        made._gamma1, made._gamma2 = self._gamma1.expand(shape), self._gamma2.expand(shape)

    @property
    def mean(self) -> Any:
        df2 = ops.where(self.df2 <= 2, math.nan, self.df2)
        return df2 / (df2 - 2)

    @property
    def mode(self) -> Any:
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return ops.where(self.df1 <= 2, math.nan, mode)

    @property
    def variance(self) -> Any:
        df2 = ops.where(self.df2 <= 4, math.nan, self.df2)
        top = 2 * df2.pow(2) * (self.df1 + df2 - 2)
        return top / (self.df1 * (df2 - 2).pow(2) * (df2 - 4))

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        first = self._gamma1.rsample(sample_shape).view(shape)
        second = self._gamma2.rsample(sample_shape).view(shape)
        second = second.clamp(min=finfo(second.dtype).tiny)
        return (first / second).clamp(min=finfo(second.dtype).tiny)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        a, b = self.df1 * 0.5, self.df2 * 0.5
        ratio = self.df1 / self.df2
        t1 = (a + b).lgamma() - a.lgamma() - b.lgamma()
        t2 = a * ratio.log() + (a - 1) * value.log()
        return t1 + t2 - (a + b) * ops.log1p(ratio * value)


class GeneralizedPareto(Distribution):
    """What lies above a threshold `loc`; an exponential tail at concentration 0."""

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real
    }  # fmt: skip
    has_rsample = True

    def __init__(
        self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(batch_shape(self.loc, loc, scale, concentration), (), validate_args)

    def _safe(self) -> tuple[Any, Any]:
        """Where the concentration is 0, and the concentration with 1 there."""
        flat = ops.isclose(self.concentration, ops.zeros_like(self.concentration))
        return flat, ops.where(flat, ops.ones_like(self.concentration), self.concentration)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = tuple(self._extended_shape(sample_shape))
        return self.icdf(ops.rand(shape, dtype=self.loc.dtype, device=self.loc.device))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        z, (flat, c) = (value - self.loc) / self.scale, self._safe()
        y = 1 / c + ops.ones_like(z)
        steep = ops.where(y == 0, y, y * ops.log1p(c * z))
        return -self.scale.log() - ops.where(flat, z, steep)

    def log_survival_function(self, value: Any) -> Any:
        """The logarithm of the probability of larger values."""
        self._checked(value)
        z, (flat, c) = (value - self.loc) / self.scale, self._safe()
        return ops.where(flat, -z, -ops.log1p(c * z) / c)

    def log_cdf(self, value: Any) -> Any:
        """The logarithm of `cdf`."""
        return ops.log1p(-ops.exp(self.log_survival_function(value)))

    def cdf(self, value: Any) -> Any:
        return ops.exp(self.log_cdf(value))

    def icdf(self, value: Any) -> Any:
        flat, c = self._safe()
        left = ops.log1p(-value)
        steep = self.loc + self.scale / c * ops.expm1(-c * left)
        return ops.where(flat, self.loc - self.scale * left, steep)

    @property
    def mean(self) -> Any:
        fits = self.concentration < 1
        c = ops.where(fits, self.concentration, 0.5)
        return ops.where(fits, self.loc + self.scale / (1 - c), math.nan)

    @property
    def variance(self) -> Any:
        fits = self.concentration < 0.5
        c = ops.where(fits, self.concentration, 0.25)
        return ops.where(fits, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), math.nan)

    def entropy(self) -> Any:
        return (ops.log(self.scale) + self.concentration + 1).expand(self._batch_shape)

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def support(self) -> Any:  # type: ignore[override]
        """From `loc` on, up to a bound at negative concentrations."""
        bound = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, ops.where(self.concentration < 0, bound, math.inf))


class VonMises(Distribution):
    """exp(concentration cos(x - loc)) on the circle; sampled by Best and Fisher's rejection."""

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real, "concentration": constraints.positive
    }  # fmt: skip
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, (), validate_args)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        c = self.concentration
        log_bessel = c + special.i0e(c).log()
        return c * ops.cos(value - self.loc) - math.log(2 * math.pi) - log_bessel

    def sample(self, sample_shape: Any = ()) -> Any:
        shape = tuple(self._extended_shape(sample_shape))
        loc, c = self.loc.detach().double(), self.concentration.detach().double()
        tau = 1 + (1 + 4 * c**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * c)
        r = ops.where(c < 1e-5, 1 / c + c, (1 + rho**2) / (2 * rho))
        x = ops.empty(shape, dtype=loc.dtype, device=loc.device)
        done = ops.zeros(shape, dtype=(x == x).dtype, device=loc.device)
        while not bool(done.all()):
            u1, u2, u3 = ops.rand((3, *shape), dtype=loc.dtype, device=loc.device).unbind()
            z = ops.cos(math.pi * u1)
            f = (1 + r * z) / (r + z)
            off = c * (r - f)
            accept = ((off * (2 - off) - u2) > 0) | ((off / u2).log() + 1 - off >= 0)
            if bool(accept.any()):
                x = ops.where(accept, (u3 - 0.5).sign() * f.acos(), x)
                done = done | accept
        found = (x + math.pi + loc) % (2 * math.pi) - math.pi
        return found.to(self.loc.dtype)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        return 1 - special.i1e(self.concentration) / special.i0e(self.concentration)
