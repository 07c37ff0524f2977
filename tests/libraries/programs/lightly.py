"""Self-supervised learning: a SimCLR step, a MoCo memory, and nine losses with gradients."""

import torch
from lightly import loss as losses
from lightly.models.modules import heads
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import nn

torch.manual_seed(0)
a, b = torch.randn(6, 8), torch.randn(6, 8)
for make in (
    losses.NTXentLoss, losses.BarlowTwinsLoss, losses.VICRegLoss, losses.DCLLoss, losses.DCLWLoss,
    losses.NegativeCosineSimilarity, losses.TiCoLoss,
    lambda: losses.NTXentLoss(memory_bank_size=(16, 8)),
):  # fmt: skip
    torch.manual_seed(1)
    x = a.clone().requires_grad_()
    value = make()(x, b)
    value.backward()
    print(value.item(), *x.grad.flatten()[:6].tolist())
koleo = losses.KoLeoLoss()(a)
print(koleo.item())
backbone = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
head = heads.SimCLRProjectionHead(16, 16, 8)
slow = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
deactivate_requires_grad(slow)
optimizer = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1)
pictures = torch.randn(6, 12)
criterion = losses.NTXentLoss(temperature=0.2)
for _ in range(3):
    update_momentum(backbone, slow, m=0.9)
    one = head(backbone(pictures + 0.1 * torch.randn(6, 12)))
    two = head(slow(pictures + 0.1 * torch.randn(6, 12)))
    value = criterion(one, two)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    print(value.item(), slow[0].weight.sum().item())
dino = losses.DINOLoss(output_dim=8)
print(dino([a, b], [b, a], epoch=0).item(), dino.center.sum().item())
swav = losses.SwaVLoss()
print(swav([a.softmax(-1), b.softmax(-1)], [a]).item())
