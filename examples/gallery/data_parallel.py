"""DataParallel: each device takes its part of every batch.

Two simulated devices:
    TORCHISH_FAKE_CUDA=1 XLA_FLAGS=--xla_force_host_platform_device_count=2 \\
        python -m torchish data_parallel.py

Picture: what a network on one device and one on all of them make of the plane: the same.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import options, progress, save

opt = options(__doc__, "data_parallel.png", steps=600, batch=256)
device = "cuda" if torch.cuda.is_available() else "cpu"
count = max(1, torch.cuda.device_count())


def spirals(size):
    """Points on three noisy arms (N, 2), and which arm each is on (N)."""
    arm = torch.randint(0, 3, (size,))
    along = torch.rand(size)
    angle = along * 5 + arm * 2 * torch.pi / 3 + torch.randn(size) * 0.12
    return torch.stack([along * angle.cos(), along * angle.sin()], dim=1), arm


def network():
    torch.manual_seed(opt.seed)
    net = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3))
    return net.to(device)


def train(net, what):
    torch.manual_seed(opt.seed + 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    losses = []
    for step in (bar := progress(range(opt.steps), opt.steps, what)):
        points, arm = spirals(opt.batch)
        loss = F.cross_entropy(net(points.to(device)), arm.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
    return torch.stack(losses).cpu()


one, many = network(), nn.DataParallel(network())
curves = train(one, "one device"), train(many, f"{count} devices")
apart = (curves[0] - curves[1]).abs().max().item()
print(f"{count} devices; losses end at {curves[1][-10:].mean():.3f}, at most {apart:.1e} apart")

side = torch.linspace(-1.1, 1.1, 120)
plane = torch.cartesian_prod(side, side).to(device)
points, arm = spirals(400)
figure, axes = plt.subplots(1, 3, figsize=(14, 4.5), layout="constrained")
axes[0].plot(curves[0], lw=4, alpha=0.4, label="one device")
axes[0].plot(curves[1], lw=1, color="black", label=f"DataParallel, {count} devices")
axes[0].set(title="cross entropy", xlabel="step", yscale="log")
axes[0].legend()
for place, net, title in ((axes[1], one, "one device"), (axes[2], many, f"{count} devices")):
    with torch.no_grad():
        chances = net(plane).softmax(1).cpu().reshape(120, 120, 3).transpose(0, 1)
    place.imshow(chances.numpy(), extent=(-1.1, 1.1, -1.1, 1.1), origin="lower")
    place.scatter(*points.numpy().T, c=[("darkred", "darkgreen", "darkblue")[a] for a in arm], s=6)
    place.set(title=title, xticks=[], yticks=[])
save(figure, opt.out)
