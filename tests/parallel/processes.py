"""Checks that need devices or processes of their own run in a child; results come back by name."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.xla import QUICK_FLAGS

ROOT = Path(__file__).resolve().parents[2]
MARK = "results: "


def environment(devices: int = 1, flags: str = "", **extra: str) -> dict[str, str]:
    """The environment of a child with this many simulated GPUs (0: none) and these flags of XLA."""
    env = dict(os.environ, OMP_NUM_THREADS="1", JAX_PLATFORMS="cpu", **extra)
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])
    env["XLA_FLAGS"] = flags
    if devices:
        env["TORCHISH_FAKE_CUDA"] = "1"
        env["XLA_FLAGS"] += f" --xla_force_host_platform_device_count={devices}"
    return env


def run_checks(
    module: str, devices: int, timeout: float = 500, names: Sequence[str] = (), **extra: str
) -> dict[str, str]:
    """Run every `check_*` of a module, or some, in one child; name -> "" or a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", module, *names],
        env=environment(devices, QUICK_FLAGS, **extra),
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


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("", 0))
        return int(s.getsockname()[1])


def start_ranks(argv: list[str], count: int, **extra: str) -> list[subprocess.Popen[str]]:
    """Start `python *argv` as the ranks of one job (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT)."""
    port = str(free_port())
    made = []
    for rank in range(count):
        env = environment(0, MASTER_ADDR="127.0.0.1", MASTER_PORT=port, **extra)
        env.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count))
        made.append(
            subprocess.Popen(
                [sys.executable, *argv],
                env=env,
                cwd=ROOT,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    return made


def run_ranks(
    argv: list[str], count: int, timeout: float = 300, **extra: str
) -> list[subprocess.CompletedProcess[str]]:
    """`start_ranks`, and what became of them; nothing is left running."""
    ranks = start_ranks(argv, count, **extra)
    done = []
    try:
        for r in ranks:
            out, err = r.communicate(timeout=timeout)
            done.append(subprocess.CompletedProcess(argv, r.returncode, out, err))
    finally:
        for r in ranks:
            r.kill()
            r.communicate()
    return done


def rank_checks(module: str, count: int, **extra: str) -> dict[str, str]:
    """Every `check_*` of a module run by all ranks together; name -> "" or tracebacks."""
    merged: dict[str, str] = {}
    for rank, done in enumerate(run_ranks(["-m", module], count, flags=QUICK_FLAGS, **extra)):
        assert "[Gloo]" not in done.stdout, done.stdout
        lines = [x for x in done.stdout.splitlines() if x.startswith(MARK)]
        if not lines:
            raise AssertionError(f"rank {rank}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        for name, text in json.loads(lines[0][len(MARK) :]).items():
            merged[name] = merged.get(name, "") + (f"rank {rank}: {text}" if text else "")
    return merged
