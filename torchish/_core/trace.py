"""Recording: one trace a thread and device, flushed into one program.

Invariants: a trace holds its external inputs strongly and its own outputs weakly, so an output that
nobody refers to any more never leaves XLA; nodes refer to values by slot number, so recording makes
no reference cycles; the structure (`entries`) holds kernels and slots only, never numbers.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

import jax
import numpy as np

from .._basics import notices
from .._basics.allocator import trim
from .._basics.concrete import concrete
from .._basics.devices import CPU, META, device, jax_device
from .._basics.forking import before_fork, give_way, new_fork_lock, new_rlock, tracing
from .._basics.memory import as_out_of_memory, check_size
from .._basics.recorder import recorder
from .._basics.settings import settings
from .._basics.shared_memory import block_of
from .._basics.state import process, state
from .._basics.stats import stats
from .._basics.tracebacks import tidied
from .._basics.wide import widened
from .._interpret.price import Cost, of_interpreting, of_kernels
from . import compiling, room
from .checks import run_checks
from .graph import COMPLEXES, FLOATS, INTS, NodeError, steps
from .gspmd import mesh_for, onto
from .interpreted import run_trace
from .kernels import Kernel
from .policy import NEVER, Heir, Policy, Seen
from .program import Cached, ProgramCache, call_program, compile_ahead, compile_program, run_nodes
from .spmd import Arrangement, MeshKernel, on_one, spread_out
from .structures import Structure, place_of, structures
from .values import Aval, Value, check_readable

_PACKAGE = __file__.rsplit("_core", 1)[0]
_cache = ProgramCache()
_arrangements = ProgramCache()
_cache_lock = new_rlock()
FULL = "the trace reached its limit"
# The cold tiers: numpy, or a compiled program a kernel.
_INTERPRETED, _BY_KERNELS = "interpreted", "run kernel by kernel"
_new_value = Value.__new__
_ref = weakref.ref
_frame = sys._getframe


class _Own(dict[str, bool]):
    """Whether a file is this package's: a node's site is the innermost frame outside.

    By name, whose hash Python keeps; hashing a code object goes through its constants each time.
    """

    def __missing__(self, file: str) -> bool:
        found = self[file] = file.startswith(_PACKAGE)
        return found


_own = _Own()


class Trace:
    """The nodes that one thread has recorded for one device and not yet run."""

    __slots__ = (
        "__weakref__", "busy", "bytes", "complexes", "device", "entries", "ext_index", "externals",
        "floats", "ints", "lock", "mesh", "outs", "sites",
    )  # fmt: skip

    # Told of tensors that are cut from their history (a region that JAX differentiates wants to
    # know: what it recorded alone does not show it).
    on_cut: Any = None

    def __init__(self, dev: device) -> None:
        self.device = dev
        self.lock = new_fork_lock()
        # Whether what it held is being run: until that ends, its values say that they wait here.
        self.busy = False
        self._clear()

    def _clear(self) -> None:
        self.entries: list[Any] = []
        self.outs: list[Any] = []
        self.externals: list[Value] = []
        self.ext_index: dict[int, int] = {}
        self.floats: list[float] = []
        self.ints: list[int] = []
        self.complexes: list[complex] = []
        self.sites: list[Any] = []
        self.bytes = 0
        # The devices of a MeshKernel that was recorded: the program then spans them.
        self.mesh: Any = None

    def record(self, kernel: Kernel, operands: Sequence[Any], depth: int = 2) -> list[Value]:
        """Append one node; returns its pending outputs.

        `depth`: how many frames above this one the user's may be, at the least.
        """
        with self.lock:
            if (
                len(self.sites) >= settings.max_nodes
                or self.bytes + kernel.out_bytes > settings.max_bytes
            ):
                for aval in kernel.out_avals:
                    check_size(aval.shape, aval.dtype.itemsize, self.device)
                self.flush(FULL)
            entries = self.entries
            mark = len(entries)
            entries.append(kernel)
            for v in operands:
                kind = type(v)
                if kind is Value:
                    if v.trace is self:
                        entries.append(v.slot)
                    else:
                        slot = self.ext_index.get(id(v))
                        entries.append(self._external(v, mark) if slot is None else slot)
                elif kind is float:
                    entries.append(FLOATS + len(self.floats))
                    self.floats.append(v)
                elif kind is int or kind is bool:
                    entries.append(INTS + len(self.ints))
                    self.ints.append(v)
                else:
                    entries.append(COMPLEXES + len(self.complexes))
                    self.complexes.append(v)
            try:
                frame = _frame(depth)
            except ValueError:  # called from C, with no frame of the user's
                frame = _frame(1)
            while _own[frame.f_code.co_filename] and frame.f_back is not None:
                frame = frame.f_back
            self.sites.append((frame.f_code, frame.f_lasti))
            self.bytes += kernel.out_bytes
            outs = self.outs
            dev = self.device
            if kernel.n_out == 1:
                value = _new_value(Value)
                value.array = None
                value.aval = kernel.out_avals[0]
                value.device = dev
                value.trace = self
                value.slot = len(outs)
                outs.append(_ref(value))
                return [value]
            made = []
            for aval in kernel.out_avals:
                value = _new_value(Value)
                value.array = None
                value.aval = aval
                value.device = dev
                value.trace = self
                value.slot = len(outs)
                outs.append(_ref(value))
                made.append(value)
            return made

    def _external(self, value: Value, mark: int) -> int:
        """Slot of an input from outside this trace; what is pending elsewhere is run first."""
        try:
            self._make_ready(value)
            if value.device is not self.device:
                value = self._moved(value)
        except BaseException:
            del self.entries[mark:]
            raise
        slot = -1 - len(self.externals)
        self.ext_index[id(value)] = slot
        self.externals.append(value)
        return slot

    def _make_ready(self, value: Value) -> None:
        """Run what an input from outside still waits for."""
        if value.array is None:
            if value.trace is None:
                raise RuntimeError(
                    f"Tensor on device meta is not on the expected device {self.device}!"
                )
            value.trace.flush("another thread or device needs a value")

    def _moved(self, value: Value) -> Value:
        """A 0-dim CPU value may join an operator on any device, as in torch; nothing else may."""
        if value.aval.ndim == 0 and value.device.type == "cpu":
            return Value(np.asarray(value.array), value.aval, self.device)
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{self.device} and {value.device}!"
        )

    def flush(self, reason: str = "asked for") -> None:
        """Run everything that is pending here; values that are still referred to get arrays."""
        give_way()
        with self.lock:
            if self.entries:
                self.take(reason)

    def take(self, reason: str, asked: bool = False) -> Taken:
        """As `flush`, of a trace that is not empty; gives what was run.

        `asked`: whether the script wants it compiled.
        """
        busy, self.busy = self.busy, True
        try:
            taken = Taken(self)
            taken.asked = asked
            self._clear()
            note_flush(reason, len(taken.sites))
            if taken.alive:
                taken.run()
        finally:
            self.busy = busy
        return taken


def note_flush(reason: str, nodes: int) -> None:
    """Count a flush."""
    stats.flushes += 1
    room.clock.now += 1
    stats.nodes += nodes
    stats.reasons[reason] += 1


class Taken:
    """What a flush takes out of a trace: its structure, its inputs and the values to fill.

    `cached` is what the cache keeps of the program that ran, if one of them did, under `key`.
    """

    cached: Cached | None = None
    key: Any = None
    asked = False

    def __init__(self, trace: Trace) -> None:
        self.device = trace.device
        self.mesh = trace.mesh
        self.entries = trace.entries
        self.sites = trace.sites
        self.numbers = (trace.floats, trace.ints, trace.complexes)
        self.alive = [v for v in [r() for r in trace.outs] if v is not None]
        self.live = tuple([v.slot for v in self.alive])
        self.values = trace.externals
        trace.externals = []

    @concrete
    @widened
    def run(self) -> None:
        """Find, compile or interpret the program, hand out the arrays."""
        try:
            results = self._results()
        except Exception as error:
            fail(error, self.alive, self.entries, self.sites, self.device)
        except BaseException as error:  # an interrupt: what was pending is lost, and says so
            lose(self.alive, error)
            raise
        for value, array in zip(self.alive, results, strict=True):
            value.array = array
            value.trace = None
        if notices.are_waiting():
            notices.give()

    def _results(self) -> list[Any]:
        in_avals = tuple([v.aval for v in self.values])
        donated = self._donations(in_avals)
        if process.interpret_only:
            for v in self.values:
                if type(v.array) is not np.ndarray:
                    check_readable(v.array)
            return self._interpret(donated)
        jdev = jax_device(self.device)
        key: Any = (tuple(self.entries), self.live, in_avals, donated, jdev.id)
        if self.mesh is not None:
            return self._run_over_mesh(key, donated)
        if process.laid_out:
            mesh = mesh_for(self.entries, self.values)
            if mesh is not None:
                return self._run_partitioned(key, donated, mesh)
        if jdev.platform == "cpu" and not settings.kernels:
            return self._run_tiered(key, donated, jdev, _INTERPRETED)
        with jax.default_device(jdev):
            return self._run_tiered(key, donated, jdev, _BY_KERNELS)

    def _run_tiered(self, key: Any, donated: tuple[int, ...], jdev: Any, cold: str) -> list[Any]:
        """Run a cold structure by its kernels, in numpy or one by one; the program of a hot one."""
        program = structure = seen = None
        if not settings.eager:
            with _cache_lock:
                entry = _cache.entry(key)
            if entry is not None and _policy().number in entry.owners:
                _policy().hit()
                program, structure = entry.program, entry.structure
                self.cached, self.key = entry, key
            else:
                program, structure, seen = self._due(key, donated, jdev, cold)
        if program is None:
            if structure is not None:
                structure.cold += 1
            if cold is _INTERPRETED:
                arrays = self._interpret(donated)
                if seen is not None and seen.heavy:
                    trim()
                return arrays
            arrays = place(self.values, jdev)
            self.values.clear()
            return self._run_nodes(arrays, None)
        structure.hot += 1  # type: ignore[union-attr]
        arrays = place(self.values, jdev)
        self.values.clear()
        return call_program(program, arrays, donated, self.numbers)

    def _due(
        self, key: Any, donated: tuple[int, ...], jdev: Any, cold: str
    ) -> tuple[Any, Structure, Seen]:
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
            return self._compiled(key, donated, jdev, structure, seen), structure, seen
        if seen.count >= seen.start:
            compiling.start(key, self._compilation(key, donated, jdev), structure)
        return None, structure, seen

    def _cost(self, cold: str) -> Cost:
        if settings.compiled:
            return Cost(0.0, 0.0)
        return of_interpreting(self.entries) if cold is _INTERPRETED else of_kernels(self.entries)

    def _compilation(self, key: Any, donated: tuple[int, ...], jdev: Any) -> Any:
        entries, live, in_avals = key[:3]
        floats, ints, comps = self.numbers
        counts = (len(floats), len(ints), len(comps))
        return partial(compile_ahead, entries, live, donated, in_avals, counts, jdev)

    def _compiled(
        self, key: Any, donated: tuple[int, ...], jdev: Any, structure: Structure, seen: Seen
    ) -> Any:
        """The program of a structure that is due; None when XLA cannot compile it."""
        number = _policy().number

        def keep(program: Any) -> None:
            with _cache_lock:
                entry = _cache.entry(key) or _cache.add(key, program, structure)
                entry.owners.add(number)

        with _cache_lock:
            program = _cache.find(key)  # another thread's
        if program is not None:
            keep(program)
            return program
        try:
            make = self._compilation(key, donated, jdev)
            return compiling.finish(key, make, structure, keep)
        except Exception as error:
            if settings.compiled:
                raise
            compiling.failed(error, structure)
            seen.takeover = NEVER
            return None

    def _interpret(self, donated: tuple[int, ...]) -> list[Any]:
        arrays = [v.array for v in self.values]
        self.values.clear()
        stats.programs_interpreted += 1
        return run_trace(self.entries, self.live, arrays, self.numbers, donated)

    def _run_over_mesh(self, key: Any, donated: tuple[int, ...]) -> list[Any]:
        layout = self._arrangement(key)
        arrays = spread_out(self.values, layout)
        return self._run_at_once(key, arrays, donated, layout.outputs)

    def _run_partitioned(self, key: Any, donated: tuple[int, ...], mesh: Any) -> list[Any]:
        arrays, shardings = onto(mesh, self.values)
        return self._run_at_once((*key, mesh, shardings), arrays, donated, None)

    def _run_at_once(
        self, key: Any, arrays: list[Any], donated: tuple[int, ...], shardings: Any
    ) -> list[Any]:
        """Run where there is no interpreter: compiled whole, or kernel by kernel."""
        self.values.clear()
        if settings.eager:
            return self._run_nodes(arrays, shardings)
        is_new = False
        with _cache_lock:
            program = _cache.find(key)
            if program is not None:
                _policy().hit()
            elif _policy().compile_at_once(key):
                program = compile_program(self.entries, self.live, donated, shardings)
                _cache.add(key, program)
                is_new = True
        if program is None:
            return self._run_nodes(arrays, shardings)
        if not is_new:
            return call_program(program, arrays, donated, self.numbers)
        with tracing:
            return call_program(program, arrays, donated, self.numbers)

    def _arrangement(self, key: Any) -> Arrangement:
        """Where inputs and outputs of a program over several devices lie."""
        with _cache_lock:
            found: Any = _arrangements.find(key)
            if found is None:
                found = Arrangement(steps(self.entries), self.live, len(self.values), self.mesh)
                _arrangements.add(key, found)
        return found  # type: ignore[no-any-return]

    def _run_nodes(self, arrays: list[Any], shardings: Any) -> list[Any]:
        results = run_nodes(self.entries, self.live, arrays, self.numbers)
        return results if shardings is None else jax.device_put(results, shardings)

    def _donations(self, in_avals: tuple[Any, ...]) -> tuple[int, ...]:
        """Inputs that only this trace still holds and whose buffer an output can take over."""
        wanted: dict[Any, int] = {}
        for v in self.alive:
            wanted[v.aval] = wanted.get(v.aval, 0) + 1
        donated = []
        for position, v in enumerate(self.values):
            aval = in_avals[position]
            # References to v: the list, the loop variable, the argument of getrefcount. The tuple
            # that `enumerate` uses again is a fourth, so that nothing is donated as it stands;
            # before that changes, arrays that `Tensor.jax()` gave out must be known here.
            if (
                aval.nbytes >= _DONATE_FROM
                and wanted.get(aval, 0) > 0
                and sys.getrefcount(v) == 3
                and sys.getrefcount(v.array) == 2
            ):
                wanted[aval] -= 1
                donated.append(position)
        return tuple(donated)


def place(values: Sequence[Value], jdev: Any) -> list[Any]:
    """Host inputs go to the device once; whoever else holds the value profits later.

    A single number on the CPU goes as it is: the call copies it for less than `device_put`.
    """
    arrays = []
    on_cpu = jdev.platform == "cpu" and not process.spmd_used
    for v in values:
        array = v.array
        if type(array) is np.ndarray:
            owned = array if array.base is None or _is_private(array) else array.copy()
            if on_cpu and owned.ndim == 0:
                array = owned
            else:
                array = v.array = jax.device_put(owned, jdev)
        elif process.spmd_used:
            array = on_one(array, jdev)  # the value itself stays where the mesh left it
        arrays.append(array)
    return arrays


def fail(
    error: Exception,
    alive: Sequence[Value],
    entries: Sequence[Any],
    sites: Sequence[Any],
    dev: device,
) -> NoReturn:
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
        return [k for key in _cache.programs for k in key[0] if isinstance(k, Kernel)]


room.holders.append(_kernels_of_programs)


def may_use(cached: Cached) -> bool:
    """Whether a program that its user holds on to is still the one that a flush would find."""
    return cached.is_kept and not settings.eager and _policy().number in cached.owners


def note_use(cached: Cached, nodes: int, reason: str) -> None:
    """Count such a use as the flush that it stands for."""
    note_flush(reason, nodes)
    stats.programs_run += 1
    cached.structure.hot += 1
    _policy().hit()


def touch(key: Any) -> None:
    """Let a program that is in use stay longest."""
    with _cache_lock:
        _cache.entry(key)


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


_DONATE_FROM = 1 << 12  # bytes; below this the bookkeeping costs more than the buffer


def current_trace(dev: device) -> Trace:
    """This thread's trace for `dev`."""
    found = state.traces.get(dev)
    if found is None:
        found = state.traces[dev] = Trace(dev)
    return found


