"""Gradients through training steps: one task adapted, and the outer step."""

import higher
import torch

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
for kind in (torch.optim.SGD, torch.optim.Adam):
    inner, outer = kind(net.parameters(), lr=0.05), torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        x = torch.randn(8, 3)
        outer.zero_grad()
        with higher.innerloop_ctx(net, inner, copy_initial_weights=False) as (model, steps):
            for _ in range(3):
                steps.step((model(x) - x.sum(1, keepdim=True)).pow(2).mean())
            loss = model(x + 0.1).pow(2).mean()
            loss.backward()
        outer.step()
        print(loss.item(), *[p.grad.norm().item() for p in net.parameters()])
