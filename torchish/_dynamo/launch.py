"""A replay's program run directly: its arguments and results are laid out beforehand.

Recording a replay in a trace finds its program by its structure; once that is a compiled one, the
way to it is the same at every call. A `Launch` keeps it: which storages are read, which results go
where.

Invariants: it does what recording would do, or nothing at all (`MISS`), and then the call is
recorded; results stand pending in their storages while the program runs, so that another thread
finds what it has to wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from .._basics.concrete import is_clean
from .._basics.devices import jax_device
from .._core.checks import defer_check
from .._core.program import pack
from .._core.running import Taken, fail, lose, may_use, note_use, place, touch
from .._core.values import Value
from .placing import add_up, drawn, find, mark, put_gradient, quoting, storage_at

if TYPE_CHECKING:
    from .replay import Replay

MISS = object()
REASON = "a compiled call"
_LATE = ("draw", "count")  # inputs that are made for this call, once it is sure to run
_TOUCH_EVERY = 64


class Launch:
    """The program of a replay, with the way to its arguments and from its results."""

    def __init__(self, replay: Replay, taken: Taken, live: Sequence[int]) -> None:
        assert taken.cached is not None
        seen, sources = replay.seen, replay.sources
        self.key = taken.cached.key
        avals = self.key.in_avals
        self.replay, self.cached = replay, taken.cached
        self.program: Any = taken.cached.program
        self.device, self.jdev = taken.device, jax_device(taken.device)
        self.runs = 0
        # --- inputs
        early = [k for k, p in enumerate(sources) if p[0] not in _LATE]
        self.held = [sources[k][1] for k in early if sources[k][0] == "held"]
        self.others = [(n, sources[k]) for n, k in enumerate(early) if sources[k][0] != "held"]
        self.late = [(k, p) for k, p in enumerate(sources) if p[0] in _LATE]
        self.avals = [avals[k] for k in early]
        # --- results
        self.at = at = {slot: k for k, slot in enumerate(live)}
        self.out_avals = [replay.avals[slot] for slot in live]
        held = [w for w in seen.writes if w[0][0] == "held"]
        self.places = [at[slot] for _, slot, _ in held]
        self.written = [place[1] for place, _, _ in held]
        self.marks = [(place[1], count) for place, _, count in held]
        self.changes = [
            (place, at[slot], count) for place, slot, count in seen.writes
            if place[0] in ("arg", "grad")
        ]  # fmt: skip
        self.gradients = [
            (place, at.get(slot)) for place, slot, _ in seen.writes
            if place[0] in ("newgrad", "nograd")
        ]  # fmt: skip
        self.storages = list(dict.fromkeys([*self.held, *self.written]))
        # --- numbers
        floats, ints, complexes = seen.numbers
        self.numbers = (list(floats), ints, complexes)
        self.now: list[Any] | None = None
        self.packed: list[Any] = []

    @classmethod
    def of(cls, replay: Replay, taken: Taken, live: Sequence[int]) -> Launch | None:
        """The launch of what has run; None where it was not run as it can be run always."""
        cached = taken.cached
        if cached is None or not isinstance(cached.program, jax.stages.Compiled):
            return None
        if list(taken.live) != list(live):
            return None  # somebody holds a result of this call
        return cls(replay, taken, live)

    # --- a call ----------------------------------------------------------------------------------

    def run(self, trace: Any, leaves: Sequence[Any]) -> Any:
        """Do what the call did, while the lock of `trace` is held; MISS where that is not sure."""
        wide = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        if not wide or not is_clean() or not may_use(self.cached):
            return MISS
        changed = [storage_at(at, leaves) for at, _, _ in self.changes]
        for s in self.storages:
            if s.host is not None:
                return MISS
        for s in changed:
            if s.host is not None:
                return MISS
        values = [s._value for s in self.held]
        for k, source in self.others:
            values.insert(k, find(source, leaves, ()))
        kinds = {type(v.array) for v in values}
        if type(None) in kinds or [v.aval for v in values] != self.avals:
            return MISS
        fresh = self._pending(trace)
        for s, k in zip(self.written, self.places, strict=True):
            s._value = fresh[k]
        for s, (_, k, _) in zip(changed, self.changes, strict=True):
            s._value = fresh[k]
        replay = self.replay
        seen = replay.seen
        note_use(self.cached, len(seen.sites), REASON)
        for at, number in self.gradients:
            put_gradient(at, None if number is None else fresh[number])
        try:
            outs = self.program(self._arguments(values, kinds), *self.packed)
        except Exception as error:
            fail(error, fresh, seen.entries, seen.sites, self.device)
        except BaseException as error:  # an interrupt
            lose(fresh, error)
            raise
        for value, array in zip(fresh, outs, strict=True):
            value.array, value.trace = array, None
        self._note_writes(fresh, changed, leaves)
        self.runs += 1
        if self.runs % _TOUCH_EVERY == 0:
            touch(self.key)
        return replay.results(lambda slot: fresh[self.at[slot]], leaves)

    def _pending(self, trace: Any) -> list[Value]:
        """The results, to be waited for until they are there."""
        made = [Value(None, aval, self.device) for aval in self.out_avals]
        for value in made:
            value.trace = trace
        return made

    def _arguments(self, values: list[Any], kinds: set[type]) -> list[Any]:
        if np.ndarray in kinds:
            arrays = place(values, self.jdev)
        else:
            arrays = [v.array for v in values]
        draws = self.replay.seen.draws
        for k, (kind, what, *rest) in self.late:
            if kind == "draw":
                arrays.insert(k, place([drawn(draws[what])], self.jdev)[0])
            else:
                arrays.insert(k, add_up(what._value.array, *rest))
        dynamic = self.replay.dynamic
        now = [container[key] for _, container, key in dynamic]
        if now != self.now:
            floats = self.numbers[0]
            for (position, _, _), number in zip(dynamic, now, strict=True):
                floats[position] = number
            # On the device for as long as they stay what they are.
            packed = pack(self.numbers)
            self.packed = [None if x is None else jax.device_put(x, self.jdev) for x in packed]
            self.now = now
        return arrays

    def _note_writes(self, fresh: list[Value], changed: list[Any], leaves: Sequence[Any]) -> None:
        for s, count in self.marks:
            s.writes += 1
            if s.counter is None:
                s.version += count
            else:
                s.counter.version += count
        for s, (_, _, count) in zip(changed, self.changes, strict=True):
            mark(s, count)
        self.replay.count_on()
        for slot, places, error in self.replay.seen.flags:
            quoted = [
                fresh[self.at[p[1]]] if p[0] == "slot" else find(p, leaves, ()) for p in places
            ]
            defer_check(fresh[self.at[slot]], partial(quoting, error, quoted))
