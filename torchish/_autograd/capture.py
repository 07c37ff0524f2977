"""Running the user's Python apart: what it records stands in a trace of its own.

Whatever transforms a function runs it on stand-ins for its tensors first: `vmap` on one sample,
`pmap` and DataParallel on one replica, `to_jax` and export on no data at all; `torch.compile`
watches it on the real ones. Each of them is a Capture, and keeps only what is its own: what the
stand-ins stand for, where random numbers come from, what a write to a tensor from outside means.

Invariants: while a Capture runs, this thread's operators on its device are recorded in it, and
whatever running changed (trace, deferred checks, who draws) is put back by whatever way it ends;
a Capture on stand-ins never runs by itself, so asking for one of its values raises; what it
recorded (a `Body`) is structure only, numbers and inputs being operands.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._basics.devices import device
from .._basics.memo import Memo
from .._basics.recorder import recorder
from .._basics.state import state
from .._core.graph import COMPLEXES, FLOATS, INTS, evaluate, last_uses, steps
from .._core.kernels import Kernel
from .._core.storage import Storage
from .._core.trace import FULL, Trace
from .._core.values import Aval, Value, host_value

_moments = itertools.count(1)
_plain_init = Storage.__init__


def _dated_init(self: Storage, value: Value, strides: tuple[int, ...] | None = None) -> None:
    _plain_init(self, value, strides)
    self.made_at = next(_moments)


def moment() -> int:
    """The present moment, to tell storages that were there before from those made since.

    Storages are dated from the first call on: before, nobody asks, and making one costs less.
    """
    if Storage.__init__ is not _dated_init:
        Storage.__init__ = _dated_init  # type: ignore[method-assign]
        if recorder is not None:
            recorder.date_storages()
    return next(_moments)


class DataDependent(BaseException):
    """Somebody asked for a number where there are only stand-ins.

    Not an Exception, so that no handler in the user's code takes it for an error of its own.
    """


class Rules:
    """What a transformation that runs says of writes and of custom functions.

    `maps`: whether it gives custom functions one sample; `rewrites`: whether they need the forms
    that torch.func asks for.
    """

    maps = rewrites = False

    def __init__(self) -> None:
        self.moment = moment()

    def is_captured(self, target: Any) -> bool:
        """Whether a tensor was there before: it is not the function's own."""
        return getattr(target._storage, "made_at", 0) < self.moment

    def before_write(self, target: Any, new: Value, step: Any, name: str) -> None:
        """Note or refuse a write in place to `target`."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """A block whose writes and custom functions are asked for here."""
        state.transforms.append(self)
        try:
            yield
        finally:
            state.transforms.pop()


@dataclass
class _Around:
    """What a run of a Capture found, and what `outside` goes back to."""

    trace: Trace | None
    capture: Capture | None
    checks: list[Any]
    depth: int  # transformations around it


class Capture(Trace):
    """The operators of one piece of the user's Python.

    Args:
        name: what runs, in error texts.
    """

    # Whether checks on values wait here for the user of the Capture, or join those outside.
    keeps_checks = False

    def __init__(self, dev: device, name: str) -> None:
        super().__init__(dev)
        self.name = name
        self.checks: list[tuple[Value, Callable[[], Exception]]] = []
        self._around: _Around | None = None  # while it runs

    # --- running ---------------------------------------------------------------------------------

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Operators of this thread on this device are recorded here in a block."""
        around = _Around(
            state.traces.get(self.device), state.capture, state.checks, len(state.transforms)
        )
        before, self._around = self._around, around
        state.traces[self.device] = state.capture = self
        state.checks = []
        try:
            yield
            if self.keeps_checks:
                self.checks += state.checks
        finally:
            if not self.keeps_checks:
                around.checks += state.checks
            state.checks, state.capture = around.checks, around.capture
            self._install(around.trace)
            self._around = before

    @contextmanager
    def outside(self) -> Iterator[None]:
        """A block of what runs in here whose operators are recorded outside again."""
        around = self._around
        assert around is not None, "nothing runs in here"
        inside = state.checks, state.transforms, state.capture
        state.checks, state.capture = around.checks, around.capture
        state.transforms = inside[1][: around.depth]
        self._install(around.trace)
        try:
            yield
        finally:
            around.trace = state.traces.get(self.device)
            state.traces[self.device] = self
            state.checks, state.transforms, state.capture = inside

    def _install(self, trace: Trace | None) -> None:
        if trace is None:
            state.traces.pop(self.device, None)
        else:
            state.traces[self.device] = trace

    # --- what runs inside asks -------------------------------------------------------------------

    @property
    def outer(self) -> Capture | None:
        """The Capture that this one runs in."""
        return None if self._around is None else self._around.capture

    @property
    def draws_by_key(self) -> bool:
        """Whether `draw` gives random numbers: no generator is asked for any."""
        return self.outer is not None and self.outer.draws_by_key

    def draw(self, dist: Any, numbers: Sequence[Any], aval: Aval, dev: device) -> Value | None:
        """Random numbers of a distribution; None: they come from the generator as always."""
        return None if self.outer is None else self.outer.draw(dist, numbers, aval, dev)

    def drawn(self, make: Callable[[], Any], aval: Aval) -> Value:
        """The Value of random numbers that `make` draws on the host."""
        return host_value(make()) if self.outer is None else self.outer.drawn(make, aval)

    def note_read(self, value: Value) -> None:
        """Somebody looks at numbers that are at hand."""
        if self.outer is not None:
            self.outer.note_read(value)

    def note_snapshot(self, storage: Any, value: Value) -> None:
        """Memory that numpy shares was read."""
        if self.outer is not None:
            self.outer.note_snapshot(storage, value)

    def note_check(
        self, values: Sequence[Value], wrong: Any, numbers: Sequence[Any], error: Any
    ) -> list[Any]:
        """Numbers at hand are checked; gives their arrays."""
        if self.outer is not None:
            return self.outer.note_check(values, wrong, numbers, error)
        return [v.host() for v in values]

    def note_flag(self, flag: Value, values: Sequence[Value], error: Any) -> None:
        """Numbers that are yet to be computed will be checked."""

    def sizes_around(self, value: Value) -> tuple[int, ...]:
        """How many samples a value is one of, at each level of `vmap`, the outermost first."""
        return () if self.outer is None else self.outer.sizes_around(value)


