"""Negative binomial counts, and relaxed or continuous forms of Bernoulli and categories."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .._ops.registry import nnf, ops
from . import constraints
from .composed import TransformedDistribution
from .discrete import Categorical, _ByChance
from .distribution import Distribution, ExponentialFamily
from .gammas import Gamma
from .transforms import ExpTransform, SigmoidTransform
from .utils import all_numbers, broadcast_all, clamp_probs, one_of

__all__ = [
    "ContinuousBernoulli", "ExpRelaxedCategorical", "LogitRelaxedBernoulli", "NegativeBinomial",
    "RelaxedBernoulli", "RelaxedOneHotCategorical",
]  # fmt: skip
_CHANCE = {"probs": constraints.unit_interval, "logits": constraints.real}


def _uniform(shape: Any, like: Any) -> Any:
    return ops.rand(tuple(shape), dtype=like.dtype, device=like.device)


class NegativeBinomial(_ByChance):
    """Successes, each of chance `probs`, before `total_count` failures."""

    arg_constraints: ClassVar[Any] = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        one_of(probs, logits)
        name, given = ("probs", probs) if logits is None else ("logits", logits)
        self.total_count, value = broadcast_all(total_count, given)
        self.total_count = self.total_count.type_as(value)
        setattr(self, name, value)
        super().__init__(value.size(), (), validate_args)

    @property
    def mean(self) -> Any:
        return self.total_count * ops.exp(self.logits)

    @property
    def mode(self) -> Any:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Any:
        return self.mean / ops.sigmoid(-self.logits)

    def sample(self, sample_shape: Any = ()) -> Any:
        rates = Gamma(self.total_count, ops.exp(-self.logits), False).sample(sample_shape)
        return ops.poisson(rates.detach())

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        n, logits = self.total_count, self.logits
        free = n * nnf.logsigmoid(-logits) + value * nnf.logsigmoid(logits)
        ways = -ops.lgamma(n + value) + ops.lgamma(1.0 + value) + ops.lgamma(n)
        return free - ways.masked_fill(n + value == 0.0, 0.0)


class LogitRelaxedBernoulli(_ByChance):
    """The logit of a relaxed Bernoulli value."""

    arg_constraints: ClassVar[Any] = _CHANCE
    support = constraints.real

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self.temperature = temperature
        super().__init__(self._take(probs, logits), (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        p = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(_uniform(shape, p))
        return (u.log() - (-u).log1p() + p.log() - (-p).log1p()) / self.temperature

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        off = logits - value.mul(self.temperature)
        return self.temperature.log() + off - 2 * off.exp().log1p()


class _Relaxed(TransformedDistribution):
    has_rsample = True

    @property
    def temperature(self) -> Any:
        """How far from 0 and 1 values lie."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Any:
        """Log-odds, or log-probabilities."""
        return self.base_dist.logits

    @property
    def probs(self) -> Any:
        """Probabilities."""
        return self.base_dist.probs


class RelaxedBernoulli(_Relaxed):
    """A value in (0, 1), near 0 or 1 at low temperature; gradients reach the parameters."""

    arg_constraints: ClassVar[Any] = _CHANCE
    support = constraints.unit_interval

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args)


