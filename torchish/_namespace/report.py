"""`torchish.explain()`: what the engine did, in words."""

from __future__ import annotations

import functools
from typing import Any

from .._basics.stats import stats
from .._core.policy import UNLESS_ASKED
from .._core.structures import Structure, structures

SHOWN = 12  # structures that were not compiled


def explain(file: Any = None) -> None:
    """Print what the engine did (to `file`, or stdout).

    Programs, where they were recorded, which tier ran them and how often, what compiling them took,
    what told each from the nearest one known before; and why programs ended.
    """
    say = functools.partial(print, file=file)
    say(
        f"torchish: {stats.nodes} nodes in {stats.flushes} flushes; programs interpreted "
        f"{stats.programs_interpreted}, compiled {stats.programs_compiled}, run "
        f"{stats.programs_run}; single kernels traced {stats.kernels_traced}, compiled "
        f"{stats.kernels_compiled}, run {stats.kernels_run}"
    )
    if stats.programs_ahead or stats.programs_wasted:
        say(
            f"  run before their step was recorded: {stats.programs_ahead}, and "
            f"{stats.programs_wasted} that nobody asked for then"
        )
    for line in _known():
        say(line)
    for reason, count in stats.reasons.most_common():
        say(f"  {count} x {reason}")


def _known() -> list[str]:
    """What was compiled, then what ran cold most."""
    with structures.lock:
        every = list(structures.known.values())
    compiled = [s for s in every if s.seconds]
    cold = sorted((s for s in every if not s.seconds), key=lambda s: -s.cold * s.operators)
    lines = [text for s in compiled for text in _reported(s)]
    lines += [text for s in cold[:SHOWN] for text in _reported(s)]
    if len(cold) > SHOWN:
        lines.append(f"  and {len(cold) - SHOWN} more that were not compiled")
    return lines


def _reported(s: Structure) -> list[str]:
    runs = f"{s.tier} {_times(s.cold)}"
    if s.seconds:
        runs += f", compiled in {sum(s.seconds):.2f} s, then run {_times(s.hot)}"
        if len(s.seconds) > 1:
            runs += f" (compiled {_times(len(s.seconds))}: its program had made room)"
    elif s.takeover < UNLESS_ASKED:
        runs += f", compiled at its flush number {s.takeover}"
    else:
        runs += ", cheaper than a call of XLA"
    lines = [f"  {s.described()}: {runs}"]
    if s.differs is not None:
        lines.append(f"      differs from one before: {s.differs.text}")
    return lines


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
