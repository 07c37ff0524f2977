"""A Wasserstein GAN whose critic's gradient is penalised (Gulrajani et al., 2017).

The penalty is a gradient of a gradient. Picture: digits that the generator draws.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
from common import batches, digits, options, progress, save, smooth, tiles

opt = options(__doc__, "wgan_gp.png", steps=2500, batch=64, critics=3, noise=32)
images = digits()[0]

generator = nn.Sequential(
    nn.Linear(opt.noise, 64 * 7 * 7), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU(),
    nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
    nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1), nn.Sigmoid(),
)  # fmt: skip
critic = nn.Sequential(
    nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
    nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
    nn.Flatten(), nn.Linear(64 * 7 * 7, 1),
)  # fmt: skip
g_optimizer = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.5, 0.9))
c_optimizer = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))


def gradient_penalty(real, drawn):
    """(|dC/dx| - 1)^2 at points between real images and drawn ones."""
    share = torch.rand(len(real), 1, 1, 1)
    between = (share * real + (1 - share) * drawn).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def critic_step(places):
    """Returns the critic's estimate of the Wasserstein distance."""
    real = images[places]
    with torch.no_grad():
        drawn = generator(torch.randn(opt.batch, opt.noise))
    distance = critic(real).mean() - critic(drawn).mean()
    loss = 10 * gradient_penalty(real, drawn) - distance
    c_optimizer.zero_grad()
    loss.backward()
    c_optimizer.step()
    return distance


fixed = torch.randn(80, opt.noise)
distances = []
for step in (bar := progress(range(opt.steps), opt.steps, "wgan-gp")):
    for places in batches(opt.critics, len(images), opt.batch):
        distance = critic_step(places)
    loss = -critic(generator(torch.randn(opt.batch, opt.noise))).mean()
    g_optimizer.zero_grad()
    loss.backward()
    g_optimizer.step()
    distances.append(distance.detach())
    if step % 20 == 0:
        bar.set_postfix(distance=f"{distance.item():.2f}")
distances = torch.stack(distances).numpy()
print(f"distance of the distributions: {distances[-20:].mean():.2f}")

with torch.no_grad():
    drawn = generator(fixed)
figure, (curve, picture) = plt.subplots(
    1, 2, figsize=(12, 5), width_ratios=(1, 1.4), layout="constrained"
)
curve.plot(smooth(distances, 50))
curve.set(title="the critic's distance of real and drawn", xlabel="step")
tiles(picture, drawn, 10, "drawn digits")
save(figure, opt.out)
