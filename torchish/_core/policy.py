"""Which tier runs a trace: its kernels one by one (cold), or one program compiled whole (hot).

Invariant: the choice is a function of the script (structures, counts, a static cost model), never
of the clock, so the same script prints the same numbers at every run. Each thread counts for
itself: what other threads happen to have run first decides nothing.

The rule is the classic one for renting against buying. A structure stays cold until what that has
cost (by the model) reaches a share of what compiling it costs; then its program takes over. The
compilation starts earlier, in a background thread, but the flush at which the program takes over
is fixed by count, and waits if it must. A structure whose cold run costs less than calling a
compiled program stays cold for ever. A script's first few steady steps need not save up: what
compiling them costs is advanced, up to a limit, because a training loop is most of what comes
four times. While most structures are new (a loop over lengths), a structure must pay all of its
compilation, not half: few of them will come often enough.

On the CPU the cold tier is numpy (`_interpret/`). On other devices it is one compiled program a
kernel: the first run then costs the compilation of the kernels that are new, and a structure whose
kernels cost as much to compile as the whole is compiled whole at once. Programs over several
devices have no cold tier: they are compiled at once, unless structures hardly repeat.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from .._basics.forking import new_rlock
from .._interpret.price import Cost

WINDOW = 32
NOVEL_SHARE = 0.6
PATIENCE = 12  # misses that are always compiled: a script's set-up is all misses
PROMOTE = 8
REMEMBERED = 4096

# Modelled seconds: what any compilation takes, a call of a compiled program, and in it an array.
COMPILE, CALL, ARRAY = 0.06, 8e-5, 3.5e-6
# The share of a compilation that cold runs cost before the program takes over.
SHARE = 0.5
# Modelled seconds of compiling that are advanced to a thread, and cold runs that must be worth a
# compilation for that: what runs shorter saves little by being early.
ADVANCE, WORTH = 12.0, 64
# Modelled seconds of a cold run that leaves much freed memory behind (an Adam step of 3 M numbers).
HEAVY = 0.02
# A program takes over at this flush at the earliest, unless one cold run costs AT_ONCE times its
# compilation, or the first one (kernels to compile included) as much as its compilation.
EARLIEST, AT_ONCE = 4, 4.0
NEVER, UNLESS_ASKED = 1 << 60, 1 << 59
# Linking a structure's plans costs some three of the runs that it shortens.
LINKED, WORTH_LINKING = 3, 8
# Who calls `torch.compile` asks for a program: it takes over at this flush at the latest.
ASKED = 16


@dataclass
class Seen:
    """How often a structure came, and when its program starts to be made and takes over."""

    count: int
    start: int
    takeover: int
    seconds: float = 0.0  # of a cold run, by the model
    price: float = 0.0

    @property
    def worth(self) -> bool:
        """Whether few enough cold runs cost as much as its program."""
        return self.seconds > CALL and self.price <= WORTH * self.seconds

    @property
    def is_worth_linking(self) -> bool:
        """Whether it comes often enough for its plans to be linked, and stays cold long enough."""
        return self.count >= LINKED and self.takeover - self.count >= WORTH_LINKING

    def linked(self, saved: float, arrays: int) -> None:
        """Stay cold where that costs less, now that it is linked, than a call with the arrays
        (unless `torch.compile` asks for a program)."""
        if self.seconds - saved <= CALL + ARRAY * arrays:
            self.start = self.takeover = UNLESS_ASKED

    @property
    def heavy(self) -> bool:
        """Whether a cold run's temporaries are worth giving back."""
        return self.seconds >= HEAVY


class Policy:
    """Decides for each structure of one thread; see the module's text.

    A new thread starts from the counts of threads that have ended, so that a script that starts a
    thread for each piece of its work reaches its programs too.
    """

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.recent: deque[bool] = deque(maxlen=WINDOW)
        self.advance = ADVANCE
        with _ended_lock:
            self.seen = OrderedDict((k, Seen(*v)) for k, v in _ended.items())

    def hit(self) -> None:
        """Count a flush that found its program."""
        self.recent.append(False)

    def met(self, digest: int) -> Seen | None:
        """Count a flush of a structure whose program has not taken over; None when it is new."""
        found = self.seen.get(digest)
        self.recent.append(found is None)
        if found is not None:
            found.count += 1
            self.seen.move_to_end(digest)
            if found.count == EARLIEST - 1 and found.worth and not self.restless:
                self._hasten(found)
        return found

    def _hasten(self, found: Seen) -> None:
        """Have a structure's program take over at its next flush, if that can be advanced."""
        if found.takeover > EARLIEST and found.price <= self.advance:
            self.advance -= found.price
            found.start, found.takeover = found.count, EARLIEST

    def plan(self, digest: int, cost: Cost) -> Seen:
        """Settle when the new structure `digest` is compiled, from what it costs by the model."""
        found = Seen(1, *self._takeover(cost), cost.seconds, cost.price)
        self.seen[digest] = found
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)
        return found

    def _takeover(self, cost: Cost) -> tuple[int, int]:
        seconds, price = cost.seconds, cost.price + COMPILE
        if cost.first >= price or seconds >= AT_ONCE * price:
            return 1, 1
        if seconds <= CALL:
            return NEVER, NEVER
        rent = math.ceil(price / seconds)  # cold runs that cost what compiling costs
        share = 1.0 if self.restless else SHARE
        due = math.ceil(max(share * price - cost.first, 0.0) / seconds)
        takeover = max(due, EARLIEST)
        # The background thread is given what compiling takes, half the runs at most; what comes
        # twice alone is not worth its processor time.
        return max((takeover + 1) // 2, takeover - rent, EARLIEST - 1), takeover

    def ask(self, found: Seen) -> None:
        """Have a structure that the script wants compiled take over soon, if that ever pays."""
        if ASKED < found.takeover < NEVER:
            found.start, found.takeover = min(found.start, ASKED // 2), max(ASKED, found.count)

    def compile_at_once(self, key: Any) -> bool:
        """Whether a structure without a cold tier is compiled whole now."""
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

    def bequeath(self) -> None:
        """Leave the counts to threads that start from now on (this one's thread has ended)."""
        with _ended_lock:
            for digest, seen in self.seen.items():
                count = max(seen.count, _ended.get(digest, (0,))[0])
                _ended[digest] = count, seen.start, seen.takeover, seen.seconds, seen.price
                _ended.move_to_end(digest)
            while len(_ended) > REMEMBERED:
                _ended.popitem(last=False)


_numbers = itertools.count()
# Structures of threads that have ended: the fields of `Seen`.
_ended: OrderedDict[int, tuple[Any, ...]] = OrderedDict()
_ended_lock = new_rlock()


class Heir:
    """Lives as long as a thread's state, and then leaves what its policy counted."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __del__(self) -> None:
        if _ended_lock is not None:  # it is None while the process ends
            self.policy.bequeath()