class ExpRelaxedCategorical(Distribution):
    """The logarithm of a relaxed one-hot vector."""

    arg_constraints: ClassVar[Any] = Categorical.arg_constraints
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self._categorical, self.temperature = Categorical(probs, logits), temperature
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args)

    def _expand_into(self, made: Any, shape: Any) -> None:
        made._categorical = self._categorical.expand(shape)

    @property
    def param_shape(self) -> Any:
        """The shape of `probs`."""
        return self._categorical.param_shape

    @property
    def logits(self) -> Any:
        """Log-probabilities."""
        return self._categorical.logits

    @property
    def probs(self) -> Any:
        """Probabilities."""
        return self._categorical.probs

    def rsample(self, sample_shape: Any = ()) -> Any:
        u = clamp_probs(_uniform(self._extended_shape(sample_shape), self.logits))
        scores = (self.logits - (-u.log()).log()) / self.temperature
        return scores - scores.logsumexp(dim=-1, keepdim=True)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        count = self._categorical._num_events
        logits, value = broadcast_all(self.logits, value)
        t = self.temperature
        scale = ops.full_like(t, float(count)).lgamma() - t.log().mul(-(count - 1))
        score = logits - value.mul(t)
        return (score - score.logsumexp(dim=-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(_Relaxed):
    """A vector on the simplex, near one-hot at low temperature."""

    arg_constraints: ClassVar[Any] = Categorical.arg_constraints
    support = constraints.simplex

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        super().__init__(base, ExpTransform(), validate_args)


class ContinuousBernoulli(_ByChance, ExponentialFamily):
    """probs^x (1 - probs)^(1 - x), normalised on [0, 1]; a series near probs = 1/2."""

    arg_constraints: ClassVar[Any] = _CHANCE
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, probs: Any = None, logits: Any = None, lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        one_of(probs, logits)
        self._lims = lims
        if probs is not None:
            (value,) = broadcast_all(probs)
            if validate_args is not None and not bool(_CHANCE["probs"].check(value).all()):
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(value)
        else:
            (self.logits,) = broadcast_all(logits)
        shape = () if all_numbers(logits if probs is None else probs) else self._param.size()
        super().__init__(shape, (), validate_args)

    def _steady(self) -> Any:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut(self) -> Any:
        return ops.where(self._steady(), self.probs, self._lims[0] * ops.ones_like(self.probs))

    def _cont_bern_log_norm(self) -> Any:
        """The logarithm of what normalises the density."""
        cut = self._cut()
        below = ops.where(cut <= 0.5, cut, ops.zeros_like(cut))
        above = ops.where(cut >= 0.5, cut, ops.ones_like(cut))
        width = ops.where(cut <= 0.5, ops.log1p(-2.0 * below), ops.log(2.0 * above - 1.0))
        exact = ops.log(ops.abs(ops.log1p(-cut) - ops.log(cut))) - width
        x = (self.probs - 0.5).pow(2)
        return ops.where(self._steady(), exact, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x)

    @property
    def mean(self) -> Any:
        cut = self._cut()
        exact = cut / (2.0 * cut - 1.0) + 1.0 / (ops.log1p(-cut) - ops.log(cut))
        x = self.probs - 0.5
        return ops.where(self._steady(), exact, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x)

    @property
    def stddev(self) -> Any:
        return ops.sqrt(self.variance)

    @property
    def variance(self) -> Any:
        cut = self._cut()
        exact = cut * (cut - 1.0) / (1.0 - 2.0 * cut).pow(2)
        exact = exact + 1.0 / (ops.log1p(-cut) - ops.log(cut)).pow(2)
        x = (self.probs - 0.5).pow(2)
        series = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x
        return ops.where(self._steady(), exact, series)

    def sample(self, sample_shape: Any = ()) -> Any:
        u = _uniform(self._extended_shape(sample_shape), self.probs)
        return self.icdf(u).detach()

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.icdf(_uniform(self._extended_shape(sample_shape), self.probs))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        fit = -nnf.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return fit + self._cont_bern_log_norm()

    def cdf(self, value: Any) -> Any:
        self._checked(value)
        cut = self._cut()
        top = ops.pow(cut, value) * ops.pow(1.0 - cut, 1.0 - value) + cut - 1.0
        found = ops.where(self._steady(), top / (2.0 * cut - 1.0), value)
        inside = ops.where(value <= 0.0, ops.zeros_like(found), found)
        return ops.where(value >= 1.0, ops.ones_like(found), inside)

    def icdf(self, value: Any) -> Any:
        cut = self._cut()
        exact = ops.log1p(-cut + value * (2.0 * cut - 1.0)) - ops.log1p(-cut)
        exact = exact / (ops.log(cut) - ops.log1p(-cut))
        return ops.where(self._steady(), exact, value)

    def entropy(self) -> Any:
        p = ops.log1p(-self.probs)
        return self.mean * (p - ops.log(self.probs)) - self._cont_bern_log_norm() - p
