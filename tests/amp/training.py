"""A small training loop that runs on both libraries."""

from __future__ import annotations

from typing import Any


def losses(m: Any) -> list[float]:
    """Losses of ten steps under autocast with a GradScaler."""
    m.manual_seed(0)
    net = m.nn.Sequential(m.nn.Linear(4, 8), m.nn.ReLU(), m.nn.Linear(8, 1))
    optimizer = m.optim.SGD(net.parameters(), lr=0.05)
    scaler = m.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    x = m.randn(16, 4)
    y = x.sum(1, keepdim=True)
    found = []
    for _ in range(10):
        optimizer.zero_grad()
        with m.autocast("cpu"):
            loss = m.nn.functional.mse_loss(net(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        found.append(loss.item())
    assert scaler.get_scale() == 8192.0
    return found
