"""Running what was recorded: its program, or its kernels one by one, and the arrays handed out.

Invariants: a program is found by structure alone (`Key`); values are filled together or, where
their program failed, say why when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import jax
import numpy as np

from .._basics import notices, room
from .._basics.allocator import trim
from .._basics.concrete import concrete
from .._basics.devices import device, jax_device
from .._basics.forking import new_rlock, tracing
from .._basics.memory import as_out_of_memory
from .._basics.settings import settings
from .._basics.shared_memory import block_of
from .._basics.state import process, state
from .._basics.stats import stats
from .._basics.tracebacks import tidied
from .._basics.wide import widened
from .._interpret.price import Cost, of_interpreting, of_kernels
from . import compiling
from .cache import Cached, Key, ProgramCache
from .graph import NodeError, steps
from .gspmd import mesh_for, onto
from .interpreted import LinkedTrace, run_trace
from .kernels import Kernel
from .policy import NEVER, Heir, Policy, Seen
from .program import call_program, compile_ahead, compile_program, run_nodes
from .spmd import Arrangement, on_one, spread_out
from .structures import Structure, place_of, structures
from .values import Value, check_readable

if TYPE_CHECKING:
    from .trace import Trace

# What makes the `ahead` of a trace: see `_ahead`.
forecasters: list[Callable[[Trace], Any]] = []
_cache = ProgramCache()
_arrangements = ProgramCache()
# Structures whose plans are linked, of so many steps together (150 bytes each).
_links = ProgramCache(limit=1 << 17, size_of=len)
_cache_lock = new_rlock()
# The cold tiers: numpy, or a compiled program a kernel.
_INTERPRETED, _BY_KERNELS = "interpreted", "run kernel by kernel"
_SMALL = 1 << 14  # bytes of an input that a program on the CPU may copy at its call
_COPIED = -1  # in the place of the slot of a value, which has none once it has its array


def note_flush(reason: str, nodes: int) -> None:
    """Count a flush."""
    stats.flushes += 1
    room.clock.now += 1
    stats.nodes += nodes
    stats.reasons[reason] += 1


class Taken:
    """What a flush takes out of a trace: its structure, its inputs and the values to fill.

    `cached` is what the cache keeps of the program that ran, if one of them did.
    """

    cached: Cached | None = None
    asked = False

    def __init__(self, trace: Trace) -> None:
        self.ahead = trace.ahead
        self.device = trace.device
        self.mesh = trace.mesh
        self.entries = trace.entries
        self.sites = trace.sites
        self.numbers = (trace.floats, trace.ints, trace.complexes)
        self.alive = [v for v in [r() for r in trace.outs] if v is not None]
        self.live = tuple([v.slot for v in self.alive])
        self.values = trace.externals
        trace.externals = []

    def run(self) -> None:
        """Hand out the arrays: of a run that began before, or of one that does now."""
        ahead = self.ahead
        results = None if ahead is None else ahead.ready(self)
        if results is None:
            if ahead is not None:
                ahead.stop()
            results = self._run()
        for value, array in zip(self.alive, results, strict=True):
            value.array, value.trace = array, None
        if ahead is not None:
            ahead.filled()
        if notices.are_waiting():
            notices.give()

    @concrete
    @widened
    def _run(self) -> list[Any]:
        """Find, compile or interpret the program."""
        try:
            return self._results()
        except Exception as error:
            fail(error, self.alive, self.entries, self.sites, self.device)
        except BaseException as error:  # an interrupt: what was pending is lost, and says so
            lose(self.alive, error)
            raise

    def _results(self) -> list[Any]:
        if process.interpret_only:
            for v in self.values:
                if type(v.array) is not np.ndarray:
                    check_readable(v.array)
            return self._interpret()
        jdev = jax_device(self.device)
        if self.mesh is not None:
            return self._run_over_mesh(jdev)
        if process.laid_out:
            mesh = mesh_for(self.entries, self.values)
            if mesh is not None:
                return self._run_partitioned(jdev, mesh)
        if jdev.platform == "cpu" and not settings.kernels:
            return self._run_tiered(jdev, _INTERPRETED)
        with jax.default_device(jdev):
            return self._run_tiered(jdev, _BY_KERNELS)

    def _key(self, *where: Any) -> Key:
        """What tells its program from others."""
        return Key((self.entries, self.live, tuple([v.aval for v in self.values]), where))

    def _run_tiered(self, jdev: Any, cold: str) -> list[Any]:
        """Run a cold structure by its kernels, in numpy or one by one; the program of a hot one."""
        program = structure = seen = None
        if not settings.eager:
            key = self._key(jdev.id)
            with _cache_lock:
                entry = _cache.entry(key)
            if entry is not None and _policy().number in entry.owners:
                _policy().hit()
                program, structure = entry.program, entry.structure
                self.cached = entry
            else:
                program, structure, seen = self._due(key, jdev, cold)
        if program is None:
            if structure is not None:
                structure.cold += 1
            if cold is _INTERPRETED:
                linked = self._linked(key, seen) if seen and seen.is_worth_linking else None
                arrays = self._interpret(linked)
                if seen is not None and seen.heavy:
                    trim()
                return arrays
            arrays = place(self.values, jdev)
            self.values.clear()
            return self._run_nodes(arrays, None)
        structure.hot += 1  # type: ignore[union-attr]
        if self.ahead is not None and self.cached is not None:
            return self.ahead.run(self, jdev)  # type: ignore[no-any-return]
        return self.call(program, jdev)

    def call(self, program: Callable[..., list[Any]], jdev: Any) -> list[Any]:
        """Run its program."""
        arrays = place(self.values, jdev)
        self.values.clear()
        return call_program(program, arrays, self.numbers)

    def _due(self, key: Key, jdev: Any, cold: str) -> tuple[Any, Structure, Seen]:
        """Count the structure; its program if that takes over now."""
        policy, digest = _policy(), hash(key)
        seen = policy.met(digest)
        if seen is None:
            seen = policy.plan(digest, self._cost(cold))
        if settings.compiled:
            seen.takeover = 1
        elif self.asked:
            policy.ask(seen)
        structure = structures.meet(digest, key, self.sites, cold, seen.takeover)
        if seen.count >= seen.takeover:
            return self._compiled(key, jdev, structure, seen), structure, seen
        if seen.count >= seen.start:
            compiling.start(key, self._compilation(key, jdev), structure)
        return None, structure, seen

    def _cost(self, cold: str) -> Cost:
        if settings.compiled:
            return Cost(0.0, 0.0)
        return of_interpreting(self.entries) if cold is _INTERPRETED else of_kernels(self.entries)

    def _compilation(self, key: Key, jdev: Any) -> Any:
        floats, ints, comps = self.numbers
        counts = (len(floats), len(ints), len(comps))
        return partial(compile_ahead, key.entries, key.live, key.in_avals, counts, jdev)

    def _compiled(self, key: Key, jdev: Any, structure: Structure, seen: Seen) -> Any:
        """The program of a structure that is due; None when XLA cannot compile it."""
        number = _policy().number

        def keep(program: Any) -> None:
            with _cache_lock:
                entry = _cache.entry(key) or _cache.add(key, program, structure)
                entry.owners.add(number)

        with _cache_lock:
            entry = _cache.entry(key)  # another thread's
            if entry is not None:
                entry.owners.add(number)
                return entry.program
        try:
            make = self._compilation(key, jdev)
            return compiling.finish(key, make, structure, keep)
        except Exception as error:
            if settings.compiled:
                raise
            compiling.failed(error, structure)
            seen.takeover = NEVER
            return None

    def _linked(self, key: Key, seen: Seen) -> LinkedTrace:
        with _cache_lock:
            entry = _links.entry(key)
        if entry is None:
            made: Any = LinkedTrace(self.entries, self.live, len(self.values))
            seen.linked(made.saved, len(self.values) + len(self.live))
            with _cache_lock:
                entry = _links.add(key, made)
        return entry.program  # type: ignore[return-value]

    def _interpret(self, linked: LinkedTrace | None = None) -> list[Any]:
        arrays = [v.array for v in self.values]
        self.values.clear()
        stats.programs_interpreted += 1
        if linked is not None:
            return linked.run(arrays, self.numbers)
        return run_trace(self.entries, self.live, arrays, self.numbers)

    def _run_over_mesh(self, jdev: Any) -> list[Any]:
        key = self._key(jdev.id)
        layout = self._arrangement(key)
        arrays = spread_out(self.values, layout)
        return self._run_at_once(key, arrays, layout.outputs)

    def _run_partitioned(self, jdev: Any, mesh: Any) -> list[Any]:
        arrays, shardings = onto(mesh, self.values)
        key = self._key(jdev.id, mesh, shardings)
        return self._run_at_once(key, arrays, None)

    def _run_at_once(self, key: Key, arrays: list[Any], shardings: Any) -> list[Any]:
        """Run where there is no interpreter: compiled whole, or kernel by kernel."""
        self.values.clear()
        if settings.eager:
            return self._run_nodes(arrays, shardings)
        with _cache_lock:
            entry = _cache.entry(key)
            is_new = entry is None and _policy().compile_at_once(key)
            if is_new:
                entry = _cache.add(key, compile_program(steps(self.entries), self.live, shardings))
            elif entry is not None:
                _policy().hit()
        if entry is None:
            return self._run_nodes(arrays, shardings)
        program = entry.program
        if not is_new:
            return call_program(program, arrays, self.numbers)
        with tracing:
            return call_program(program, arrays, self.numbers)

    def _arrangement(self, key: Key) -> Arrangement:
        """Where inputs and outputs of a program over several devices lie."""
        with _cache_lock:
            entry = _arrangements.entry(key)
            if entry is None:
                nodes = steps(self.entries)
                made: Any = Arrangement(nodes, self.live, len(self.values), self.mesh)
                entry = _arrangements.add(key, made)
        return entry.program  # type: ignore[return-value]

    def _run_nodes(self, arrays: list[Any], shardings: Any) -> list[Any]:
        results = run_nodes(self.entries, self.live, arrays, self.numbers)
        return results if shardings is None else jax.device_put(results, shardings)


def place(values: Sequence[Value], jdev: Any) -> list[Any]:
    """Host inputs go to the device once; whoever else holds the value profits later.

    Small ones on the CPU go as they are the first time: a call copies one for 2 to 20 microseconds
    (least in a tight loop), `device_put` takes 60 and pays for what comes again.
    """
    arrays = []
    on_cpu = jdev.platform == "cpu" and not process.spmd_used
    for v in values:
        array = v.array
        if type(array) is np.ndarray:
            owned = array if array.base is None or _is_private(array) else array.copy()
            if on_cpu and owned.nbytes <= _SMALL and v.slot != _COPIED:
                array, v.slot = owned, _COPIED
            else:
                array = v.array = jax.device_put(owned, jdev)
        elif process.spmd_used:
            array = on_one(array, jdev)  # the value itself stays where the mesh left it
        arrays.append(array)
    return arrays


def fail(
    error: Exception, alive: Sequence[Value], entries: Sequence[Any], sites: Sequence[Any],
    dev: device,
) -> NoReturn:  # fmt: skip
    """Name the operator and the user's line; the values that were lost say so when read."""
    cause = error.__cause__ if isinstance(error, NodeError) and error.__cause__ else error
    exhausted = as_out_of_memory(cause, dev)
    lose(alive, exhausted or error)
    if exhausted is not None:
        raise exhausted from cause
    while isinstance(error, NodeError) and error.__cause__ is not None:
        kernel, cause = error.kernel, tidied(error.__cause__)  # type: ignore[arg-type]
        raise RuntimeError(
            f"{kernel.name}{kernel.in_avals} recorded at "
            f"{place_of(sites[error.position])} failed: {cause}"
        ) from cause
    first, last = map(place_of, (sites[0], sites[-1]))
    names = sorted({k.name for k in entries if isinstance(k, Kernel)})
    raise RuntimeError(
        f"a program of {len(sites)} nodes ({', '.join(names[:8])}"
        f"{', ...' if len(names) > 8 else ''}) recorded from {first} "
        f"to {last} failed: {error}. "
        "TORCHISH_EAGER=1 names the operator."
    ) from error


