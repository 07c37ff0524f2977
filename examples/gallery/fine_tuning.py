"""Fine-tuning: a network that knows the ten digits learns which are even, from 40 examples.

Its trunk is frozen and only a new head is trained, beside a network that starts from nothing.
Picture: accuracies of both, and what the frozen features make of digits held out.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import batches, digits, options, progress, save

opt = options(__doc__, "fine_tuning.png", steps=300, batch=64, examples=40)
images, labels = digits()
known, known_labels = images[:3500], labels[:3500]
few, few_even = images[3500 : 3500 + opt.examples], labels[3500 : 3500 + opt.examples] % 2
test, test_labels = images[4000:], labels[4000:]


def backbone():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(),
    )  # fmt: skip


def fit(net, x, y, steps, what, every=0):
    """Train the parameters that want it; accuracies on the new question, now and then."""
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-3)
    curve = []
    for step, places in enumerate(progress(batches(steps, len(x), opt.batch), steps, what)):
        loss = F.cross_entropy(net(x[places]), y[places])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if every and (step + 1) % every == 0:
            with torch.no_grad():
                right = (net(test).argmax(1) == test_labels % 2).float().mean().item()
            curve.append((step + 1, right))
    return curve


trunk = backbone()
fit(nn.Sequential(trunk, nn.Linear(64, 10)), known, known_labels, opt.steps, "ten digits")
for parameter in trunk.parameters():
    parameter.requires_grad_(False)
frozen = {name: value.clone() for name, value in trunk.state_dict().items()}

every = max(1, opt.steps // 15)
tuned = nn.Sequential(trunk, nn.Linear(64, 2))
with_trunk = fit(tuned, few, few_even, opt.steps, "even, frozen trunk", every)
alone = fit(nn.Sequential(backbone(), nn.Linear(64, 2)), few, few_even, opt.steps,
            "even, from nothing", every)  # fmt: skip
assert all(torch.equal(value, frozen[name]) for name, value in trunk.state_dict().items())
print(f"even or odd, from {opt.examples} examples: {with_trunk[-1][1]:.1%} with the "
      f"frozen trunk, {alone[-1][1]:.1%} from nothing")  # fmt: skip

with torch.no_grad():  # the features' two main directions
    features = trunk(test)
    _, _, axes = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    plane = (features - features.mean(0)) @ axes[:2].T

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
left.plot(*zip(*with_trunk, strict=True), label="frozen trunk, new head")
left.plot(*zip(*alone, strict=True), label="from nothing")
left.set(title=f"even or odd, from {opt.examples} examples: accuracy", xlabel="step", ylim=(0.4, 1))
left.legend(loc="lower right")
dots = right.scatter(*plane.numpy().T, c=test_labels.numpy(), cmap="tab10", s=9,
                     vmin=-0.5, vmax=9.5)  # fmt: skip
figure.colorbar(dots, ax=right, ticks=range(10), label="digit")
right.set(title="frozen features of digits held out", xticks=[], yticks=[])
save(figure, opt.out)
