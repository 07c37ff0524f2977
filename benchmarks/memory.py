"""The most memory that each workload's process ever holds, beside PyTorch's.

    python -m benchmarks memory [--only=mlp,gpt]

torchish is measured twice: by a process that compiles, XLA's compiler included, and by one that
finds the compiled programs on disk. All of a process counts, its imports too.
"""

from __future__ import annotations

import tempfile

from .contestant import run, warm
from .options import options

ALLOWED = 1.2  # times PyTorch's


def peaks(name: str) -> dict[str, float]:
    """Megabytes of each contestant's process."""
    with tempfile.TemporaryDirectory() as cache:
        contestants = {"PyTorch": "torch", "JAX": "jax", "first": "torchish", "second": "torchish"}
        return {
            label: run(library, name, cache, steps=warm(name), seconds=0)["peak_mb"]
            for label, library in contestants.items()
        }


def main() -> dict[str, dict[str, float]]:
    """Measure and print a line a workload."""
    print("\npeak megabytes of a process; in brackets: times PyTorch's")
    print(f"  {'workload':<14}{'PyTorch':>9}{'JAX':>9}{'torchish':>9}{'':8}{'from disk':>10}")
    rows = {}
    for name in options().only:
        r = rows[name] = peaks(name)
        first, second = r["first"] / r["PyTorch"], r["second"] / r["PyTorch"]
        mark = "" if max(first, second) <= ALLOWED else f"   more than {ALLOWED} times PyTorch's"
        print(
            f"  {name:<14}{r['PyTorch']:9.0f}{r['JAX']:9.0f}{r['first']:9.0f} ({first:4.2f})"
            f"{r['second']:11.0f} ({second:4.2f}){mark}",
            flush=True,
        )
    return rows
