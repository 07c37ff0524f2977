"""Controlled equations: three interpolations with gaps in the data, a classifier trained."""

import torch
import torchcde
from torch import nn

torch.manual_seed(0)
t = torch.linspace(0, 1, 6)
x = torch.cat([t[None, :, None].expand(4, 6, 1), torch.randn(4, 6, 2)], -1)
x[0, 2, 1] = float("nan")
x[1, 0, 2] = float("nan")


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(5, 15)

    def forward(self, t, z):
        return self.a(z).tanh().view(*z.shape[:-1], 5, 3)


for coefficients, path in (
    (torchcde.hermite_cubic_coefficients_with_backward_differences(x), torchcde.CubicSpline),
    (torchcde.natural_cubic_coeffs(x), torchcde.CubicSpline),
    (torchcde.linear_interpolation_coeffs(x), torchcde.LinearInterpolation),
):
    torch.manual_seed(1)
    field, first, last = Field(), nn.Linear(3, 5), nn.Linear(5, 1)
    parts = [*field.parameters(), *first.parameters(), *last.parameters()]
    optimizer = torch.optim.Adam(parts, lr=0.01)
    labels = torch.tensor([0.0, 1, 0, 1])
    for _ in range(2):
        X = path(coefficients)
        z = torchcde.cdeint(
            X=X, func=field, z0=first(X.evaluate(X.interval[0])), t=X.interval, method="rk4",
            options={"step_size": 0.2}, adjoint=False,
        )  # fmt: skip
        loss = nn.functional.binary_cross_entropy_with_logits(last(z[:, -1])[:, 0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(loss.item(), X.evaluate(torch.tensor(0.37)).sum().item())