def _kernels_of_programs() -> list[Kernel]:
    with _cache_lock:
        return [k for key in _cache.programs for k in key.entries if isinstance(k, Kernel)]


room.holders.append(_kernels_of_programs)


def may_use(cached: Cached) -> bool:
    """Whether a program that its user holds on to is still the one that a flush would find."""
    return cached.is_kept and not settings.eager and _policy().number in cached.owners


def note_use(cached: Cached, nodes: int, reason: str) -> None:
    """Count such a use as the flush that it stands for."""
    note_flush(reason, nodes)
    note_run(cached)


def note_run(cached: Cached) -> None:
    """Count a run of a program that was found without a look into the cache."""
    stats.programs_run += 1
    cached.structure.hot += 1
    _policy().hit()


def touch(key: Key) -> None:
    """Let a program that is in use stay longest."""
    with _cache_lock:
        _cache.entry(key)


def drop_programs() -> None:
    """Forget every compiled program."""
    with _cache_lock:
        _cache.clear()
        _links.clear()


def _policy() -> Policy:
    """This thread's policy, made when the thread first flushes."""
    found: Policy | None = state.policy
    if found is None:
        found = state.policy = Policy()
        state.heir = Heir(found)
    return found


def lose(values: Sequence[Value], error: BaseException) -> None:
    """Have values that were not made say why when they are read."""
    for value in values:
        value.trace = _Lost(error)


class _Lost:
    """Stands in for the trace of values whose program failed: reading them says why."""

    on_cut = None

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def flush(self, reason: str = "") -> None:
        """Raise what the program raised."""
        raise RuntimeError(f"this value was lost when its program failed: {self.error}")


def _is_private(array: Any) -> bool:
    """Whether the array lies in memory that a worker process filled and nobody writes to."""
    block = block_of(array)
    return block is not None and block.is_private
