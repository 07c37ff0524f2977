"""Running the next program while the script still records it.

A script that reads a number in each step waits twice: XLA for the Python that records the step, the
Python for XLA. Most loops run the same programs in turn, on what these made before, and their
values are immutable: once the inputs that are new have been recorded, the program can run. Its
results are handed out if the script then records that very program with those inputs (each is
compared), and dropped if it does not; either way the script sees what it would have seen.

Running ahead begins when what it saved so far would outweigh one run for nothing, and after such a
run twice as much is asked for (`expected.py`). Threads have their own forecasts, one a device, and
only the CPU has them: elsewhere arrays are ready later anyhow, while Python goes on.
"""

from __future__ import annotations

import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import jax

from .._basics.concrete import concrete
from .._basics.devices import jax_device
from .._basics.settings import settings
from .._basics.state import process
from .._basics.stats import stats
from .._basics.wide import widened
from .._core.cache import Cached
from .._core.running import Taken, may_use, note_run, place, touch
from .._core.values import Value
from .expected import Expected, Numbers, are_alike, is_as

if TYPE_CHECKING:
    from .._core.trace import Trace

TOUCH_EVERY = 64  # runs ahead: then one that is in use is moved to the end of the cache
RUNS = 3  # whose results are remembered
CONTEXTS = 64  # pairs of programs whose successor is remembered
MOST_BYTES = 1 << 28  # of inputs: those of a run for nothing come on top
USELESS, REST = 24, 64  # runs that came unexpected in a row; how many are not looked at then
LONGEST_REST = 4096

# Told when a thread records while its program runs (1), and when that ends (-1).
listeners: list[Callable[[int], Any]] = []


class Attempt:
    """A run that is expected: its inputs, and its results if it was begun."""

    def __init__(self, expected: Expected, values: Sequence[Value], numbers: Numbers) -> None:
        self.expected = expected
        self.values = values
        self.numbers = numbers
        self.results: list[Any] | None = None
        self.begun = perf_counter()  # and again when the script records beside it

    def came(self, taken: Taken) -> bool:
        """Whether what is to be run is what was expected."""
        return self.expected.cached is taken.cached and self._is_given_what(taken)

    def is_asked_for(self, taken: Taken) -> bool:
        """The same, before the program was looked up."""
        cached = self.expected.cached
        if taken.live != cached.key.live or taken.entries != cached.key.entries:
            return False
        return may_use(cached) and self._is_given_what(taken)

    def _is_given_what(self, taken: Taken) -> bool:
        if not are_alike(taken.numbers, self.numbers):
            return False
        pairs = zip(taken.values, self.values, strict=True)
        return not [1 for v, w in pairs if v is not w and not is_as(v, w)]


