"""Medians of several contestants, measured turn by turn so that all meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def medians(
    contestants: dict[str, Callable[[], None]], *, warmup: int = 3, rounds: int = 9
) -> dict[str, float]:
    """Median seconds a call of each contestant; they take turns within each round."""
    for run in contestants.values():
        for _ in range(warmup):
            run()
    seen: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seen[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seen.items()}


def report(title: str, times: dict[str, float], unit: float = 1e3, label: str = "ms") -> None:
    """Print a line a contestant, and torchish's speed as a ratio of each other's."""
    print(f"\n{title}")
    for name, seconds in times.items():
        ratio = "" if name == "torchish" else f"   torchish is {seconds / times['torchish']:.2f} x"
        print(f"  {name:<10} {seconds * unit:10.3f} {label}{ratio}")
