"""Divergences between different families: KL(p || q) = -H(p) - E[log q] under p.

What log q needs of p (the means of x, log x and exp) is known for a few families each, so a rule a
target serves all of them.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from .._ops.call.operator import broadcast_check
from .._ops.registry import linalg, ops
from .continuous import Cauchy, Exponential, Gumbel, Laplace, Normal, Uniform
from .counts import ContinuousBernoulli
from .discrete import Bernoulli, Binomial, Poisson
from .distribution import ExponentialFamily
from .gammas import Beta, Gamma, MultivariateNormal
from .kl import register_kl
from .lowrank import LowRankMultivariateNormal
from .tails import Pareto
from .utils import sum_rightmost

_EULER = 0.57721566490153286060

# Families q that give some values of p no density at all.
_OUTSIDE = (
    ((Beta, ContinuousBernoulli), (Pareto,), "mean"),
    ((Exponential, Gamma), (Beta, ContinuousBernoulli, Pareto, Uniform), "rate"),
    ((Gumbel, Laplace, Normal), (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
     "loc"),
    ((Pareto,), (Beta, ContinuousBernoulli, Uniform), "scale"),
    ((Poisson,), (Bernoulli, Binomial), "rate"),
)  # fmt: skip


def _infinite(p: Any, q: Any, name: str) -> Any:
    return ops.full_like(getattr(p, name), math.inf)


for _ps, _qs, _name in _OUTSIDE:
    for _p in _ps:
        for _q in _qs:
            register_kl(_p, _q)(functools.partial(_infinite, name=_name))


def _for_each(families: tuple[type, ...], target: type) -> Any:
    def wrap(rule: Any) -> Any:
        for family in families:
            register_kl(family, target)(rule)
        return rule

    return wrap


def _where(wrong: Any, found: Any) -> Any:
    """Infinite where values of p lie outside of q's."""
    return ops.where(wrong, math.inf, found)


def _masked(p: Any, order: int, found: Any) -> Any:
    """Infinite for a Pareto that lacks the moment."""
    return _where(p.alpha <= order, found) if isinstance(p, Pareto) else found


def _integral_x_log_x(x: Any) -> Any:
    return ops.xlogy(x, x)


def _mean_log(p: Any, flip: bool = False) -> Any:
    """E[log x] under p, or E[log (1 - x)]."""
    if isinstance(p, Beta):
        return ops.digamma(p.concentration1) - ops.digamma(p.concentration1 + p.concentration0)
    if isinstance(p, Exponential):
        return -_EULER - p.rate.log()
    if isinstance(p, Pareto):
        return p.scale.log() + p.alpha.reciprocal()
    low, high = (1 - p.high, 1 - p.low) if flip else (p.low, p.high)
    width = p.high - p.low
    return (_integral_x_log_x(high) - _integral_x_log_x(low)) / width - 1


def _mean_exp(p: Any, loc: Any, scale: Any) -> Any:
    """E[exp(-(x - loc) / scale)] under p."""
    start = ops.exp(loc / scale)
    if isinstance(p, Exponential):
        return start * p.rate * scale / (p.rate * scale + 1)
    if isinstance(p, Gamma):
        return start * (1 + (p.rate * scale).reciprocal()).pow(-p.concentration)
    if isinstance(p, Normal):
        return ops.exp((loc - p.loc) / scale + 0.5 * (p.scale / scale).pow(2))
    high, low = ops.exp((loc - p.high) / scale), ops.exp((loc - p.low) / scale)
    return (low - high) * scale / (p.high - p.low)


@_for_each((Beta, ContinuousBernoulli, Gamma, Pareto, Uniform), Exponential)
def _to_exponential(p: Any, q: Any) -> Any:
    found = -p.entropy() - q.rate.log() + q.rate * p.mean
    return _where(p.low < 0, found) if isinstance(p, Uniform) else _masked(p, 1, found)


@_for_each(
    (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Pareto, Uniform), Normal
)
def _to_normal(p: Any, q: Any) -> Any:
    far = (p.variance + (p.mean - q.loc).pow(2)) / (2 * q.scale.pow(2))
    found = -p.entropy() + q.scale.log() + 0.5 * math.log(2 * math.pi) + far
    return _masked(p, 2, found)


@_for_each((Beta, Exponential, Pareto, Uniform), Gamma)
def _to_gamma(p: Any, q: Any) -> Any:
    c, rate = q.concentration, q.rate
    norm = ops.lgamma(c) - c * rate.log()
    found = -p.entropy() + norm - (c - 1) * _mean_log(p) + rate * p.mean
    return _where(p.low < 0, found) if isinstance(p, Uniform) else _masked(p, 1, found)


@_for_each((Exponential, Gamma, Normal, Uniform), Gumbel)
def _to_gumbel(p: Any, q: Any) -> Any:
    far = (p.mean - q.loc) / q.scale + _mean_exp(p, q.loc, q.scale)
    return -p.entropy() + q.scale.log() + far


