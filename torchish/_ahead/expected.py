"""What is expected to run after what ran: a program, and where its inputs will come from.

An input is one of four things: what one of the last programs made (a parameter, a moment), the very
value that the program was given the last time (data that stays), a number that grows by the same
step each time (an optimizer's count), or new (a batch, a token that was drawn): that one has to be
waited for.
"""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .._core.cache import Cached
from .._core.program import pack
from .._core.values import Value

Numbers = tuple[list[float], list[int], list[complex]]

SAME, COUNT, NEW = "same", "count", "new"
# (which of the last runs, which of its results), or one of these names.
Source = tuple[int, int] | str
MISSES = 4  # in a row: then a number is no count
LEAST_GAIN = 3e-5  # seconds: looking ahead costs some of them
# Runs of a kind in a row while that is tried, those of a kind that are compared, and the share of
# the time without that the time with it must stay below.
ROUND, SAMPLES, WORTH = 12, 24, 0.97
AGAIN = 512  # runs until a trial that ended without is made again; twice as many from time to time
FEWEST = 3  # runs that came as expected before the next is run ahead
FORGIVEN = 4  # times as many that were asked for: then one for nothing is forgotten


class Trial:
    """Whether a loop is faster when its program runs ahead: some rounds are, some are not.

    A program that keeps all cores busy gains nothing: the script's recording is in its way. What
    was no faster is tried again later, less and less often: the machine may have been busy.
    """

    def __init__(self) -> None:
        self.patience = AGAIN
        self._begin()

    def _begin(self) -> None:
        self.seconds: dict[bool, list[float]] = {True: [], False: []}
        self.round = 0
        self.verdict: bool | None = None

    def says(self) -> bool:
        """Whether the next run is to be ahead."""
        return self.verdict if self.verdict is not None else self.round < ROUND

    def note(self, ahead: bool, seconds: float) -> None:
        """How long a round of the loop took."""
        if self.verdict:
            return
        self.round += 1
        if self.verdict is False:
            if self.round >= self.patience:
                self.patience *= 2
                self._begin()
            return
        if 2 < self.round % ROUND < ROUND:  # the first ones of a kind pay for the change
            self.seconds[ahead].append(seconds)
        if self.round == 2 * ROUND:
            self.round = 0
        with_it, without = (sorted(self.seconds[kind]) for kind in (True, False))
        if min(len(with_it), len(without)) >= SAMPLES:
            self.verdict, self.round = _quartile(with_it) < WORTH * _quartile(without), 0


