"""What programs cost the first time: whole small programs in fresh processes, nothing cached.

Four contestants: PyTorch, torchish, torchish with every program compiled at once
(`TORCHISH_COMPILE=1`), which is what a script costs on a system without an interpreter, and the
same programs by hand in JAX (`cold_jax.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

LIMIT = 60.0  # seconds a program may take


def edit_distance(torch: Any) -> float:
    """Dynamic programming, an element at a time."""
    a, b = torch.randint(0, 3, (20,)), torch.randint(0, 3, (20,))
    table = torch.zeros(21, 21)
    table[0], table[:, 0] = torch.arange(21.0), torch.arange(21.0)
    for i in range(1, 21):
        for j in range(1, 21):
            swap = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            table[i, j] = torch.minimum(torch.minimum(table[i - 1, j], table[i, j - 1]) + 1, swap)
    return float(table[-1, -1])


def orthonormal(torch: Any) -> float:
    """Gram-Schmidt by columns."""
    a, q = torch.randn(24, 24), torch.zeros(24, 24)
    for i in range(24):
        v = a[:, i].clone()
        for j in range(i):
            v -= (q[:, j] @ v) * q[:, j]
        q[:, i] = v / v.norm()
    return float((q.T @ q).trace())


def integrated(torch: Any) -> float:
    """Backward through 60 steps of an ODE."""
    nn = torch.nn
    f = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 3))
    y = torch.ones(4, 3)
    for _ in range(60):
        y = y + 0.02 * f(y)
    y.square().mean().backward()
    return sum(float(p.grad.abs().sum()) for p in f.parameters())


def lengths(torch: Any) -> float:
    """A recurrent cell over sequences of 20 lengths."""
    nn = torch.nn
    cell, head = nn.GRUCell(8, 16), nn.Linear(16, 1)
    optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.01)
    for n in range(5, 25):
        h = torch.zeros(4, 16)
        for x in torch.randn(n, 4, 8):
            h = cell(x, h)
        optimizer.zero_grad()
        loss = head(h).square().mean()
        loss.backward()
        optimizer.step()
    return float(loss)


def image_sizes(torch: Any) -> float:
    """A convolutional network over 12 image sizes."""
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for side in range(20, 32):
        optimizer.zero_grad()
        loss = net(torch.randn(2, 3, side, 51 - side)).square().mean()
        loss.backward()
        optimizer.step()
    return float(loss)


def transformer(torch: Any) -> float:
    """Three training steps of a two-layer encoder, Adam."""
    nn = torch.nn
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
    net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    x = torch.randn(4, 12, 32)
    for _ in range(3):
        optimizer.zero_grad()
        loss = (net(x) - x).square().mean()
        loss.backward()
        optimizer.step()
    return float(loss)


PROGRAMS: dict[str, Callable[[Any], float]] = {
    f.__name__: f
    for f in (edit_distance, orthonormal, integrated, lengths, image_sizes, transformer)
}

RUN = """
import importlib, json, resource, sys, time
if sys.argv[1] == "jax":
    from benchmarks import cold_jax
    import jax.numpy as jnp
    program = cold_jax.PROGRAMS[sys.argv[2]]
    (jnp.ones(2) + 1).sum().item()
else:
    from benchmarks.cold import PROGRAMS
    torch = importlib.import_module(sys.argv[1])
    program = lambda: PROGRAMS[sys.argv[2]](torch)
    torch.manual_seed(0)
    torch.ones(2).add(1).sum().item()
start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
value = program()
seconds = time.perf_counter() - start
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps({"seconds": seconds, "megabytes": grown, "value": value}))
"""


def cold(library: str, program: str, **settings: str) -> dict[str, float]:
    """Seconds, megabytes and the answer of one program in a process and a cache of its own."""
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "TORCHISH_CACHE": cache, **settings}
        command = [sys.executable, "-W", "ignore", "-c", RUN, library, program]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LIMIT, env=env, check=True
            )
        except subprocess.TimeoutExpired:
            return {"seconds": LIMIT, "megabytes": float("nan"), "value": float("nan")}
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> dict[str, dict[str, float]]:
    """Measure and print a line a program."""
    print("\ncold programs: seconds, and megabytes of memory grown")
    head = f"{'PyTorch':>16}{'torchish':>16}{'compiled at once':>22}{'JAX by hand':>18}"
    print(f"  {'program':<15}{head}   answers")
    rows = {}
    for name in PROGRAMS:
        contestants = [
            cold("torch", name), cold("torchish", name),
            cold("torchish", name, TORCHISH_COMPILE="1"), cold("jax", name),
        ]  # fmt: skip
        cells = [f"{c['seconds']:9.2f} {c['megabytes']:5.0f} MB" for c in contestants]
        theirs, ours = contestants[0]["value"], contestants[1]["value"]
        agree = "agree" if abs(theirs - ours) <= 1e-3 * max(1, abs(theirs)) else "DIFFER"
        line = f"{cells[0]:>16}{cells[1]:>16}{cells[2]:>22}{cells[3]:>18}"
        print(f"  {name:<15}{line}   {agree}", flush=True)
        rows[name] = contestants[1]
    return rows