def sizes_around(tensor: Any) -> tuple[int, ...]:
    """Sizes that torch's texts show before those of a tensor: vmap calls it on all samples."""
    return () if state.capture is None else state.capture.sizes_around(tensor._value())


class BlindCapture(Capture):
    """A Capture on stand-ins: it sees no numbers, and never runs by itself."""

    # Its values have no data: views of tensors from outside are not memoised here.
    private = True
    keeps_checks = True

    def __init__(self, dev: device, name: str) -> None:
        super().__init__(dev, name)
        self.sources: dict[int, Any] = {}  # slot of a stand-in -> what it stands for

    # --- stand-ins -------------------------------------------------------------------------------

    def placeholder(self, aval: Aval, source: Any) -> Value:
        """A value that stands for `source`."""
        value = Value(None, aval, self.device)
        # Only the slot is kept here: a stand-in that nobody holds may go.
        value.trace, value.slot = self, -1 - len(self.externals)
        self.externals.append(None)  # type: ignore[arg-type]
        self.sources[value.slot] = source
        return value

    def slot(self, value: Value) -> int:
        """Where a value stands in here; one from outside is taken in."""
        if value.trace is self:
            return value.slot
        found = self.ext_index.get(id(value))
        return self._external(value, len(self.entries)) if found is None else found

    def captured(self, slot: int) -> Value:
        """The value from outside at a slot that is no stand-in's."""
        return self.externals[-1 - slot]

    def number(self, slot: int) -> float | int | complex:
        """The number at a slot."""
        if slot < INTS:
            return self.floats[slot - FLOATS]
        return int(self.ints[slot - INTS]) if slot < COMPLEXES else self.complexes[slot - COMPLEXES]

    def _make_ready(self, value: Value) -> None:
        """Inputs may stay pending: whatever takes the record will take them."""
        if value.device is not self.device:
            value.read()

    def flush(self, reason: str = "asked for") -> None:
        """Refuse: there is no data here.

        Raises: DataDependent while it runs, RuntimeError for a value that was carried out.
        """
        if reason == FULL:
            return  # what never runs by itself may be as long as it likes
        if self._around is None:
            raise RuntimeError(
                f"a tensor that was made or written inside {self.name} is used outside of it; "
                "return it from the function instead"
            )
        raise DataDependent(f"{self.name} needs the value of a tensor ({reason})")

    # --- what was recorded -----------------------------------------------------------------------

    def mark(self) -> tuple[int, ...]:
        """How much is recorded now; see `forget`."""
        return (*map(len, self._lists()), self.bytes)

    def forget(self, mark: tuple[int, ...]) -> None:
        """Drop what was recorded after `mark`."""
        *counts, self.bytes = mark
        for items, count in zip(self._lists(), counts, strict=True):
            del items[count:]
        kept = counts[2]
        self.ext_index = {k: s for k, s in self.ext_index.items() if -1 - s < kept}
        self.sources = {s: x for s, x in self.sources.items() if -1 - s < kept}

    def _lists(self) -> Sequence[list[Any]]:
        return (self.entries, self.outs, self.externals, self.floats, self.ints, self.complexes,
                self.sites)  # fmt: skip

    def reached(self, slots: set[int]) -> set[int]:
        """Slots that depend on any of these, and these."""
        found, number = set(slots), 0
        for kernel, given in steps(self.entries):
            if any(s in found for s in given):
                found.update(range(number, number + kernel.n_out))
            number += kernel.n_out
        return found

    def body(self, wanted: Sequence[int], since: tuple[int, int] = (0, 0)) -> Body:
        """What gives the slots `wanted`; `since`: how many entries and results to leave out."""
        start, base = since
        entries = tuple(self.entries[start:] if start else self.entries)
        key = (entries, tuple(wanted), base)
        return _BODIES.find(key, lambda: Body(*key))


