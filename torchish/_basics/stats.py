"""Counters of what the engine did; tests assert on them and `torchish.explain()` prints them."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, fields


@dataclass
class Stats:
    """Process-wide counts since import or the last `reset`."""

    nodes: int = 0
    kernels_traced: int = 0
    flushes: int = 0
    programs_compiled: int = 0
    programs_run: int = 0
    # Of those, what was run before it was asked for, and what nobody asked for then (`_ahead`).
    programs_ahead: int = 0
    programs_wasted: int = 0
    kernels_compiled: int = 0
    kernels_run: int = 0
    programs_interpreted: int = 0
    nodes_interpreted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    # What was compiled whole, and the seconds it took, in order (the latest).
    compilations: deque[tuple[str, float]] = field(default_factory=lambda: deque(maxlen=512))

    def reset(self) -> None:
        """Set every counter to zero."""
        for f in fields(self):
            setattr(self, f.name, f.default_factory() if callable(f.default_factory) else 0)

    @property
    def compiled(self) -> int:
        """How many compilations of any kind took place."""
        return self.programs_compiled + self.kernels_compiled

    @property
    def ran(self) -> int:
        """How many executables were run, interpreted programs included."""
        return self.programs_run + self.kernels_run + self.programs_interpreted


stats = Stats()
