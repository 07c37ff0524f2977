"""One workload in one library in a process of its own: steps, milliseconds, memory, compilations.

The process that asks imports neither library, and neither does that of PyTorch import JAX.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import models, workloads

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "torchish", "jax")
LIMIT = 600.0
MOST = 2000  # steps that are timed
# Steps before anything is timed, so that whatever compiles has compiled. Each of the forty lengths
# comes ten times; a chain of small operators pays for its program late.
WARM = {"dynamic": 400, "dispatch": 400}


def warm(name: str) -> int:
    """How many steps of a workload come before those that are timed."""
    return WARM.get(name, 30)


def run(library: str, name: str, cache: str, *, steps: int, seconds: float) -> dict[str, Any]:
    """What the process found; `cache` is the folder of compiled programs, torchish's only.

    JAX by hand has no such folder unless its user asks for one.
    """
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.contestant"]
    done = subprocess.run(
        [*command, library, name, str(steps), str(seconds)], cwd=ROOT, timeout=LIMIT,
        capture_output=True, text=True, env={**os.environ, "TORCHISH_CACHE": cache},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name} in {library} stopped:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# --- in the process of one library ----------------------------------------------------------------


def count_compilations() -> list[float]:
    """A list that grows by one entry, its seconds, whenever XLA compiles in this process.

    What comes out of a folder of compiled programs does not pass here.
    """
    from jax._src import compiler

    compile_now, seen = compiler.backend_compile_and_load, []

    def counted(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return compile_now(*args, **kwargs)
        finally:
            seen.append(time.perf_counter() - start)

    compiler.backend_compile_and_load = counted  # type: ignore[assignment]
    return seen


def peak_megabytes() -> float:
    """The most memory that this process held.

    Not `ru_maxrss`: that begins with what the process that started this one held.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status names no VmHWM")


def _builder(library: str, name: str) -> Any:
    if library == "jax":
        return importlib.import_module("benchmarks.workloads_jax").WORKLOADS[name]
    torch = importlib.import_module(library)
    build = models.BY_NAME.get(name) or workloads.WORKLOADS[name]
    return lambda: build(torch)


def _median_ms(step: workloads.Step, seconds: float) -> float | None:
    """Median milliseconds of the steps that fit into some seconds; five at least."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while seconds and len(times) < MOST and (len(times) < 5 or time.perf_counter() < end):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3 if times else None


def measure(library: str, name: str, steps: int, seconds: float) -> dict[str, Any]:
    """Some steps, and then as many as fit into some seconds, which are timed.

    Compilations are counted up to there: how many steps are timed is the clock's affair.
    """
    compiled = [] if library == "torch" else count_compilations()
    start = time.perf_counter()
    build = _builder(library, name)
    if library != "jax":
        sys.modules[library].manual_seed(0)
    step = build()
    losses = [step() for _ in range(steps)]
    warm_seconds, count = time.perf_counter() - start, len(compiled)
    return {
        "losses": losses[: workloads.compared(name)], "ms": _median_ms(step, seconds),
        "compiled": count, "compile_s": sum(compiled[:count]), "warm_s": warm_seconds,
        "peak_mb": peak_megabytes(),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:3], int(sys.argv[3]), float(sys.argv[4]))))
