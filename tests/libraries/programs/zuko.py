"""Normalising flows of four kinds: densities, training, samples."""

import torch
import zuko

torch.manual_seed(0)
x, c = torch.randn(32, 3), torch.randn(32, 2)
for make in (
    lambda: zuko.flows.MAF(3, 2, transforms=2, hidden_features=(16,)),
    lambda: zuko.flows.NSF(3, 2, transforms=2, hidden_features=(16,)),
    lambda: zuko.flows.RealNVP(3, 2, transforms=2, hidden_features=(16,)),
    lambda: zuko.flows.GMM(3, 2, components=3, hidden_features=(16,)),
):
    flow = make()
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        loss = -flow(c).log_prob(x).mean()
        loss.backward()
        optimizer.step()
        print(loss.item())
    print(*flow(c[0]).sample((2,)).flatten().tolist())
