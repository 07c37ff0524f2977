"""Whole calls as one program: what a compiled function did is done again without its Python.

Two observed calls (`observing.py`) that did the same, in a world that guards can watch, make a
`Replay`: later calls check the guards, feed the trace its inputs, run it and put its results where
they belong (`placing.py`); once the trace's program is compiled, they run that (`launch.py`). A
call that cannot be replayed has simply run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .._core.checks import defer_check, run_checks
from .._core.graph import steps
from .._core.trace import current_trace, flush_all
from .._core.values import Value
from ..utils import _pytree as pytree
from .guards import World
from .launch import MISS, REASON, Launch
from .observing import Seen
from .placing import add_up, bump, drawn, find, mark, put_gradient, quoting, result, storage_at
from .purity import Impure


@dataclass
class Replay:
    """A call as a program, with the guards that say when it may stand for the call."""

    world: World
    seen: Seen
    dynamic: list[tuple[int, Any, Any]]  # place among the floats, container, key
    counts: list[tuple[Any, float]]  # storage of a counter, what each call adds
    sources: list[tuple[Any, ...]]
    avals: list[Any]  # of every result of the trace
    launch: Launch | None = None
    checked: list[Any] = field(default_factory=list)  # weakly: what was found right the last time

    def fits(self, leaves: Sequence[Any]) -> bool:
        """Whether a call with arguments of this kind may be replayed."""
        for _, container, key in self.dynamic:
            if type(container.get(key)) not in (float, int):
                return False
        return self.world.holds() and not self.world.aliases(leaves)

    def run(self, dev: Any, leaves: Sequence[Any]) -> Any:
        """Do what the call did."""
        flush_all("a compiled call begins")
        if self.seen.checks:
            self._check(leaves)
        trace = current_trace(dev)
        with trace.lock:
            found = MISS if self.launch is None else self.launch.run(trace, leaves)
            if found is MISS:
                found = self._recorded(trace, leaves)
        if self.seen.ended:
            run_checks()
        return found

    def results(self, value_of: Callable[[int], Value], leaves: Sequence[Any]) -> Any:
        """What the call returns."""
        spec, results = self.seen.results
        out = [result(r, value_of, leaves) for r in results]
        return out[0] if spec.is_leaf() else pytree.tree_unflatten(out, spec)

    def count_on(self) -> None:
        """Count the numbers that Python keeps."""
        before = after = added = None
        for storage, step in self.counts:
            old = storage._value
            array = old.array
            if array is not before or step != added:  # an optimizer's go together
                before, after, added = array, add_up(array, step, array.dtype), step
            storage.set(Value(after, old.aval, old.device))
            bump(storage, 1)

    def _check(self, leaves: Sequence[Any]) -> None:
        """Look again at numbers that were looked at; raise the error of a wrong one.

        Values never change: those that were right at the last call are.
        """
        flat = [find(p, leaves, ()) for places, *_ in self.seen.checks for p in places]
        if [r() for r in self.checked] == flat:  # values are equal only to themselves
            return
        self.checked = []
        rest = iter(flat)
        for places, wrong, numbers, error in self.seen.checks:
            arrays = [next(rest).host() for _ in places]
            if np.any(wrong(*arrays, *numbers)):
                raise error(*arrays)
        self.checked = [weakref.ref(v) for v in flat]

    # --- by recording ----------------------------------------------------------------------------

    def _recorded(self, trace: Any, leaves: Sequence[Any]) -> Any:
        """Record what the call recorded, and run that."""
        self._feed(trace, leaves)
        made = _Made(self.avals, trace)
        shared = self._put(made, leaves)
        out = self.results(made.value, leaves)
        live = sorted(made.values)
        trace.outs = made.let_go()
        if trace.entries:
            self.launch = Launch.of(self, trace.take(REASON, asked=True), live)
        for storage, value in shared:
            storage.set(value)
        return out

    def _feed(self, trace: Any, leaves: Sequence[Any]) -> None:
        """Give the trace the operators again, with the inputs and numbers of now."""
        seen = self.seen
        floats, ints, complexes = seen.numbers
        draws = [drawn(d) for d in seen.draws]
        # Nothing else may hold the inputs: the program takes over the memory of those it replaces.
        trace.externals = [find(p, leaves, draws) for p in self.sources]
        for value in trace.externals:
            if value.array is None:
                value.trace.flush("another thread or device needs a value")
        trace.entries, trace.sites = list(seen.entries), seen.sites
        trace.floats, trace.ints, trace.complexes = list(floats), ints, complexes
        for place, container, key in self.dynamic:
            trace.floats[place] = container[key]

    def _put(self, made: _Made, leaves: Sequence[Any]) -> list[tuple[Any, Value]]:
        """Write results to what holds them, count, and leave checks for later.

        Gives what is to be written to memory that numpy shares once it has been computed.
        """
        shared = []
        for place, slot, count in self.seen.writes:
            if place[0] in ("newgrad", "nograd"):
                put_gradient(place, None if slot < 0 else made.value(slot))
                continue
            value = made.value(slot)
            storage = storage_at(place, leaves)
            if storage.host is None:
                storage._value = value
                mark(storage, count)
            else:
                bump(storage, count)
                shared.append((storage, value))
        self.count_on()
        for slot, places, error in self.seen.flags:
            quoted = [made.value(p[1]) if p[0] == "slot" else find(p, leaves, ()) for p in places]
            defer_check(made.value(slot), partial(quoting, error, quoted))
        return shared


class _Made:
    """The results of a replayed trace that something holds, by slot."""

    def __init__(self, avals: Sequence[Any], trace: Any) -> None:
        self.avals, self.trace = avals, trace
        self.values: dict[int, Value] = {}

    def value(self, slot: int) -> Value:
        """The pending value of a slot."""
        found = self.values.get(slot)
        if found is None:
            found = self.values[slot] = Value(None, self.avals[slot], self.trace.device)
            found.trace, found.slot = self.trace, slot
        return found

    def let_go(self) -> list[Any]:
        """Weak references to all of them; from now on their holders keep them."""
        found = [weakref.ref(v) for _, v in sorted(self.values.items())]
        self.values.clear()
        return found


def match(a: Seen, b: Seen) -> Replay:
    """The replay of what two calls did. Raises: Impure when they did not do the same."""
    if a.entries != b.entries:
        raise Impure("two calls recorded different operators")
    if len(a.draws) != len(b.draws) or len(a.checks) != len(b.checks):
        raise Impure("two calls drew or checked different numbers")
    if [f[:2] for f in a.flags] != [f[:2] for f in b.flags]:
        raise Impure("two calls checked different numbers")
    if a.writes != b.writes or not _equal_results(a.results, b.results):
        raise Impure("two calls wrote to different places")
    if a.numbers[1:] != b.numbers[1:]:
        raise Impure("two calls used different whole numbers")
    counts = []
    for (s, old, new), (t, before, after) in zip(a.counters, b.counters, strict=True):
        if s is not t or new - old != after - before:
            raise Impure("a number of the state does not grow evenly")
        counts.append((s, float(new - old)))
    dynamic = _dynamic(a, b)
    sources = [_source(p, q, a, b) for p, q in zip(a.sources, b.sources, strict=True)]
    checks = []
    for (places, wrong, numbers, error), (others, *_) in zip(a.checks, b.checks, strict=True):
        found = [_source(p, q, a, b) for p, q in zip(places, others, strict=True)]
        checks.append((found, wrong, numbers, error))
    b.checks = checks
    b.world.settle()
    avals = [a for kernel, _ in steps(b.entries) for a in kernel.out_avals]
    return Replay(b.world, b, dynamic, counts, sources, avals)


def _equal_results(a: Any, b: Any) -> bool:
    (one, mine), (other, theirs) = a, b
    if str(one) != str(other) or len(mine) != len(theirs):
        return False
    for x, y in zip(mine, theirs, strict=True):
        if x[0] != y[0] or (x[1] is not y[1] if x[0] == "object" else x[1:] != y[1:]):
            return False
    return True


def _dynamic(a: Seen, b: Seen) -> list[tuple[int, Any, Any]]:
    """Numbers that are state (a learning rate): where each stands, and where it is kept.

    They are no longer guarded. Raises: Impure for other differences.
    """
    if not a.world.alike(b.world):
        raise Impure("it changes the state that it depends on")
    moved = [
        (p, q)
        for p, q in zip(a.world.equals, b.world.equals, strict=True)
        if type(p[2]) is not type(q[2]) or p[2] != q[2]
    ]
    found = []
    for place, (x, y) in enumerate(zip(a.numbers[0], b.numbers[0], strict=True)):
        if x == y:
            continue
        source = next((q for p, q in moved if p[2] == x and q[2] == y), None)
        if source is None:
            raise Impure("two calls used different numbers")
        found.append((place, source[0], source[1]))
    used = {(id(c), k) for _, c, k in found}
    if any((id(q[0]), q[1]) not in used for _, q in moved):
        raise Impure("it changes the state that it depends on")
    b.world.equals = [e for e in b.world.equals if (id(e[0]), e[1]) not in used]
    return found


def _source(p: tuple[Any, ...], q: tuple[Any, ...], a: Seen, b: Seen) -> tuple[Any, ...]:
    if p[0] != q[0]:
        raise Impure("two calls took different inputs")
    if p[0] != "constant":
        if p[1] is not q[1] and p[1] != q[1]:
            raise Impure("two calls took different inputs")
        return q
    x, y = (np.asarray(v[1].array) for v in (p, q))
    if (
        x.shape == y.shape
        and x.dtype == y.dtype
        and np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")
    ):
        return q
    if not x.ndim:
        for (s, old, _), (_, before, _) in zip(a.counters, b.counters, strict=True):
            if x - old == y - before:
                return ("count", s, float(y - before), y.dtype)
    raise Impure("a constant differs from call to call")
