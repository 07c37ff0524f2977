"""`torch.distributions`: sampling, densities, entropies, divergences."""

from __future__ import annotations

from . import _kl_pairs as _kl_pairs, constraints, transforms
from .composed import Independent, MixtureSameFamily, TransformedDistribution
from .constraint_registry import biject_to, transform_to
from .continuous import (
    Cauchy,
    Exponential,
    Gumbel,
    HalfCauchy,
    HalfNormal,
    Laplace,
    LogNormal,
    Normal,
    StudentT,
    Uniform,
)
from .counts import (
    ContinuousBernoulli,
    ExpRelaxedCategorical as ExpRelaxedCategorical,
    LogitRelaxedBernoulli as LogitRelaxedBernoulli,
    NegativeBinomial,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
)
from .discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Geometric,
    Multinomial,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    Poisson,
)
from .distribution import Distribution, ExponentialFamily
from .gammas import Beta, Chi2, Dirichlet, Gamma, MultivariateNormal
from .kl import kl_divergence, register_kl
from .lowrank import LowRankMultivariateNormal
from .matrices import LKJCholesky, Wishart
from .tails import (
    FisherSnedecor,
    GeneralizedPareto,
    InverseGamma,
    Kumaraswamy,
    LogisticNormal,
    Pareto,
    VonMises,
    Weibull,
)
from .transforms import *  # noqa: F403

__all__ = [
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "Dirichlet", "Distribution",
    "Exponential", "ExponentialFamily", "Gamma", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal",
    "Independent", "Laplace", "LogNormal", "MixtureSameFamily", "Multinomial",
    "MultivariateNormal", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough",
    "Poisson", "StudentT", "TransformedDistribution", "Uniform", "constraints", "kl_divergence",
    "register_kl", "transforms",
]  # fmt: skip
__all__ += transforms.__all__

__all__ += [
    "ContinuousBernoulli", "FisherSnedecor", "GeneralizedPareto", "InverseGamma", "Kumaraswamy",
    "LKJCholesky", "LogisticNormal", "LowRankMultivariateNormal", "NegativeBinomial", "Pareto",
    "RelaxedBernoulli", "RelaxedOneHotCategorical", "VonMises", "Weibull", "Wishart", "biject_to",
    "transform_to",
]  # fmt: skip
