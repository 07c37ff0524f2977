"""Bayesian layers: a regressor and a convolution trained on samples of their loss."""

import torch
from blitz.modules import BayesianConv2d, BayesianLinear, BayesianLSTM
from blitz.utils import variational_estimator
from torch import nn


@variational_estimator
class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = BayesianLinear(3, 8), BayesianLinear(8, 1)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


torch.manual_seed(0)
model = Regressor()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
x = torch.randn(16, 3)
y = x.sum(1, keepdim=True)
for _ in range(4):
    optimizer.zero_grad()
    loss = model.sample_elbo(
        inputs=x, labels=y, criterion=nn.MSELoss(), sample_nbr=3, complexity_cost_weight=1 / 16
    )
    loss.backward()
    optimizer.step()
    print(loss.item())
mean, deviation = model.mfvi_forward(x[:4], sample_nbr=4)
print(*mean.flatten().tolist(), *deviation.flatten().tolist(), model.nn_kl_divergence().item())
model.freeze_()
print(*model(x[:3]).flatten().tolist())
print(BayesianConv2d(1, 2, (3, 3))(torch.randn(1, 1, 5, 5)).sum().item())
out, (h, c) = BayesianLSTM(3, 4)(torch.randn(2, 5, 3))
print(out.sum().item(), h.sum().item(), c.sum().item())
