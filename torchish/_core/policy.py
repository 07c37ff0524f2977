"""Which tier runs a trace: interpreted in numpy, or compiled whole by XLA.

Invariant: the choice is a function of the script (structures, counts, a static cost model), never
of the clock, so the same script prints the same numbers at every run.

The rule is the classic one for renting against buying. A structure is interpreted until what that
has cost (by the model) reaches a share of what compiling it costs; then its program takes over. The
compilation starts earlier, in a background thread, but the flush at which the program takes over
is fixed by count, and waits if it must. A structure whose interpretation costs less than calling a
compiled program is interpreted for ever. While most structures are new (a loop over lengths), a
structure must pay all of its compilation, not half: few of them will come often enough.

Programs over several devices, and programs of accelerators, have no interpreter: they are compiled
at once, unless structures hardly repeat (`compile_at_once`).
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

WINDOW = 32
NOVEL_SHARE = 0.6
PATIENCE = 12  # misses that are always compiled: a script's set-up is all misses
PROMOTE = 8
REMEMBERED = 4096

# Modelled seconds: what any compilation takes, and a call of a compiled program.
COMPILE, CALL = 0.06, 8e-5
# The share of a compilation that interpretation costs before the program takes over.
SHARE = 0.5
# A program takes over at this flush at the earliest, unless interpreting it once costs AT_ONCE
# times its compilation.
EARLIEST, AT_ONCE = 4, 4.0


@dataclass
class Seen:
    """How often a structure came, and when its program starts to be made and takes over."""

    count: int
    start: int
    takeover: int


class Policy:
    """Decides for each structure without a program; see the module's text."""

    def __init__(self) -> None:
        self.recent: deque[bool] = deque(maxlen=WINDOW)
        self.seen: OrderedDict[Any, Seen] = OrderedDict()

    def hit(self) -> None:
        """Count a flush that found its program."""
        self.recent.append(False)

    def met(self, digest: int) -> Seen | None:
        """Count a flush of a structure without a program; None when it is new."""
        found = self.seen.get(digest)
        self.recent.append(found is None)
        if found is not None:
            found.count += 1
            self.seen.move_to_end(digest)
        return found

    def plan(self, digest: int, seconds: float, price: float) -> Seen:
        """Settle when the new structure `digest` is compiled, from what it costs by the model."""
        found = self.seen[digest] = Seen(1, *self._takeover(seconds, price + COMPILE))
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)
        return found

    def _takeover(self, seconds: float, price: float) -> tuple[int, int]:
        if seconds <= CALL:
            return NEVER, NEVER
        if seconds >= AT_ONCE * price:
            return 1, 1
        rent = math.ceil(price / seconds)  # interpreted runs that cost what compiling costs
        share = 1.0 if self.restless else SHARE
        takeover = max(math.ceil(share * rent), EARLIEST)
        # The background thread is given what compiling takes, half the runs at most.
        return max((takeover + 1) // 2, takeover - rent), takeover

    def compile_at_once(self, key: Any) -> bool:
        """Whether a structure that cannot be interpreted is compiled whole now."""
        digest = hash(key)
        found = self.met(digest)
        if found is None:
            found = self.seen[digest] = Seen(1, NEVER, NEVER)
        return not self.restless or found.count >= PROMOTE

    @property
    def restless(self) -> bool:
        """Whether recent structures hardly repeat."""
        novel = sum(self.recent)
        return novel > PATIENCE and novel > NOVEL_SHARE * len(self.recent)


NEVER = 1 << 60
