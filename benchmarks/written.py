"""Ten torch scripts beside the same steps by hand in jitted JAX, and PyTorch.

    python -m benchmarks written [--only=mlp,gpt] [--rounds=2] [--seconds=4]

Each library runs in processes of its own, turn by turn. The first losses must agree, and from the
second turn on torchish's processes find what the first one compiled: they compile nothing.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from typing import Any

from .contestant import LIBRARIES, run, warm
from .options import options

TOLERANCE = 2e-3


def in_turns(name: str, rounds: int, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """What each library's processes found, in order."""
    found: dict[str, list[dict[str, Any]]] = {library: [] for library in LIBRARIES}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(rounds):
            for library, seen in found.items():
                seen.append(run(library, name, cache, steps=warm(name), seconds=seconds))
    return found


def check_losses(name: str, found: dict[str, list[dict[str, Any]]]) -> None:
    """Raise where the first losses are not PyTorch's."""
    theirs = found["torch"][0]["losses"]
    for library, seen in found.items():
        for losses in (one["losses"] for one in seen):
            pairs = zip(losses, theirs, strict=True)
            if not all(abs(a - b) <= TOLERANCE * max(1.0, abs(b)) for a, b in pairs):
                raise AssertionError(f"{name}: {library} has {losses}, PyTorch {theirs}")


def row(name: str, found: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Medians over the processes, the ratios, and what a second process compiled."""
    times = {k: statistics.median(one["ms"] for one in seen) for k, seen in found.items()}
    ours = found["torchish"]
    return {
        **times, "by hand": times["jax"] / times["torchish"],
        "PyTorch": times["torch"] / times["torchish"], "compiled": ours[0]["compiled"],
        "again": sum(one["compiled"] for one in ours[1:]) if ours[1:] else math.nan,
    }  # fmt: skip


def main() -> dict[str, dict[str, float]]:
    """Measure and print a line a workload; a ratio above 1 says that torchish is faster."""
    chosen = options()
    print(f"\nsteady milliseconds a step, {chosen.rounds} processes a library in turns")
    print(
        f"  {'workload':<14}{'PyTorch':>10}{'JAX':>10}{'torchish':>10}{'JAX /':>10}"
        f"{'PyTorch /':>11}   compiled: first process, later ones"
    )
    rows = {}
    for name in chosen.only:
        found = in_turns(name, chosen.rounds, chosen.seconds)
        check_losses(name, found)
        r = rows[name] = row(name, found)
        print(
            f"  {name:<14}{r['torch']:10.3f}{r['jax']:10.3f}{r['torchish']:10.3f}"
            f"{r['by hand']:10.2f}{r['PyTorch']:11.2f}{r['compiled']:10.0f}{r['again']:6.0f}",
            flush=True,
        )
    least = min(rows, key=lambda name: rows[name]["by hand"])
    print(f"  least against JAX by hand: {rows[least]['by hand']:.2f} ({least})")
    return rows
