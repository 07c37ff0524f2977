"""Variational Gaussian processes of two likelihoods, kernels joined, and a deep kernel."""

import gpytorch
import torch
from gpytorch.variational import CholeskyVariationalDistribution, VariationalStrategy


class Approximate(gpytorch.models.ApproximateGP):
    def __init__(self, points):
        strategy = VariationalStrategy(
            self,
            points,
            CholeskyVariationalDistribution(len(points)),
            learn_inducing_locations=True,
        )
        super().__init__(strategy)
        self.mean_module = gpytorch.means.LinearMean(1)
        self.covar_module = gpytorch.kernels.ScaleKernel(
            gpytorch.kernels.RBFKernel() + gpytorch.kernels.PeriodicKernel()
        )

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


class Exact(gpytorch.models.ExactGP):
    def __init__(self, x, y, likelihood):
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ConstantMean()
        self.features = torch.nn.Linear(1, 2)
        self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel(nu=1.5))

    def forward(self, x):
        x = self.features(x).tanh()
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


torch.manual_seed(0)
x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
y = (6 * x[:, 0]).sin()
for likelihood, target in (
    (gpytorch.likelihoods.GaussianLikelihood(), y),
    (gpytorch.likelihoods.BernoulliLikelihood(), (y > 0).double()),
):
    torch.manual_seed(1)
    model, likelihood = Approximate(x[::4].clone()).double(), likelihood.double()
    optimizer = torch.optim.Adam([*model.parameters(), *likelihood.parameters()], lr=0.05)
    objective = gpytorch.mlls.VariationalELBO(likelihood, model, num_data=20)
    for _ in range(3):
        optimizer.zero_grad()
        loss = -objective(model(x), target)
        loss.backward()
        optimizer.step()
        print(loss.item())
    model.eval(), likelihood.eval()
    print(*likelihood(model(x[:3] + 0.01)).mean.tolist())
likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
exact = Exact(x, y, likelihood).double()
optimizer = torch.optim.Adam(exact.parameters(), lr=0.05)
objective = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, exact)
for _ in range(3):
    optimizer.zero_grad()
    loss = -objective(exact(x), y)
    loss.backward()
    optimizer.step()
    print(loss.item())
exact.eval(), likelihood.eval()
with torch.no_grad(), gpytorch.settings.fast_pred_var():
    posterior = likelihood(exact(x[:4] + 0.02))
    print(*posterior.mean.tolist(), *posterior.variance.tolist())
