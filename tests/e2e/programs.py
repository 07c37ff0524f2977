"""Run programs in their own processes: with torchish, or with PyTorch itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parent / "stand_in"


def run(
    *arguments: str | Path,
    torchish: bool = True,
    cwd: Path | None = None,
    ok: bool = True,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `python [-m torchish] arguments...` and return its output as text.

    With PyTorch, `torchvision` is the stand-in beside this file where the real one is absent.
    """
    environment = {**os.environ, **(env or {})}
    paths = [str(ROOT)] if torchish else [str(STAND_IN)]
    if env and "PYTHONPATH" in env:
        paths.append(env["PYTHONPATH"])
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, *(["-m", "torchish"] if torchish else []), *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    if ok and done.returncode:
        raise AssertionError(f"{command} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done
