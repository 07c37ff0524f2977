"""When a trace is compiled whole, and when it is run node by node.

Invariant: a structure that repeats is compiled whole once and then hit; a program whose structure
differs every time stops costing compiles after a bounded number of them.

The rule. Every flush is a hit (its structure has a compiled program) or a miss. While misses are
rare a miss is compiled at once, so that a steady loop runs whole programs from its second
iteration at the latest. When more than `NOVEL_SHARE` of the last `WINDOW` flushes were misses, the
script's structures do not repeat: a miss then runs node by node from the per-kernel cache, and
only a structure that has come `PROMOTE` times is compiled whole.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

WINDOW = 32
NOVEL_SHARE = 0.6
PATIENCE = 12  # misses that are always compiled: a script's set-up is all misses
PROMOTE = 8
REMEMBERED = 4096


class Policy:
    """Decides for each missed structure; see the module's text."""

    def __init__(self) -> None:
        self.recent: deque[bool] = deque(maxlen=WINDOW)
        self.misses_in_a_row = 0
        self.seen: OrderedDict[Any, int] = OrderedDict()

    def hit(self) -> None:
        """Count a flush that found its program."""
        self.recent.append(False)
        self.misses_in_a_row = 0

    def compile_whole(self, key: Any, nodes: int) -> bool:
        """Whether the missed structure `key` should be compiled now."""
        self.recent.append(True)
        self.misses_in_a_row += 1
        digest = hash(key)
        count = self.seen.get(digest, 0) + 1
        self.seen[digest] = count
        self.seen.move_to_end(digest)
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)
        if not self.restless:
            return True
        return count >= PROMOTE

    @property
    def restless(self) -> bool:
        """Whether recent structures hardly repeat."""
        novel = sum(self.recent)
        return novel > PATIENCE and novel > NOVEL_SHARE * len(self.recent)
