"""Liquid networks: closed-form and stepwise cells on wirings, trained on a sine."""

import torch
from ncps.torch import CfC, LTC
from ncps.wirings import AutoNCP, FullyConnected

t = torch.linspace(0, 3, 12)
x = torch.stack([t.sin(), t.cos()], -1)[None]
y = (2 * t).sin()[None, :, None]
for make in (
    lambda: CfC(2, AutoNCP(12, 1, seed=3)), lambda: CfC(2, 6, proj_size=1, mode="no_gate"),
    lambda: CfC(2, 6, proj_size=1, mixed_memory=True), lambda: LTC(2, AutoNCP(10, 1, seed=3)),
    lambda: LTC(2, FullyConnected(4, 1), mixed_memory=True),
):  # fmt: skip
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        out, state = model(x)
        loss = (out - y).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(loss.item())
    spans = torch.full((1, 12), 0.5)
    print(*model(x, timespans=spans)[0].flatten().tolist())
