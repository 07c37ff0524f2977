"""How far rounding carries three DCGAN steps: each library against float64, from the same start.

Adam's first steps follow the signs of gradients, so that a difference of one rounding grows to a
visible one within three steps, in PyTorch as well as here. One number from each library says
little then; this compares how far both are from what float64 gives, over pictures and noise whose
last digits are changed by one rounding. (Both are: where the noise stays as it is, so do the
roundings in the generator, and all starts show the same one of the many ways that it can go.)
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

RUNS, STEPS, BATCH = 8, 3, 16
RUN = """
import sys
from benchmarks.chaos import losses
print(losses(sys.argv[1], sys.argv[2] == "double", int(sys.argv[3])))
"""


def waves(count: int, seed: int) -> np.ndarray[Any, Any]:
    """A wave; seeds other than 0 change each number by at most one rounding."""
    made = np.cos(np.arange(count) * 0.7391).astype(np.float32)
    if seed:
        step = np.random.default_rng((seed, count)).integers(-1, 2, count)
        made = made * (1 + step * np.finfo(np.float32).eps).astype(np.float32)
    return made


def _filled(torch: Any, net: Any) -> Any:
    """Weights that depend on no stream of random numbers: both libraries start alike."""
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            if p.dim() > 1:
                size = p[0].numel()
                wave = np.sin(np.arange(p.numel()) * (0.37 + 0.01 * k) + k) * (2 / size) ** 0.5
                p.copy_(torch.from_numpy(wave.astype(np.float32)).view(p.shape))
    return net


def losses(library: str, wide: bool, seed: int) -> list[float]:
    """The sum of DCGAN's three losses at each step; in float64 throughout where `wide`."""
    from .dcgan import NZ, nets

    torch = importlib.import_module(library)
    g, d = (_filled(torch, net) for net in nets(torch))
    noise = torch.from_numpy(waves(BATCH * NZ, seed)).view(BATCH, NZ, 1, 1)
    real = torch.from_numpy(waves(BATCH * 3 * 64 * 64, seed)).view(BATCH, 3, 64, 64)
    if wide:
        g, d, noise, real = g.double(), d.double(), noise.double(), real.double()
    opt_g = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = torch.nn.BCELoss()
    ones, zeros = (torch.full((BATCH,), v, dtype=real.dtype) for v in (1.0, 0.0))

    def step() -> float:
        d.zero_grad()
        first = criterion(d(real).view(-1), ones)
        first.backward()
        fake = g(noise)
        second = criterion(d(fake.detach()).view(-1), zeros)
        second.backward()
        opt_d.step()
        g.zero_grad()
        third = criterion(d(fake).view(-1), ones)
        third.backward()
        opt_g.step()
        return float((first + second).item() + third.item())

    return [step() for _ in range(STEPS)]


def cold_losses(library: str, wide: bool, seed: int) -> list[float]:
    """The same in a process and a cache of its own: the first steps are not compiled."""
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "TORCHISH_CACHE": cache}
        width = "double" if wide else "single"
        command = [sys.executable, "-W", "ignore", "-c", RUN, library, width, str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> dict[str, float]:
    """Measure and print a line a start, and how far each library is from float64."""
    print(f"\nDCGAN's loss at step {STEPS}, inputs changed by one rounding")
    print(f"  {'start':<8}{'float64':>10}{'PyTorch':>10}{'torchish':>10}")
    rows = []
    for seed in range(RUNS):
        row = [
            cold_losses("torch", True, seed)[-1],
            cold_losses("torch", False, seed)[-1],
            cold_losses("torchish", False, seed)[-1],
        ]
        print(f"  {seed:<8}" + "".join(f"{v:>10.4f}" for v in row), flush=True)
        rows.append(row)
    spread = max(r[1] for r in rows) - min(r[1] for r in rows)
    found = {
        "PyTorch": statistics.fmean(abs(r[1] - r[0]) for r in rows),
        "torchish": statistics.fmean(abs(r[2] - r[0]) for r in rows),
    }
    print(f"  PyTorch's own values lie within {spread:.3f} of each other; mean distance from")
    print(f"  float64: PyTorch {found['PyTorch']:.3f}, torchish {found['torchish']:.3f}")
    return found
