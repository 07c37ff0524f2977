"""Ten thousand steps of the convolutional network: memory and speed must not drift.

    python -m benchmarks endurance [--steps=10000] [--batch=16] [--library=torchish|torch|jax]

The run is ten parts; each gives the median milliseconds of its steps and resident memory after
them. The first part is left out of what is compared: it holds what only a start costs. The batch
is smaller than the workload's unless `--batch=64` asks for it, so that a run takes minutes.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import workloads
from .options import options

ROOT = Path(__file__).resolve().parents[1]
PARTS = 10
LEVEL = 0.02  # of memory
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> float:
    """Megabytes that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def part(step: workloads.Step, count: int) -> dict[str, float]:
    """Some steps: the median milliseconds of one, memory after them, the last loss."""
    times, loss = [], 0.0
    for _ in range(count):
        start = time.perf_counter()
        loss = step()
        times.append(time.perf_counter() - start)
    gc.collect()
    return {"ms": statistics.median(times) * 1e3, "mb": resident(), "loss": loss}


def drift(parts: list[dict[str, float]]) -> dict[str, float]:
    """How far memory left its level, how much it grew, and how much slower the end is than the
    beginning, each as a share."""
    memory = [p["mb"] for p in parts[1:]]
    early, late = (statistics.median(p["ms"] for p in some) for some in (parts[1:4], parts[-3:]))
    return {
        "memory": (max(memory) - min(memory)) / min(memory),
        "growth": memory[-1] / memory[0] - 1,
        "slower": late / early - 1,
    }


def endure(library: str, steps: int, batch: int) -> list[dict[str, Any]]:
    """The parts of a run in a process of its own, each printed as it ends."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.endurance"]
    child = subprocess.Popen(
        [*command, library, str(steps), str(batch)], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    parts = []
    assert child.stdout is not None
    with child:
        for k, line in enumerate(child.stdout):
            found = json.loads(line)
            parts.append(found)
            print(
                f"  {(k + 1) * steps // PARTS:>8}{found['mb']:12.1f}{found['ms']:12.3f}"
                f"{found['loss']:14.6f}",
                flush=True,
            )
    if child.returncode or len(parts) != PARTS:
        raise RuntimeError(f"{library} stopped after part {len(parts)}")
    return parts


def main() -> dict[str, float]:
    """Run, print a line a part and the drift."""
    chosen = options()
    print(f"\n{chosen.steps} steps of the convnet, batch {chosen.batch}, in {chosen.library}")
    print(f"  {'steps':>8}{'MB':>12}{'ms a step':>12}{'loss':>14}")
    found = drift(endure(chosen.library, chosen.steps, chosen.batch))
    mark = "level" if found["memory"] <= LEVEL else f"NOT within {LEVEL:.0%}"
    print(f"  memory from the second part on: {found['memory']:.2%} apart, {mark};", end=" ")
    print(f"{found['growth']:+.2%} at the end")
    print(f"  the last three parts take {found['slower']:+.1%} of the second to fourth's time")
    return found


def _step(library: str, batch: int) -> workloads.Step:
    """The workload's step in a library; "jax" is the one by hand."""
    if library == "jax":
        return importlib.import_module("benchmarks.workloads_jax").convnet(batch)
    return workloads.convnet(importlib.import_module(library), batch)


if __name__ == "__main__":
    count, one_step = int(sys.argv[2]), _step(sys.argv[1], int(sys.argv[3]))
    for _ in range(PARTS):
        print(json.dumps(part(one_step, count // PARTS)), flush=True)
