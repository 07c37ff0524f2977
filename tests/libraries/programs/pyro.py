"""Variational inference with guides, Hamiltonian sampling, and prediction."""

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, TraceMeanField_ELBO
from pyro.infer.autoguide import AutoLowRankMultivariateNormal, AutoNormal

pyro.set_rng_seed(0)
x = torch.randn(20, 2)
y = x @ torch.tensor([1.0, -2.0]) + 0.5


def model(x, y=None):
    w = pyro.sample("w", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    b = pyro.sample("b", dist.Normal(0.0, 1.0))
    noise = pyro.sample("noise", dist.HalfCauchy(1.0))
    with pyro.plate("data", len(x)):
        return pyro.sample("y", dist.Normal(x @ w + b, noise + 0.1), obs=y)


for guide, elbo in ((AutoNormal(model), TraceMeanField_ELBO()),
                    (AutoLowRankMultivariateNormal(model, rank=1), Trace_ELBO(2))):  # fmt: skip
    pyro.clear_param_store()
    svi = SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.05}), elbo)
    print(*[svi.step(x, y) for _ in range(5)])
    print(*[v.norm().item() for v in pyro.get_param_store().values()])
print(Predictive(model, guide=guide, num_samples=4)(x[:2])["y"].shape[0])


def small():
    pyro.sample("z", dist.Normal(1.0, 2.0))


sampler = MCMC(NUTS(small, step_size=0.5, adapt_step_size=False), 6, warmup_steps=2,
               disable_progbar=True)  # fmt: skip
sampler.run()
print(*sampler.get_samples()["z"].tolist())
