"""Steps along Jacobians: ten ways to join the gradients of several losses."""

import torch
from torch import nn
from torchjd import aggregation
from torchjd.autojac import backward, jac_to_grad, mtl_backward

torch.manual_seed(0)
x, y = torch.randn(6, 4), torch.randn(6, 3)
matrix = torch.randn(3, 7)
for make in (
    aggregation.Mean, aggregation.Sum, aggregation.MGDA, aggregation.IMTLG, aggregation.AlignedMTL,
    aggregation.PCGrad, aggregation.GradDrop,
    aggregation.Random,
):  # fmt: skip
    torch.manual_seed(1)
    print(*make()(matrix).tolist())
print(*aggregation.Krum(n_byzantine=0)(matrix).tolist())
print(*aggregation.TrimmedMean(trim_number=1)(matrix).tolist())
net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(3):
    losses = (net(x) - y).pow(2).mean(0)
    backward(losses)
    jac_to_grad(net.parameters(), aggregation.MGDA())
    optimizer.step()
    optimizer.zero_grad()
    print(*losses.tolist())
shared, heads = nn.Linear(4, 5), [nn.Linear(5, 1) for _ in range(2)]
features = shared(x).relu()
losses = [(head(features)[:, 0] - y[:, i]).abs().mean() for i, head in enumerate(heads)]
mtl_backward(losses, features=features)
jac_to_grad(shared.parameters(), aggregation.MGDA())
print(*shared.weight.grad.flatten().tolist(), *(h.weight.grad.sum().item() for h in heads))
