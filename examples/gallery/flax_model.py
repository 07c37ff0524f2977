"""A convolutional network of Flax (NNX) with batch norm and dropout, trained by a PyTorch loop.

Picture: the loss, digits held out with what the network takes them for, and what its first
filters see.
"""

import matplotlib.pyplot as plt
import torch.nn.functional as F
from common import batches, digits, options, progress, save, smooth, tiles

import torchish as torch

try:
    from flax import nnx
except ModuleNotFoundError:
    raise SystemExit("The network is Flax's: pip install flax") from None

opt = options(__doc__, "flax_model.png", steps=300, batch=64, width=16)
images, labels = digits()
images = images.permute(0, 2, 3, 1)  # Flax has its channels last
train, train_labels, test, test_labels = images[1000:], labels[1000:], images[:1000], labels[:1000]


class Net(nnx.Module):
    """Flax: two convolutions that halve the image, batch norm, dropout, a linear layer."""

    def __init__(self, width, rngs):
        self.first = nnx.Conv(1, width, (5, 5), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.second = nnx.Conv(width, 2 * width, (5, 5), strides=2, rngs=rngs)
        self.drop = nnx.Dropout(0.2, rngs=rngs)
        self.out = nnx.Linear(7 * 7 * 2 * width, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.first(x)))
        x = nnx.relu(self.second(x))
        return self.out(self.drop(x.reshape(len(x), -1)))


net = torch.func.module_from_jax(Net(opt.width, nnx.Rngs(opt.seed)))  # from here on an nn.Module
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
losses = []
bar = progress(batches(opt.steps, len(train), opt.batch), opt.steps, "network of Flax")
for places in bar:
    loss = F.cross_entropy(net(train[places]), train_labels[places])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    bar.set_postfix(loss=f"{losses[-1]:.3f}")

net.eval()
with torch.no_grad():
    guesses = net(test).argmax(1)
    filters = dict(net.named_parameters())["first.kernel"].permute(3, 2, 0, 1)
    seen = F.relu(F.conv2d(test[:1].permute(0, 3, 1, 2), filters, padding=2)).transpose(0, 1)
right = (guesses == test_labels).float().mean().item()
print(f"accuracy on digits held out: {right:.1%}")

figure, (curve, digits_held_out, sights) = plt.subplots(
    1, 3, figsize=(13, 4.4), layout="constrained"
)
curve.semilogy(losses, alpha=0.3)
curve.semilogy(smooth(losses), color="C0")
curve.set(title="cross entropy", xlabel="step")
tiles(digits_held_out, test[:24].permute(0, 3, 1, 2), 6)
for k, guess in enumerate(guesses[:24].tolist()):
    color = "tab:green" if guess == int(test_labels[k]) else "tab:red"
    digits_held_out.text(k % 6 * 30 + 3, k // 6 * 30 + 8, guess, color=color, weight="bold")
digits_held_out.set_title(f"what it takes them for ({right:.1%} of 1,000 right)")
tiles(sights, seen / seen.max(), 4, "a digit through the first filters")
save(figure, opt.out)
