"""Adversarial pictures by nine attacks on a small convolution."""

import torch
import torchattacks
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 4, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(36, 3)
).eval()  # fmt: skip
x, y = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
attacks = (
    torchattacks.FGSM(net, eps=0.1), torchattacks.BIM(net, steps=3),
    torchattacks.PGD(net, steps=3), torchattacks.PGDL2(net, steps=3),
    torchattacks.MIFGSM(net, steps=3), torchattacks.NIFGSM(net, steps=3),
    torchattacks.VMIFGSM(net, steps=2, N=2), torchattacks.DeepFool(net, steps=4),
    torchattacks.TIFGSM(net, steps=2, len_kernel=3),
)  # fmt: skip
for attack in attacks:
    torch.manual_seed(1)
    out = attack(x, y)
    moved = (out - x).abs()
    print(moved.sum().item(), moved.max().item(), *net(out).flatten().tolist())
targeted = torchattacks.PGD(net, eps=0.2, steps=3, random_start=False)
targeted.set_mode_targeted_by_function(lambda pictures, labels: (labels + 1) % 3, quiet=True)
print(*net(targeted(x, y)).flatten().tolist())
