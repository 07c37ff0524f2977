"""Divergences between families, triangles as vectors, and transforms in parts, against torch's."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributions

import torchish
import torchish.distributions
import torchish.distributions.utils

Make = Callable[[Any, Any], Any]

LAWS: dict[str, Make] = {
    "Bernoulli": lambda m, d: d.Bernoulli(m.tensor([0.3, 0.8])),
    "Beta": lambda m, d: d.Beta(m.tensor([1.5, 3.0]), m.tensor([2.0, 2.5])),
    "Binomial": lambda m, d: d.Binomial(3, m.tensor([0.3, 0.8])),
    "Cauchy": lambda m, d: d.Cauchy(m.tensor([0.0, 1.0]), m.tensor([1.0, 2.0])),
    "ContinuousBernoulli": lambda m, d: d.ContinuousBernoulli(m.tensor([0.3, 0.8])),
    "Exponential": lambda m, d: d.Exponential(m.tensor([1.0, 3.0])),
    "Gamma": lambda m, d: d.Gamma(m.tensor([1.5, 3.0]), m.tensor([1.0, 2.0])),
    "Gumbel": lambda m, d: d.Gumbel(m.tensor([0.5, -1.0]), m.tensor([1.0, 2.0])),
    "Laplace": lambda m, d: d.Laplace(m.tensor([0.5, -1.0]), m.tensor([1.0, 2.0])),
    "Normal": lambda m, d: d.Normal(m.tensor([0.5, -1.0]), m.tensor([1.0, 2.0])),
    "Pareto": lambda m, d: d.Pareto(m.tensor([0.5, 0.1]), m.tensor([1.5, 3.0])),
    "Poisson": lambda m, d: d.Poisson(m.tensor([0.5, 4.0])),
    "Uniform": lambda m, d: d.Uniform(m.tensor([0.2, 0.1]), m.tensor([0.8, 0.9])),
    "Uniform around": lambda m, d: d.Uniform(m.tensor([-1.0, 0.0]), m.tensor([2.0, 1.0])),
}
VECTORS: dict[str, Make] = {
    "MultivariateNormal": lambda m, d: d.MultivariateNormal(
        m.tensor([0.0, 1.0]), m.tensor([[2.0, 0.5], [0.5, 1.0]])
    ),
    "LowRankMultivariateNormal": lambda m, d: d.LowRankMultivariateNormal(
        m.tensor([[0.5, 0.0], [1.0, 1.0]]), m.tensor([[1.0], [0.5]]), m.tensor([1.0, 2.0])
    ),
    "Wishart": lambda m, d: d.Wishart(5.0, m.tensor([[2.0, 0.5], [0.5, 1.0]])),
    "another Wishart": lambda m, d: d.Wishart(4.0, m.tensor([[1.0, 0.1], [0.1, 3.0]])),
}
PAIRS = [*itertools.product(LAWS, LAWS), *itertools.product(VECTORS, VECTORS)]


def divergence(m: Any, p: str, q: str) -> Any:
    makers = LAWS | VECTORS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            first, second = (makers[name](m, m.distributions) for name in (p, q))
            return m.distributions.kl_divergence(first, second).detach().numpy()
        except (NotImplementedError, ValueError) as error:
            return type(error)


@pytest.mark.parametrize("p", [*LAWS, *VECTORS])
def test_divergences_of_every_pair(p: str) -> None:
    for _, q in (pair for pair in PAIRS if pair[0] == p):
        mine, theirs = divergence(torchish, p, q), divergence(torch, p, q)
        if isinstance(theirs, type):
            assert mine is theirs, (p, q)
        else:
            assert not isinstance(mine, type), (p, q)
            np.testing.assert_allclose(mine, theirs, 1e-4, 1e-5, err_msg=f"{p}, {q}")


def test_rules_are_registered_for_any_class() -> None:
    """Pyro registers rules for a mixin of its own that is no Distribution."""
    for m in (torchish, torch):

        class Mixin:
            pass

        class Law(Mixin, m.distributions.Normal):  # type: ignore[misc, name-defined]
            pass

        rule = m.distributions.register_kl(Law, Mixin)(lambda p, q: "mine")
        assert rule(1, 2) == "mine"
        with pytest.raises(TypeError, match="must be a class"):
            m.distributions.register_kl(3, Law)


def test_a_family_of_ones_own() -> None:
    def run(m: Any) -> Any:
        class Mine(m.distributions.ExponentialFamily):  # a normal one of variance 1
            arg_constraints: Any = {}
            _mean_carrier_measure = 0

            def __init__(self, loc: Any) -> None:
                self.loc = loc
                super().__init__(loc.shape, validate_args=False)

            @property
            def _natural_params(self) -> Any:
                return (self.loc,)

            def _log_normalizer(self, x: Any) -> Any:
                return x**2 / 2

        p, q = Mine(m.tensor([1.0, 2.0])), Mine(m.tensor([3.0, 2.0]))
        return [p.entropy().detach().numpy(),
                m.distributions.kl_divergence(p, q).detach().numpy()]  # fmt: skip

    for mine, theirs in zip(run(torchish), run(torch), strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-6)


@pytest.mark.parametrize("diag", [-2, -1, 0])
def test_triangles(diag: int) -> None:
    for m in (torchish, torch):
        u = m.distributions.utils
        mat = m.arange(32.0).reshape(2, 4, 4)
        vec = u.tril_matrix_to_vec(mat, diag)
        back = u.vec_to_tril_matrix(vec, diag)
        assert bool((back == mat.tril(diag)).all())
        if m is torchish:
            mine = vec.numpy()
    np.testing.assert_array_equal(mine, vec.numpy())
    with pytest.raises(ValueError, match="cannot be expressed"):
        torchish.distributions.utils.vec_to_tril_matrix(torchish.zeros(4), -1)


def test_lazy_properties_are_computed_once() -> None:
    class Holder:
        count = 0

        @torchish.distributions.utils.lazy_property
        def value(self) -> int:
            self.count += 1
            return 7

    holder = Holder()
    assert (holder.value, holder.value, holder.count) == (7, 7, 1)


def transforms(m: Any) -> dict[str, tuple[Any, Any]]:
    d = m.distributions
    three = [d.ExpTransform(), d.SigmoidTransform(), d.AffineTransform(1.0, -2.0)]
    x = m.arange(12.0).reshape(4, 3) / 6 - 1
    return {
        "correlation": (d.CorrCholeskyTransform(), x),
        "stack": (d.StackTransform(three, 1), x),
        "cat": (d.CatTransform(three, 0, [1, 2, 1]), x),
        "cat of vectors": (d.CatTransform([d.SoftmaxTransform(), d.ExpTransform()], 0, [1, 3]), x),
        "cached": (d.CatTransform(three, -1, cache_size=1), x),
    }


@pytest.mark.parametrize("name", transforms(torch))
def test_transforms_in_parts(name: str) -> None:
    found = []
    for m in (torchish, torch):
        transform, x = transforms(m)[name]
        y = transform(x)
        facts = [y, transform.inv(y)]
        if name != "cat of vectors":
            facts.append(transform.log_abs_det_jacobian(x, y))
        shape = transform.forward_shape(tuple(x.shape))
        facts.append(m.tensor([transform.bijective, *shape, *transform.inverse_shape(shape)]))
        if name != "cat of vectors":  # torch joins checks of different dims, which is no tensor
            facts.append(transform.codomain.check(y))
        found.append([f.numpy() for f in facts])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-4, 1e-5)


WRONG: dict[str, Make] = {
    "dim": lambda m, d: d.LKJCholesky(1),
    "low df": lambda m, d: d.Wishart(1.0, m.eye(2)),
    "none given": lambda m, d: d.Wishart(3.0),
    "vector": lambda m, d: d.Wishart(3.0, m.ones(2)),
    "concentration": lambda m, d: d.LKJCholesky(3, -1.0),
    "factor": lambda m, d: d.LKJCholesky(2).log_prob(m.tensor([[2.0, 0.0], [0.0, 2.0]])),
    "lengths": lambda m, d: d.CatTransform([d.ExpTransform()], lengths=[1, 2])(m.ones(3)),
    "size": lambda m, d: d.CatTransform([d.ExpTransform()], 0)(m.ones(3)),
    "stack size": lambda m, d: d.StackTransform([d.ExpTransform()], 0)(m.ones(3)),
    "range": lambda m, d: d.StackTransform([d.ExpTransform()], 4)(m.ones(3)),
    "no transform": lambda m, d: d.StackTransform([3]),
    "no constraint": lambda m, d: d.constraints.cat([3]),
    "shape": lambda m, d: d.CorrCholeskyTransform().forward_shape((4,)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name: str) -> None:
    found = []
    for m in (torchish, torch):
        with pytest.raises((ValueError, AssertionError)) as caught:
            WRONG[name](m, m.distributions)
        found.append(f"{type(caught.value).__name__}: {caught.value}")
    assert found[0] == found[1]


def test_low_degrees_of_freedom_warn() -> None:
    with pytest.warns(UserWarning, match="Low df values detected"):
        torchish.distributions.Wishart(1.5, torchish.eye(2))