def _quartile(numbers: list[float]) -> float:
    """The lower one: what disturbs a round makes it longer."""
    return numbers[len(numbers) // 4]


class Count:
    """A number that may grow by the same step from run to run."""

    __slots__ = ("aval", "least", "misses", "most", "now", "step", "value")

    def __init__(self, value: Value) -> None:
        self.aval = value.aval
        self.now: Any = None  # Python's numbers: numpy's take ten times as long
        self.step: Any = None
        self.misses = 0  # in a row
        self.value: Value | None = None  # the next one, if it was asked for
        np_type = value.aval.dtype.np
        info: Any = np.finfo(np_type) if np_type.kind == "f" else np.iinfo(np_type)
        self.least, self.most = np.array([info.min, info.max], np_type).tolist()

    def note(self, value: Value, is_right: bool) -> None:
        """The number that came, and whether it was the expected one."""
        now, old = value.array.item(), self.now
        self.misses = 0 if is_right or old is None else self.misses + 1
        self.step = None if old is None else now - old
        self.now, self.value = now, None

    def came(self, value: Value) -> None:
        """The expected number came."""
        self.now, self.value = value.array.item(), None
        self.misses = 0

    def next(self) -> Value | None:
        """What is expected; None where that is not known, or no number of the type."""
        if self.value is None and self.step is not None:
            total = self.now + self.step
            if self.least <= total <= self.most:
                self.value = Value(np.array(total, self.aval.dtype.np), self.aval)
        return self.value


class Expected:
    """The program that follows some others."""

    def __init__(self, cached: Cached) -> None:
        self.begin(cached)
        # How many runs must have come as expected; doubled by each that ran ahead for nothing,
        # and halved again by many times as many that were asked for.
        self.needed = FEWEST

    def begin(self, cached: Cached) -> None:
        """Another program than before: nothing is known of its inputs."""
        self.cached = cached
        self.bytes = sum(aval.nbytes for aval in cached.key.in_avals)  # of its inputs
        self.sources: list[Source] = []
        self.known_from = 0  # so many inputs have to be recorded until all others are known
        self.last: list[weakref.ref[Value]] = []
        # Where each input is: which of the last runs, or -1 for `last`; which number there.
        self.places: list[tuple[int, int]] = []
        self.counts: dict[int, Count] = {}  # by input
        self.numbers: Numbers | None = None
        self.vectors = Vectors()
        self.steps: list[int] = []
        self.streak = self.absences = 0
        # Seconds: what a run takes (the least), and what it could begin earlier.
        self.price: float | None = None
        self.gain = 0.0
        self.trial = Trial()

    def is_given_up(self) -> bool:
        """Whether another program is expected now, since that one came instead.

        Not for one epoch's end: the program that came many times is likely to come again.
        """
        self.absences += 1
        return self.streak < FEWEST and self.absences > 1

    # --- learning ---------------------------------------------------------------------------------

    def learn(self, values: Sequence[Value], numbers: Numbers, runs: Sequence[Any]) -> None:
        """Note where the inputs of a run came from; they are predicted from it the next time."""
        if not self.last:
            self.sources = [NEW] * len(values)
        made = {
            id(value): (age, k)
            for age, refs in reversed(list(enumerate(runs)))
            for k, ref in enumerate(refs)
            if (value := ref()) is not None
        }
        for k, value in enumerate(values):
            is_right = is_as(value, self.predicted(k, runs))
            if not is_right:
                self.sources[k] = self._source(k, value, made.get(id(value)))
            if self.sources[k] == COUNT:
                self.counts.setdefault(k, Count(value)).note(value, is_right)
        self.last = [weakref.ref(v) for v in values]
        self.places = [s if isinstance(s, tuple) else (-1, k) for k, s in enumerate(self.sources)]
        self.known_from = max((k + 1 for k, s in enumerate(self.sources) if s == NEW), default=0)
        self._keep(numbers)

    def _source(self, k: int, value: Value, made: tuple[int, int] | None) -> Source:
        if made is not None:
            return made
        if self.last and self.last[k]() is value:
            return SAME
        misses = self.counts[k].misses if k in self.counts else 0
        return COUNT if is_number(value) and misses < MISSES else NEW

    def _keep(self, numbers: Numbers) -> None:
        ints = numbers[1]
        if self.numbers is not None and len(self.numbers[1]) == len(ints):
            self.steps = [b - a for a, b in zip(self.numbers[1], ints, strict=True)]
        else:
            self.steps = [0] * len(ints)
        self.numbers = numbers

    def repeat(self, values: Sequence[Value], numbers: Numbers, runs: Sequence[Any]) -> None:
        """A run came as expected: only what grows is another.

        The first ones may still show that inputs which were waited for can be predicted.
        """
        self.streak += 1
        self.absences = 0
        if self.needed > FEWEST and self.streak >= FORGIVEN * self.needed:
            self.needed //= 2
        if self.streak < FEWEST:
            self.learn(values, numbers, runs)
            return
        for k, count in self.counts.items():
            if self.sources[k] == COUNT:
                count.came(values[k])
        self._keep(numbers)

    # --- predicting -------------------------------------------------------------------------------

    def inputs(self, recorded: Sequence[Value], runs: Sequence[Any]) -> list[Value] | None:
        """The inputs of the next run, of which some were recorded; None where one is not there."""
        avals, found = self.cached.key.in_avals, len(recorded)
        if not self.known_from <= found <= len(self.places) == len(avals):
            return None
        tables = (*runs, self.last)
        try:
            values: list[Any] = [*recorded, *[tables[t][k]() for t, k in self.places[found:]]]
        except IndexError:
            return None
        for k, count in self.counts.items():
            if k >= found and self.sources[k] == COUNT:
                values[k] = count.next()
        if [1 for v, a in zip(values, avals) if v is None or v.aval is not a or v.array is None]:  # noqa: B905 - of one length
            return None
        return values

    def predicted(self, k: int, runs: Sequence[Any]) -> Value | None:
        """The value that an input will have; None where that is not known."""
        source = self.sources[k]
        if isinstance(source, tuple):
            age, number = source
            refs = runs[age] if age < len(runs) else ()
            return refs[number]() if number < len(refs) else None
        if source == SAME:
            return self.last[k]()
        return self.counts[k].next() if source == COUNT and k in self.counts else None

    def predicted_numbers(self, recorded: Numbers) -> Numbers | None:
        """The numbers of a run that has recorded some already."""
        if self.numbers is None:
            return None
        floats, ints, complexes = self.numbers
        ahead = [n + step for n, step in zip(ints, self.steps, strict=True)]
        f, i, c = recorded
        return f + floats[len(f) :], i + ahead[len(i) :], c + complexes[len(c) :]

    # --- whether it pays --------------------------------------------------------------------------

    def may(self) -> bool:
        """Whether what was saved so far, at the most, outweighs one run for nothing."""
        if self.price is None or self.streak < self.needed or self.gain < LEAST_GAIN:
            return False
        return self.streak * self.gain >= self.price


def is_number(value: Value) -> bool:
    """Whether a value is one number that lies on the host."""
    array = value.array
    return type(array) is np.ndarray and array.ndim == 0 and array.dtype.kind in "iuf"


def is_as(value: Value, expected: Value | None) -> bool:
    """Whether an input is what was expected: the value itself, or the same number."""
    if value is expected:
        return True
    if expected is None or value.aval is not expected.aval:
        return False
    if not (is_number(value) and is_number(expected)):
        return False
    same: bool = value.array.tobytes() == expected.array.tobytes()
    return same


def are_alike(a: Numbers, b: Numbers) -> bool:
    """Whether numbers are the same, signs of zeros included."""
    return a == b and (0.0 not in a[0] or _bits(a[0]) == _bits(b[0])) and _bits(a[2]) == _bits(b[2])


def _bits(numbers: Sequence[Any]) -> bytes:
    return np.asarray(numbers).tobytes() if numbers else b""


class Vectors:
    """The numbers of a program as it takes them. Floats that stay are put on the device once."""

    def __init__(self) -> None:
        self.bits = b""
        self.floats: Any = None  # once the same came twice

    def of(self, numbers: Numbers, jdev: Any) -> list[Any]:
        """Three vectors, or None where there is no number."""
        floats, ints, complexes = numbers
        bits = array("d", floats).tobytes()
        if bits != self.bits or not floats:
            self.bits, self.floats = bits, None
            return pack(numbers)
        if self.floats is None:
            self.floats = jax.device_put(np.array(floats, np.float64), jdev)
        return [self.floats, *pack(([], ints, complexes))[1:]]
