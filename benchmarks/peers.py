"""torchish beside other libraries of its kind: what runs, what it gives, how long it takes.

    python -m benchmarks peers

Each library runs in processes of its own. Those that are not installed are named and left out;
`make peers` installs them, each into a folder of its own below `out/peers` (TORCHISH_PEERS says
another). What is printed is what `docs/comparison.md` shows.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import peer_programs as programs, peer_setups as setups

ROOT = Path(__file__).resolve().parents[1]
ABSENT = 3  # exit code of a process whose library is not installed
TOLERANCE = 1e-4
LIMIT = 900.0


# --- in the process of one library ----------------------------------------------------------------


def _median(run: Callable[[], Any], rounds: int) -> float:
    seen = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seen.append(time.perf_counter() - start)
    return statistics.median(seen)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:110]}"


def _answers(table: dict[str, programs.Program], torch: Any, device: Any) -> dict[str, Any]:
    """Of each program its numbers, or what it raised."""
    found: dict[str, Any] = {}
    for name, function in table.items():
        torch.manual_seed(0)
        try:
            found[name] = function(torch, device)
        except Exception as error:  # what a library raises where it stops is a result here
            found[name] = _said(error)
    return found


def _operators(prepared: setups.Prepared) -> dict[str, Any]:
    """Of each operator its result and the seconds of a call, the result waited for."""
    found: dict[str, Any] = {}
    x = prepared.matrix()
    for name, run in prepared.operators().items():
        try:
            result = prepared.numbers(run(x))
            prepared.wait(run(x))
            found[name] = [result, _median(lambda run=run: prepared.wait(run(x)), 30)]
        except Exception as error:  # as above
            found[name] = _said(error)
    return found


def whole(name: str) -> dict[str, Any]:
    """Everything but the cold start."""
    prepared = setups.PEERS[name]()
    found: dict[str, Any] = {"version": importlib.metadata.version(setups.PACKAGES[name])}
    if prepared.torch is not None:
        found["programs"] = _answers(programs.PROGRAMS, prepared.torch, prepared.device)
        found["aliasing"] = _answers(programs.ALIASING, prepared.torch, prepared.device)
    found["operators"] = _operators(prepared)
    found["steps"] = {}
    for kind, make in prepared.steps().items():
        try:
            step = make()
            losses = [step() for _ in range(12)]
            found["steps"][kind] = [losses[-1], _median(step, 20)]
        except Exception as error:  # as above
            found["steps"][kind] = _said(error)
    if prepared.torch is not None:
        found["torch"] = prepared.torch.__version__
    return found


def cold(name: str) -> dict[str, Any]:
    """One training step in a fresh process: the parent takes the time."""
    make = next(iter(setups.PEERS[name]().steps().values()))
    return {"loss": make()()}


# --- in the process that compares -----------------------------------------------------------------


def _run(name: str, what: str) -> Any:
    """What a process of the library printed; None where it is not installed."""
    above = Path(os.environ.get("TORCHISH_PEERS", ROOT / "out" / "peers"))
    folders = [str(above / f) for f in setups.FOLDERS.get(name, [name])]
    with tempfile.TemporaryDirectory() as cache:
        paths = [*folders, str(ROOT), os.environ.get("PYTHONPATH", "")]
        env = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "TORCHISH_CACHE": cache, "XDG_CACHE_HOME": cache,
        }  # fmt: skip
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers", name, what]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, env=env, cwd=ROOT
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    if done.returncode == ABSENT:
        return None
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1]}
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": seconds}


def agree(mine: Any, theirs: Any) -> bool:
    """Whether two lists of numbers are equal to the tolerance."""
    return (
        isinstance(mine, list)
        and len(mine) == len(theirs)
        and all(
            abs(a - b) <= TOLERANCE * max(1.0, abs(b)) for a, b in zip(mine, theirs, strict=True)
        )
    )


def _count(found: dict[str, Any], reference: dict[str, Any], what: str) -> str:
    """How many programs gave PyTorch's numbers, and which did not."""
    if what not in found:
        return "another API"
    wrong = [
        f"{name} ({'other numbers' if isinstance(got, list) else got})"
        for name, got in found[what].items()
        if not agree(got, reference[what][name])
    ]
    total = len(reference[what])
    return f"{total - len(wrong)} of {total}" + "".join(f"\n      {w}" for w in wrong)


def _report(name: str, found: dict[str, Any], starts: Any, reference: dict[str, Any]) -> None:
    print(f"\n{name} {found['version']}, with torch {found.get('torch', 'none')}", flush=True)
    print(f"  programs with PyTorch's numbers: {_count(found, reference, 'programs')}")
    print(f"  aliasing as PyTorch's: {_count(found, reference, 'aliasing')}")
    for kind, got in found["steps"].items():
        said = got if isinstance(got, str) else f"{got[1] * 1e3:.1f} ms, 12th loss {got[0]:.4f}"
        print(f"  training step{kind}: {said}")
    cold = starts.get("failed") or f"{starts['seconds']:.1f} s of the processor"
    print(f"  process with one training step: {cold}")
    for operator, got in found["operators"].items():
        if isinstance(got, str):
            print(f"  {operator:<12} {got}")
            continue
        numbers, seconds = got
        exact = reference["operators"][operator][0]
        off = max(abs(a - b) for a, b in zip(numbers, exact, strict=True)) / max(map(abs, exact))
        print(f"  {operator:<12} {seconds * 1e6:9.0f} us   off by {off:.0e} of the largest")


def main() -> None:
    """Run every library that is there, and print what it did."""
    reference: dict[str, Any] = {}
    for name in setups.PEERS:
        found = _run(name, "whole")
        if found is None:
            print(f"\n{name}: not installed (make peers)")
        elif "failed" in found:
            print(f"\n{name}: stopped: {found['failed']}")
        else:
            reference = reference or found
            _report(name, found, _run(name, "cold"), reference)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        main()
    else:
        try:
            answer = {"whole": whole, "cold": cold}[sys.argv[2]](sys.argv[1])
        except ModuleNotFoundError as missing:
            print(missing, file=sys.stderr)
            sys.exit(ABSENT)
        print(json.dumps(answer))
