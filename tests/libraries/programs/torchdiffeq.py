"""An equation solved by fixed and adaptive steps, its adjoint gradients, and an event."""

import torch
from torchdiffeq import odeint, odeint_adjoint, odeint_event


class Field(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)
        )

    def forward(self, t, y):
        return self.net(y) * (1 + t)


torch.manual_seed(0)
field, y0 = Field().double(), torch.tensor([[1.0, -0.5]], dtype=torch.double)
times = torch.linspace(0, 1, 4, dtype=torch.double)
for method in ("dopri5", "rk4", "explicit_adams", "euler"):
    found = odeint(field, y0, times, method=method, rtol=1e-6, atol=1e-8)
    print(*found.flatten().tolist())
optimizer = torch.optim.Adam(field.parameters(), lr=0.05)
for _ in range(3):
    optimizer.zero_grad()
    loss = odeint_adjoint(field, y0, times, method="dopri5")[-1].pow(2).sum()
    loss.backward()
    optimizer.step()
    print(loss.item())
fall = lambda t, y: (y[1], -9.8 * torch.ones_like(y[1]))
start = (torch.tensor([1.0], dtype=torch.double), torch.tensor([0.0], dtype=torch.double))
when, _ = odeint_event(
    fall, start, torch.tensor(0.0, dtype=torch.double), event_fn=lambda t, y: y[0].sum()
)
print(when.item())