def _record(kernel: Kernel, operands: Sequence[Any], depth: int = 2) -> list[Value]:
    """Record one application of `kernel` (`depth`: see `Trace.record`)."""
    dev = None
    for v in operands:
        if type(v) is Value:
            dev = v.device
            if dev is not CPU or v.aval.ndim:  # a 0-dim CPU value joins any device
                break
    trace = state.traces.get(dev)
    if trace is None:
        if dev is None:
            raise RuntimeError(f"{kernel.name}: no tensor operand tells the device")
        if dev is META:
            _check_meta(operands)
            return [_meta_value(a) for a in kernel.out_avals]
        trace = current_trace(dev)
    return trace.record(kernel, operands, depth)


# In C where torchish-cpu is installed: the same for what is plain, and this function for the rest.
record = _record
if recorder is not None:
    recorder.use_traces(
        {
            "Value": Value, "Trace": Trace, "Kernel": Kernel, "Aval": Aval, "state": state,
            "settings": settings, "own_files": _own, "cpu": CPU, "record": _record,
            "FLOATS": FLOATS, "INTS": INTS, "COMPLEXES": COMPLEXES,
        }
    )  # fmt: skip
    record = recorder.record


def record_on(dev: device, kernel: Kernel, operands: Sequence[Any]) -> list[Value]:
    """Record a kernel without tensor operands (a creation) on `dev`."""
    if dev is META:
        return [_meta_value(a) for a in kernel.out_avals]
    return current_trace(dev).record(kernel, operands)


