"""Averages of a network's weights, by ema_pytorch and torch_ema."""

import torch
from ema_pytorch import EMA
from torch_ema import ExponentialMovingAverage

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
ema = EMA(net, beta=0.9, update_after_step=2, update_every=2)
older = ExponentialMovingAverage(net.parameters(), decay=0.9)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(12):
    optimizer.zero_grad()
    x = torch.randn(8, 3)
    (net(x) - x.sum(1, keepdim=True)).pow(2).mean().backward()
    optimizer.step()
    ema.update()
    older.update()
x = torch.randn(2, 3)
print(*ema(x).flatten().tolist())
with older.average_parameters():
    print(*[p.norm().item() for p in net.parameters()])
other = EMA(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)))
other.load_state_dict(ema.state_dict())
print(*other.ema_model.eval()(x).flatten().tolist())
