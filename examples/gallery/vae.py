"""A variational autoencoder (Kingma and Welling, 2013) with two latent numbers.

Picture: where the digits lie in the latent plane, and what the decoder draws across it.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import batches, digits, options, progress, save, tiles

opt = options(__doc__, "vae.png", steps=2500, batch=128, width=256)
images, labels = digits()
flat = images.flatten(1)


class VAE(nn.Module):
    """q(z | x) is normal with a diagonal covariance; p(x | z) is Bernoulli for each pixel."""

    def __init__(self, width):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 4),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 784),
        )  # fmt: skip

    def loss(self, x):
        """The negative evidence lower bound for each image."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        logits = self.decoder(z)
        seen = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
        return (seen + divergence).mean()


net = VAE(opt.width)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
first = last = None
bar = progress(batches(opt.steps, len(flat), opt.batch), opt.steps, "vae")
for step, places in enumerate(bar):
    loss = net.loss(flat[places])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0 or step == opt.steps - 1:
        last = loss.item()
        first = first or last
        bar.set_postfix(bound=f"{-last:.1f}")
print(f"evidence lower bound: {-first:.1f} at first, {-last:.1f} at the end")

with torch.no_grad():
    mean = net.encoder(flat)[:, :2]
    quantiles = torch.linspace(0.04, 0.96, 15)
    z = torch.special.ndtri(quantiles)
    plane = torch.stack(torch.meshgrid(-z, z, indexing="ij"), dim=-1).flip(-1).reshape(-1, 2)
    drawn = net.decoder(plane).sigmoid().reshape(-1, 1, 28, 28)

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.6), layout="constrained")
dots = left.scatter(*mean.numpy().T, c=labels.numpy(), cmap="tab10", s=5, vmin=-0.5, vmax=9.5)
figure.colorbar(dots, ax=left, ticks=range(10), label="digit")
left.set(title="where digits are encoded", xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
tiles(right, drawn, 15, "what the plane decodes to")
save(figure, opt.out)
