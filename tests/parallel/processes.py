"""Checks that need devices or processes of their own run in a child; results come back by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "results: "


def environment(devices: int = 1, **extra: str) -> dict[str, str]:
    """The environment of a child with this many simulated GPUs (0: none)."""
    env = dict(os.environ, OMP_NUM_THREADS="1", JAX_PLATFORMS="cpu", **extra)
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])
    env.pop("XLA_FLAGS", None)
    if devices:
        env["TORCHISH_FAKE_CUDA"] = "1"
        env["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    return env


def run_checks(module: str, devices: int, timeout: float = 500, **extra: str) -> dict[str, str]:
    """Run every `check_*` of a module in one child; name -> "" or a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        env=environment(devices, **extra),
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
    )
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            return json.loads(line[len(MARK) :])
    raise AssertionError(f"{module} died with {done.returncode}\n{done.stdout}\n{done.stderr}")


def main(checks: dict[str, Callable[[], None]]) -> None:
    """The child's side: run the checks (or those named on the command line), print the results."""
    warnings.simplefilter("error")
    results = {}
    for name, check in checks.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        try:
            check()
            results[name] = ""
        except BaseException:
            results[name] = traceback.format_exc()
    print(MARK + json.dumps(results), flush=True)


def checks_of(names: dict[str, object]) -> dict[str, Callable[[], None]]:
    """The `check_*` functions of a module's globals."""
    return {k: v for k, v in names.items() if k.startswith("check_") and callable(v)}
