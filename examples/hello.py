"""`import torchish as torch`: fit a small network to a spiral, then look at what was compiled.

Run:    python examples/hello.py
"""

import math

import torchish as torch
import torchish.nn as nn

torch.manual_seed(0)

# Two arms of a spiral, 200 points each.
angle = torch.linspace(0, 3 * math.pi, 200)
arm = torch.stack([angle * torch.cos(angle), angle * torch.sin(angle)], dim=1) / (3 * math.pi)
points = torch.cat([arm, -arm]) + 0.02 * torch.randn(400, 2)
labels = torch.cat([torch.zeros(200, dtype=torch.long), torch.ones(200, dtype=torch.long)])

net = nn.Sequential(
    nn.Linear(2, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 2),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

for step in range(401):
    optimizer.zero_grad()
    loss = criterion(net(points), labels)
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")

with torch.no_grad():
    right = (net(points).argmax(dim=1) == labels).float().mean()
print(f"{right.item():.0%} of the points are on the right arm")
