"""Recording: one trace a thread and device, flushed into one program (`running.py`).

Invariants: a trace holds its external inputs strongly and its own outputs weakly, so an output that
nobody refers to any more never leaves XLA; nodes refer to values by slot number, so recording makes
no reference cycles; the structure (`entries`) holds kernels and slots only, never numbers.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._basics.devices import CPU, META, device
from .._basics.forking import before_fork, give_way, new_fork_lock
from .._basics.memory import check_size
from .._basics.recorder import recorder
from .._basics.settings import settings
from .._basics.state import state
from .checks import run_checks
from .graph import COMPLEXES, FLOATS, INTS
from .kernels import Kernel
from .running import Taken, drop_programs, forecasters, note_flush
from .spmd import MeshKernel
from .values import Aval, Value

_PACKAGE = __file__.rsplit("_core", 1)[0]
FULL = "the trace reached its limit"
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
        "__weakref__", "ahead", "busy", "bytes", "complexes", "device", "entries", "ext_index",
        "externals", "floats", "ints", "lock", "mesh", "outs", "sites", "watch",
    )  # fmt: skip

    # Told of tensors that are cut from their history (a region that JAX differentiates wants to
    # know: what it recorded alone does not show it).
    on_cut: Any = None

    def __init__(self, dev: device) -> None:
        self.device = dev
        self.lock = new_fork_lock()
        # Whether what it held is being run: until that ends, its values say that they wait here.
        self.busy = False
        # Who runs programs before they are asked for, if anybody (`_ahead`): told once so many
        # inputs are known (`watch`).
        self.ahead: Any = None
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
        self.watch = sys.maxsize

    def record(self, kernel: Kernel, operands: Sequence[Any], depth: int = 2) -> list[Value]:
        """Append one node; returns its pending outputs.

        `depth`: how many frames above this one the user's may be, at the least.
        """
        with self.lock:
            if len(self.externals) >= self.watch:
                self.ahead.look()
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
            if self.ahead is not None:
                self.ahead.stop()
        return taken


def current_trace(dev: device) -> Trace:
    """This thread's trace for `dev`."""
    found = state.traces.get(dev)
    if found is None:
        found = state.traces[dev] = Trace(dev)
        found.ahead = next((make(found) for make in forecasters), None)
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
    trace = current_trace(dev)
    made = recorder.record_in(trace, kernel) if recorder is not None and not operands else None
    return trace.record(kernel, operands) if made is None else made


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
    drop_programs()


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