def record_spmd(kernel: MeshKernel, operands: Sequence[Any], home: device) -> list[Value]:
    """Record a kernel that spans several devices in the trace of its home device."""
    trace = current_trace(home)
    if trace.mesh is not None and trace.mesh != kernel.mesh:
        trace.flush("the next operator runs on other devices")
    values = trace.record(kernel, operands)
    trace.mesh = kernel.mesh
    return values


def _check_meta(operands: Sequence[Any]) -> None:
    """Numbers of the CPU may join meta tensors, indices may too: nothing looks at them."""
    for v in operands:
        if type(v) is Value and v.device is not META and v.aval.ndim:
            if v.aval.dtype.is_floating_point or v.aval.dtype.is_complex:
                raise RuntimeError(
                    f"Tensor on device {v.device} is not on the expected device meta!"
                )


def _meta_value(aval: Any) -> Value:
    return Value(None, aval, META)


def forget_programs() -> None:
    """Drop every compiled program: what lowering depends on has changed."""
    flush_all("programs are dropped")
    with _cache_lock:
        _cache.clear()


def flush_all(reason: str = "asked for") -> None:
    """Run everything that is pending in this thread."""
    for trace in list(state.traces.values()):
        trace.flush(reason)


def flush_point(reason: str = "a step ends") -> None:
    """A boundary that comes at the same place in every iteration (step, next batch)."""
    flush_all(reason)
    run_checks()


@before_fork
def _finish_recorded() -> None:
    """What this thread has recorded runs before its process forks, once for all children."""
    flush_all("the process forks")
