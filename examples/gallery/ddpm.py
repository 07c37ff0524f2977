"""Denoising diffusion (Ho, Jain and Abbeel, 2020) on digits of 16 x 16 pixels.

Picture: digits that appear out of noise, from left to right.
"""

import math

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import batches, digits, options, progress, save, smooth, tiles

opt = options(__doc__, "ddpm.png", steps=4000, batch=64, width=32, times=200)
images = digits(16)[0] * 2 - 1

# alpha_bar falls as a squared cosine (Nichol and Dhariwal, 2021).
grid = torch.linspace(0, 1, opt.times + 1)
alpha_bar = torch.cos((grid + 0.008) / 1.008 * math.pi / 2) ** 2
beta = (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999)
alpha_bar = torch.cumprod(1 - beta, 0)


class Block(nn.Module):
    """Two convolutions around which the input goes, told of the time."""

    def __init__(self, into, out, time):
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(into, out, 3, padding=1),
            nn.Conv2d(out, out, 3, padding=1),
        )
        self.norm, self.again = nn.GroupNorm(8, out), nn.GroupNorm(8, out)
        self.time = nn.Linear(time, out)
        self.around = nn.Conv2d(into, out, 1)

    def forward(self, x, t):
        h = F.silu(self.norm(self.first(x)) + self.time(t)[:, :, None, None])
        return F.silu(self.again(self.second(h))) + self.around(x)


class UNet(nn.Module):
    """16 x 16, 8 x 8, 4 x 4 and back; predicts the noise in x_t."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.time = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 2 * width)
        )
        self.down1 = Block(1, width, 2 * width)
        self.down2 = Block(width, 2 * width, 2 * width)
        self.middle = Block(2 * width, 2 * width, 2 * width)
        self.up2 = Block(4 * width, width, 2 * width)
        self.up1 = Block(2 * width, width, 2 * width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x, t):
        angles = t[:, None] * torch.exp(-math.log(1000) * torch.linspace(0, 1, self.width // 2))
        t = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        a = self.down1(x, t)
        b = self.down2(F.avg_pool2d(a, 2), t)
        c = self.middle(F.avg_pool2d(b, 2), t)
        b = self.up2(torch.cat([b, F.interpolate(c, scale_factor=2.0)], dim=1), t)
        a = self.up1(torch.cat([a, F.interpolate(b, scale_factor=2.0)], dim=1), t)
        return self.last(a)


net = UNet(opt.width)
average = torch.optim.swa_utils.AveragedModel(
    net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
)
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=opt.steps + 1)
losses = []
bar = progress(batches(opt.steps, len(images), opt.batch), opt.steps, "ddpm")
for step, places in enumerate(bar):
    x, noise = images[places], torch.randn(opt.batch, 1, 16, 16)
    t = torch.randint(0, opt.times, (opt.batch,))
    scale = alpha_bar[t][:, None, None, None]
    loss = F.mse_loss(net(scale.sqrt() * x + (1 - scale).sqrt() * noise, t.float()), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    average.update_parameters(net)
    losses.append(loss.detach())
    if step % 20 == 0:
        bar.set_postfix(loss=f"{loss.item():.3f}")
losses = torch.stack(losses).numpy()
early, late = losses[:5].mean(), losses[-20:].mean()
print(f"squared error of the noise: {early:.3f} at first, {late:.3f} at the end")

count = 12
shown = []
with torch.no_grad():
    x = torch.randn(count, 1, 16, 16)
    for t in reversed(range(opt.times)):
        predicted = average(x, torch.full((count,), float(t)))
        x0 = (x - (1 - alpha_bar[t]).sqrt() * predicted) / alpha_bar[t].sqrt()
        x0 = x0.clamp(-1, 1)
        before = alpha_bar[t - 1] if t else torch.ones(())
        noisy = 1 - alpha_bar[t]
        kept = (1 - beta[t]).sqrt() * (1 - before) / noisy
        mean = before.sqrt() * beta[t] / noisy * x0 + kept * x
        spread = (beta[t] * (1 - before) / noisy).sqrt()
        x = mean + spread * torch.randn_like(x)
        if t % (opt.times // 10) == 0:
            shown.append((x + 1) / 2)

figure, (curve, picture) = plt.subplots(
    1, 2, figsize=(12, 6), width_ratios=(1, 2), layout="constrained"
)
curve.semilogy(smooth(losses, 100))
curve.set(title="squared error of the noise", xlabel="step")
rows = torch.stack(shown, dim=1).reshape(-1, 1, 16, 16)
tiles(picture, rows, len(shown), "out of noise, from left to right")
save(figure, opt.out)