class Forecast:
    """What one trace is going to run next."""

    def __init__(self, trace: Trace) -> None:
        self.trace = weakref.proxy(trace)
        self.runs: list[list[weakref.ref[Value]]] = []  # the results of the last ones, latest first
        self.context: tuple[Any, ...] = ()
        self.known: OrderedDict[tuple[int, ...], tuple[tuple[Any, ...], Expected]] = OrderedDict()
        self.next: Expected | None = None
        self.attempt: Attempt | None = None
        self.is_beside = False  # whether a program runs beside the script
        self.before = self.now = 0.0  # when the last programs were asked for
        self.useless = self.resting = 0
        self.rest = REST

    # --- while the script records -----------------------------------------------------------------

    def look(self) -> None:
        """So many inputs are known: run what is expected, if that pays and did not begin before."""
        self.trace.watch = sys.maxsize
        if self.attempt is None:
            self._expect()
        attempt = self.attempt
        if attempt is not None:
            attempt.begun = perf_counter()
            self._tell(attempt.results is not None)

    def filled(self) -> None:
        """What ran has its arrays: where no input is new, the next run begins behind it."""
        if self.trace.watch == 0:
            self._expect()

    @concrete
    @widened
    def _expect(self) -> None:
        trace, expected = self.trace, self.next
        if expected is None or trace.mesh is not None or not _is_plain():
            return
        entries = expected.cached.key.entries
        numbers = expected.predicted_numbers((trace.floats, trace.ints, trace.complexes))
        if numbers is None or trace.entries != list(entries[: len(trace.entries)]):
            return
        values = expected.inputs(trace.externals, self.runs)
        if values is None:
            return
        self.attempt = Attempt(expected, values, numbers)
        if expected.may() and expected.trial.says() and may_use(expected.cached):
            self._begin(self.attempt)

    def _begin(self, attempt: Attempt) -> None:
        try:
            jdev = jax_device(self.trace.device)
            vectors = attempt.expected.vectors.of(attempt.numbers, jdev)
            program = attempt.expected.cached.program
            attempt.results = program(place(attempt.values, jdev), *vectors)
        except Exception:  # out of memory: it fails again when it is asked for, and says so then
            attempt.expected.streak = 0

    def stop(self) -> None:
        """What was recorded runs: the script is likely to wait for it."""
        self._tell(False)

    def _tell(self, beside: bool) -> None:
        if beside != self.is_beside:
            self.is_beside = beside
            for tell in listeners or ():  # none any more while Python ends
                tell(1 if beside else -1)

    __del__ = stop  # the thread has ended

    # --- when a program is to run -----------------------------------------------------------------

    def ready(self, taken: Taken) -> list[Any] | None:
        """The results of the run that was begun, if that is what is asked for."""
        attempt = self.attempt
        if attempt is None or attempt.results is None or not self._may(taken):
            return None
        if not attempt.is_asked_for(taken):
            return None
        self.attempt = None
        self.before, self.now = self.now, perf_counter()
        taken.cached = attempt.expected.cached
        note_run(taken.cached)
        stats.programs_ahead += 1
        if stats.programs_ahead % TOUCH_EVERY == 0:
            touch(taken.cached.key)
        self._note(attempt, taken)
        self._go_on(taken)
        taken.values.clear()
        return attempt.results

    def _may(self, taken: Taken) -> bool:
        return not self.resting and settings.ahead and taken.mesh is None and _is_plain()

    def run(self, taken: Taken, jdev: Any) -> list[Any]:
        """The results of a program that may have been expected."""
        attempt, self.attempt = self.attempt, None
        self.before, self.now = self.now, perf_counter()
        if jdev.platform != "cpu" or not self._may(taken):
            self.resting = max(self.resting - 1, 0)
            self._forget()
            return taken.call(taken.cached.program, jdev)  # type: ignore[union-attr]
        if attempt is not None and attempt.came(taken):
            results = self._call(self._note(attempt, taken), taken, jdev)
        else:
            self._unexpected(attempt, taken)
            results = taken.call(taken.cached.program, jdev)  # type: ignore[union-attr]
        self._go_on(taken)
        return results

    def _note(self, attempt: Attempt, taken: Taken) -> Expected:
        """What was expected is what was asked for."""
        expected = attempt.expected
        saved = self.now - attempt.begun
        if expected.may():
            expected.trial.note(attempt.results is not None, self.now - self.before)
        expected.gain = saved if expected.streak == 0 else min(expected.gain * 1.1, saved)
        self.useless, self.rest = 0, REST
        expected.repeat(taken.values, taken.numbers, self.runs)
        return expected

    def _call(self, expected: Expected, taken: Taken, jdev: Any) -> list[Any]:
        """Run what was expected; the first times, see how long it takes."""
        begun = perf_counter()
        results = taken.call(expected.cached.program, jdev)
        if expected.price is None or expected.streak <= 2:
            jax.block_until_ready(results)
            took = perf_counter() - begun
            expected.price = took if expected.price is None else min(expected.price, took)
        return results

    def _unexpected(self, attempt: Attempt | None, taken: Taken) -> None:
        if attempt is not None and attempt.results is not None:
            attempt.expected.needed *= 2
            stats.programs_wasted += 1
        cached: Any = taken.cached
        expected = self.next
        if expected is None:
            expected = self._new(cached)
        elif expected.cached is not cached and expected.is_given_up():
            expected.begin(cached)
        expected.streak = 0
        if expected.cached is cached:
            expected.learn(taken.values, taken.numbers, self.runs)
        self.useless += 1

    def _new(self, cached: Cached) -> Expected:
        """Expect a program where none was known to follow."""
        for key, (context, old) in list(self.known.items()):
            if not all(c.is_kept for c in (*context, old.cached)):
                del self.known[key]  # it would hold programs that have made room
        while len(self.known) >= CONTEXTS:
            self.known.popitem(last=False)
        expected = Expected(cached)
        self.known[tuple(map(id, self.context))] = (self.context, expected)
        return expected

    def _go_on(self, taken: Taken) -> None:
        """Remember the run, and look out for the next one."""
        if self.useless > USELESS:
            self.resting, self.rest = self.rest, min(2 * self.rest, LONGEST_REST)
            self.useless = 0
            self._forget()
            return
        self.runs = [list(map(weakref.ref, taken.alive)), *self.runs[: RUNS - 1]]
        self.context = (taken.cached, *self.context[:1])
        key = tuple(map(id, self.context))
        found = self.known.get(key)
        if found is None:
            self.next = None
            return
        self.known.move_to_end(key)
        self.next = expected = found[1]
        if not expected.cached.is_kept or expected.bytes > MOST_BYTES:
            return
        self.trace.watch = expected.known_from

    def _forget(self) -> None:
        """What ran before is no context of what comes."""
        self.runs, self.context, self.next = [], (), None


def _is_plain() -> bool:
    """Whether programs are run in the plain way at all, and may have a core beside the script."""
    elsewhere = process.spmd_used or process.laid_out or process.interpret_only
    return not (settings.eager or elsewhere or process.num_threads == 1)
