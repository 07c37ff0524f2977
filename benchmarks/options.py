"""What the command line says to the benchmarks that take options; what none knows is refused."""

from __future__ import annotations

import argparse
import sys

from .contestant import LIBRARIES
from .workloads import WORKLOADS


def _workloads(text: str) -> list[str]:
    names = text.split(",")
    absent = [name for name in names if name not in WORKLOADS]
    if absent:
        raise argparse.ArgumentTypeError(f"no workload {', '.join(absent)}: {', '.join(WORKLOADS)}")
    return names


def options() -> argparse.Namespace:
    """The options of `written`, `memory` and `endurance`, beside the names of benchmarks."""
    parser = argparse.ArgumentParser("python -m benchmarks", allow_abbrev=False)
    parser.add_argument("benchmarks", nargs="*")
    parser.add_argument("--only", type=_workloads, default=list(WORKLOADS), metavar="NAME,NAME")
    parser.add_argument("--rounds", type=int, default=2, help="written: processes a library")
    parser.add_argument("--seconds", type=float, default=4.0, help="written: timed, a process")
    parser.add_argument("--steps", type=int, default=10_000, help="endurance")
    parser.add_argument("--batch", type=int, default=16, help="endurance")
    parser.add_argument("--library", choices=LIBRARIES, default="torchish")
    return parser.parse_args(sys.argv[1:])