class Body:
    """Recorded entries as a function of arrays; the same object for the same structure.

    `inputs` are the slots that it takes (from outside, or made by entries before these) and
    `numbers` those of the numbers, of what the wanted slots need, in order.
    """

    def __init__(self, entries: Sequence[Any], wanted: Sequence[int], base: int) -> None:
        places: dict[int, int] = {}

        def local(slot: int) -> int:
            if slot >= FLOATS:
                return slot
            return slot - base if slot >= base else places.setdefault(slot, -1 - len(places))

        nodes = [(kernel, tuple(map(local, slots))) for kernel, slots in steps(entries)]
        ends = tuple(map(local, wanted))
        self.uses = last_uses(nodes, ends)
        needed = dict.fromkeys(s for s in ends if s < 0)
        numbers: dict[int, None] = {}
        for (_, slots), dead in zip(nodes, self.uses, strict=True):
            if dead is not None:
                needed.update(dict.fromkeys(s for s in slots if s < 0))
                numbers.update(dict.fromkeys(s for s in slots if s >= FLOATS))
        slot_at = {place: slot for slot, place in places.items()}
        self.inputs = tuple(slot_at[p] for p in needed)
        self.numbers = tuple(numbers)
        self.draws = any(kernel.draws for kernel, _ in nodes)
        final = {p: -1 - k for k, p in enumerate(needed)}
        # What an unneeded node takes has no place, and nobody fetches it.
        self.nodes = [(k, tuple(final.get(s, s) for s in slots)) for k, slots in nodes]
        self.wanted = tuple(final.get(s, s) for s in ends)

    def __call__(
        self, arrays: Sequence[Any], number: Callable[[int, Any], Any], run: Any = None
    ) -> list[Any]:
        """The arrays of the wanted slots, from those of `inputs`.

        number: (slot, Python type) -> that number; run: as of `evaluate`.
        """
        outside = list(arrays)
        made = evaluate(self.nodes, run or _call, outside, number, self.uses)
        return [made[s] if s >= 0 else outside[-1 - s] for s in self.wanted]

    def of_operands(self, arrays: Sequence[Any], run: Any = None) -> list[Any]:
        """As a call, where the numbers come as arrays after the inputs."""
        given = dict(zip(self.numbers, arrays[len(self.inputs) :], strict=True))

        def number(slot: int, kind: Any) -> Any:
            return given[slot] != 0 if kind is bool else given[slot]

        return self(arrays[: len(self.inputs)], number, run)


_BODIES: Memo[Body] = Memo(1024)


def _call(position: int, kernel: Kernel, arrays: list[Any]) -> Sequence[Any]:
    return kernel.call(*arrays)


def on_stand_ins(home: device) -> bool:
    """Whether this thread's operators on `home` are recorded without data now."""
    return bool(getattr(state.traces.get(home), "private", False))


__all__ = ["BlindCapture", "Body", "Capture", "DataDependent", "Rules", "on_stand_ins",
           "sizes_around"]  # fmt: skip
