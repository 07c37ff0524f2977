"""A stochastic equation: paths on a Brownian interval, and gradients through the adjoint."""

import torch
import torchsde


class Equation(torch.nn.Module):
    noise_type, sde_type = "diagonal", "ito"

    def __init__(self):
        super().__init__()
        self.drift, self.noise = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)

    def f(self, t, y):
        return self.drift(y)

    def g(self, t, y):
        return self.noise(y).sigmoid()


torch.manual_seed(0)
equation, y0 = Equation(), torch.ones(3, 2)
times = torch.linspace(0, 1, 4)
for solve, method in ((torchsde.sdeint, "euler"), (torchsde.sdeint, "milstein"),
                      (torchsde.sdeint_adjoint, "euler")):  # fmt: skip
    path = torchsde.BrownianInterval(t0=0.0, t1=1.0, size=(3, 2), entropy=7)
    found = solve(equation, y0, times, bm=path, dt=0.1, method=method)
    equation.zero_grad()
    found[-1].pow(2).sum().backward()
    print(*found[-1].flatten().tolist())
    print(*[p.grad.norm().item() for p in equation.parameters()])
