"""Classify handwritten digits with a small convolutional network.

Picture: the loss, the confusion matrix of 1,000 digits held out, and digits it got wrong.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import batches, digits, options, progress, save, smooth, tiles

opt = options(__doc__, "mnist_classifier.png", steps=400, batch=64)
images, labels = digits()
train, train_labels, test, test_labels = images[1000:], labels[1000:], images[:1000], labels[:1000]

net = nn.Sequential(
    nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(),
    nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.ReLU(),
    nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10),
)  # fmt: skip
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, opt.steps)

losses = []
bar = progress(batches(opt.steps, len(train), opt.batch), opt.steps, "classifier")
for places in bar:
    loss = F.cross_entropy(net(train[places]), train_labels[places])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    bar.set_postfix(loss=f"{losses[-1]:.3f}")

net.eval()
with torch.no_grad():
    guesses = net(test).argmax(1)
right = (guesses == test_labels).float().mean().item()
confusion = torch.zeros(10, 10).index_put_(
    (test_labels, guesses), torch.ones(1000), accumulate=True
)
print(f"accuracy on digits held out: {right:.1%}")

figure, (curve, matrix, wrong) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
curve.semilogy(losses, alpha=0.3)
curve.semilogy(smooth(losses), color="C0")
curve.set(title="cross entropy", xlabel="step")
matrix.imshow(torch.log1p(confusion).numpy(), cmap="Blues")
for row in range(10):
    for column in range(10):
        if confusion[row, column]:
            light = "white" if confusion[row, column] > 20 else "black"
            matrix.text(column, row, int(confusion[row, column]), ha="center", va="center",
                        fontsize=8, color=light)  # fmt: skip
matrix.set(title=f"{right:.1%} right", xlabel="guess", ylabel="digit",
           xticks=range(10), yticks=range(10))  # fmt: skip
missed = (guesses != test_labels).nonzero().flatten()[:20]
chosen = torch.cat([missed, torch.arange(20)])[:20]
tiles(wrong, test[chosen], 5, "digits that it got wrong")
save(figure, opt.out)
