"""Attacks on a small model, at several sizes of disturbance, and its accuracy under them."""

import eagerpy as ep
import foolbox
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
model = foolbox.PyTorchModel(net, bounds=(0, 1), preprocessing={"mean": 0.5, "std": 0.25})
x = torch.rand(5, 3, 4, 4)
y = net((x - 0.5) / 0.25).argmax(-1)
print(foolbox.accuracy(model, x, y))
attacks = (
    foolbox.attacks.FGSM(), foolbox.attacks.LinfPGD(steps=4, random_start=False),
    foolbox.attacks.L2PGD(steps=4, random_start=False),
    foolbox.attacks.L2DeepFoolAttack(steps=5),
)  # fmt: skip
for attack in attacks:
    raw, clipped, success = attack(model, x, y, epsilons=[0.01, 0.1, 0.5])
    for r, c, s in zip(raw, clipped, success, strict=True):
        print(r.sum().item(), c.sum().item(), *s.float().tolist())
images, labels = ep.astensors(x, y)
print(*(images.flatten(1).norms.l2(axis=-1)).raw.tolist(), labels.sum().item())
