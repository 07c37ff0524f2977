"""Memory after a thousand shapes: loops whose every step has another size, in fresh processes.

Whatever is kept for a shape (kernels, plans, programs, what JAX remembers) must make room again:
resident memory at the end is compared with PyTorch's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

COUNT = 1000
# Megabytes that torchish may grow more than PyTorch.
ALLOWED = 150.0


def batches(torch: Any, count: int) -> float:
    """A perceptron trained on batches of every size from 1 on."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for rows in range(1, count + 1):
        optimizer.zero_grad()
        loss = model(torch.randn(rows, 8)).pow(2).mean()
        loss.backward()
        optimizer.step()
    return float(loss)


def lengths(torch: Any, count: int) -> float:
    """A convolution, a norm and attention over sequences of every length from 8 on."""
    nn = torch.nn
    mix, norm, head = nn.Conv1d(4, 8, 5, padding=2), nn.LayerNorm(8), nn.Linear(8, 1)
    parameters = [*mix.parameters(), *norm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    for n in range(8, 8 + count):
        x = norm(torch.tanh(mix(torch.randn(1, 4, n))).transpose(1, 2))
        weights = torch.softmax(head(x), 1)
        loss = (weights * x).sum(1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss)


def sizes(torch: Any, count: int) -> float:
    """Slices, reductions and elementwise work on matrices of different heights and widths."""
    total = 0.0
    for k in range(count):
        x = torch.ones(3 + k % 41, 2 + k // 7)
        y = torch.cat([x[1:], x[:1] * 2]).exp().sub(1).clamp(max=4)
        total += float((y / y.norm()).sum(0).max() + y.T[0, -1])
    return total


LOOPS: dict[str, Callable[[Any, int], float]] = {f.__name__: f for f in (batches, lengths, sizes)}

RUN = """
import gc, importlib, json, sys
torch = importlib.import_module(sys.argv[1])
from benchmarks.shapes import LOOPS
def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / 1e6
torch.manual_seed(0)
loop, count = LOOPS[sys.argv[2]], int(sys.argv[3])
loop(torch, 3)
gc.collect()
before = resident()
value = loop(torch, count)
gc.collect()
print(json.dumps({"megabytes": resident() - before, "value": value}))
"""


def grown(library: str, loop: str, count: int = COUNT) -> dict[str, float]:
    """Megabytes that a loop leaves behind, and its result."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-W", "ignore", "-c", RUN, library, loop, str(count)]
        env = {**os.environ, "TORCHISH_CACHE": cache}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> dict[str, float]:
    """Measure and print a line a loop."""
    print(f"\nmegabytes of memory left by loops over {COUNT} shapes")
    print(f"  {'loop':<12}{'PyTorch':>10}{'torchish':>10}")
    excess = {}
    for name in LOOPS:
        theirs, ours = grown("torch", name), grown("torchish", name)
        excess[name] = ours["megabytes"] - theirs["megabytes"]
        mark = "" if excess[name] <= ALLOWED else f"   more than {ALLOWED:.0f} MB over PyTorch's"
        print(f"  {name:<12}{theirs['megabytes']:10.0f}{ours['megabytes']:10.0f}{mark}", flush=True)
    return excess