@_for_each((Beta, ContinuousBernoulli), Uniform)
def _to_uniform(p: Any, q: Any) -> Any:
    found = -p.entropy() + (q.high - q.low).log()
    if isinstance(p, Beta):
        return _where((q.low > 0) | (q.high < 1), found)
    return _where((q.low >= 0) | (q.high <= 1), found)  # torch's rule for this pair


@_for_each((Beta, Uniform), ContinuousBernoulli)
def _to_continuous_bernoulli(p: Any, q: Any) -> Any:
    norm = ops.log1p(-q.probs) + q._cont_bern_log_norm()
    found = -p.entropy() - p.mean * q.logits - norm
    return _where((p.high >= 1) | (p.low <= 0), found) if isinstance(p, Uniform) else found


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Any:
    a, b = q.concentration1, q.concentration0
    norm = ops.lgamma(a) + ops.lgamma(b) - ops.lgamma(a + b)
    found = -p.entropy() + norm - (a - 1) * _mean_log(p) - (b - 1) * _mean_log(p, flip=True)
    return _where((p.high > 1) | (p.low < 0), found)


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Any, q: Any) -> Any:
    norm = q.alpha.log() + q.alpha * q.scale.log()
    found = -p.entropy() - norm + (q.alpha + 1) * _mean_log(p)
    return _where(p.low < q.scale, found)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Any:
    off = p.loc - q.loc
    z = off / p.scale
    mean_far = math.sqrt(2 / math.pi) * p.scale * ops.exp(-0.5 * z.pow(2))
    mean_far = mean_far + off * ops.erf(math.sqrt(0.5) * z)
    return -p.entropy() + (2 * q.scale).log() + mean_far / q.scale


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Any:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Any:
    ratio = q.alpha / p.alpha
    found = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return _where(p.scale < q.scale, found)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Any:
    mine = p._cont_bern_log_norm() + ops.log1p(-p.probs)
    theirs = q._cont_bern_log_norm() + ops.log1p(-q.probs)
    return p.mean * (p.logits - q.logits) + mine - theirs


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Any:
    spread = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return spread.log() - (4 * p.scale * q.scale).log()


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: Any, q: Any) -> Any:
    """The Bregman divergence of the log normalizer.

    Raises: NotImplementedError for two families.
    """
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot "
            "                            be computed using Bregman divergences"
        )
    norm, pairs = p._normalizer_and_slopes()
    found = q._log_normalizer(*q._natural_params) - norm
    for (mine, slope), theirs in zip(pairs, q._natural_params, strict=True):
        found = found - sum_rightmost((theirs - mine) * slope, len(q.event_shape))
    return found


def _squares(matrix: Any) -> Any:
    return matrix.pow(2).sum((-2, -1))


def _check_events(p: Any, q: Any) -> None:
    if p.event_shape != q.event_shape:
        low = "Low Rank" if type(p) is type(q) else "(Low Rank)"
        raise ValueError(
            f"KL-divergence between two {low} Multivariate Normals with                          "
            "different event shapes cannot be computed"
        )


def _solve(factor: Any, right: Any) -> Any:
    """factor^-1 right, for batches that broadcast."""
    batch = broadcast_check([factor.shape[:-2], right.shape[:-2]])
    factor = factor.expand((*batch, *factor.shape[-2:]))
    return linalg.solve_triangular(factor, right.expand((*batch, *right.shape[-2:])), upper=False)


def _log_det(d: Any) -> Any:
    return 2 * d._log_half_det() if isinstance(d, MultivariateNormal) else d._log_det()


def _normals(p: Any, q: Any, roots: tuple[Any, ...], whiten: Any) -> Any:
    """0.5 (log |Q| / |P| + tr Q^-1 P + off' Q^-1 off - n), with P the sum of the roots' squares.

    `whiten(x)` is x' Q^-1 x summed over columns.
    """
    _check_events(p, q)
    spread = sum(whiten(root) for root in roots)
    far = whiten((q.loc - p.loc).unsqueeze(-1))
    return 0.5 * (_log_det(q) - _log_det(p) + spread + far - p.event_shape[0])


def _low_rank_whiten(q: Any) -> Any:
    d = q._unbroadcasted_cov_diag.unsqueeze(-1)
    thin = _solve(q._capacitance_tril, (q._unbroadcasted_cov_factor / d).mT)
    return lambda x: _squares(x * d.rsqrt()) - _squares(thin @ x)


def _low_rank_roots(p: Any) -> tuple[Any, ...]:
    return p._unbroadcasted_cov_factor, ops.diag_embed(p._unbroadcasted_cov_diag.sqrt())


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_ranks(p: Any, q: Any) -> Any:
    return _normals(p, q, _low_rank_roots(p), _low_rank_whiten(q))


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _full_low_rank(p: Any, q: Any) -> Any:
    return _normals(p, q, (p._unbroadcasted_scale_tril,), _low_rank_whiten(q))


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank_full(p: Any, q: Any) -> Any:
    factor = q._unbroadcasted_scale_tril
    return _normals(p, q, _low_rank_roots(p), lambda x: _squares(_solve(factor, x)))
