"""Watching one call of a compiled function, to know what it did.

The call runs as always, its operators in one trace. What comes in and goes out of the trace is
matched with what holds it: arguments, parameters, gradients, state of optimizers, random draws.
Observing changes nothing; whatever cannot be matched is a reason (`Impure`) not to replay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._autograd.capture import Capture
from .._autograd.nodes import AccumulateGrad, Node, OpNode
from .._autograd.tensor_base import TensorBase
from .._basics.state import process, state
from .._core.checks import run_checks
from .._core.trace import flush_all
from .._core.values import Value, host_value
from ..utils import _pytree as pytree
from .guards import World
from .purity import Impure

STEP_ENDS = "a step ends"
_SIMPLE = (int, float, complex, str, bytes, bool, type(None))


@dataclass
class Seen:
    """What one observed call did."""

    world: World
    entries: tuple[Any, ...]
    numbers: tuple[list[float], list[int], list[complex]]
    sites: list[Any]
    sources: list[tuple[Any, ...]]
    writes: list[tuple[Any, ...]]  # what holds a result, and its slot
    counters: list[tuple[Any, Any, Any]]  # storage, the number before and after
    draws: list[tuple[Callable[[], Any], Any]]
    checks: list[Any]  # of numbers at hand
    flags: list[Any]  # of numbers that the trace computes: slot, places of the numbers, error
    results: Any
    ended: bool


class Observation(Capture):
    """Watches one call: a trace of its own, on the real tensors, that is run at its end."""

    def __init__(self, dev: Any, world: World, leaves: Sequence[Any]) -> None:
        super().__init__(dev, "a compiled call")
        self.broken = False
        self.ended = False  # whether a step ended: errors on the device are looked for then
        self.world, self.leaves = world, leaves
        self.reason: str | None = None
        self.drawings: dict[int, int] = {}
        self.draws: list[tuple[Callable[[], Any], Any]] = []
        self.snapshots: dict[int, Any] = {}
        self.checked: list[Any] = []
        self.flags: list[Any] = []
        self.read: list[Value] = []
        self.kept: list[Any] = []
        self.before: dict[int, tuple[Any, ...]] = {}
        for k, x in enumerate(leaves):
            if isinstance(x, TensorBase):
                x._memo = None
                self._hold(x, ("arg", k))
        for tensor, storage, _, _ in world.tensors:
            tensor._memo = None
            self._hold(tensor, ("held", storage))
            if tensor._grad is not None:
                self._hold(tensor._grad, ("grad", tensor))
        self.values = {id(s): s._value for _, s, _, _ in world.tensors}
        self.versions = {id(s): _version(s) for _, s, _, _ in world.tensors}
        self.grads = {id(t): t._grad for t, _, _, _ in world.tensors}
        self.modes = _modes()

    def _hold(self, tensor: Any, place: tuple[Any, ...]) -> None:
        value = tensor._storage._value
        self.kept.append(value)
        self.before.setdefault(id(value), place)

    # --- while it runs ---------------------------------------------------------------------------

    def flush(self, reason: str = "asked for") -> None:
        """Run what is pending; before the end that means that Python asked for a number."""
        if reason == STEP_ENDS:
            self.ended = True
            return
        self.broken = True
        super().flush(reason)

    def finish(self) -> None:
        """Run everything at the end of the call."""
        super().flush("a compiled call ends")
        if self.ended:
            run_checks()

    def drawn(self, make: Callable[[], Any], aval: Any) -> Value:
        """A random draw: done again at each replay."""
        value = host_value(make())
        self.kept.append(value)
        self.drawings[id(value)] = len(self.draws)
        self.draws.append((make, aval))
        return value

    def note_snapshot(self, storage: Any, value: Value) -> None:
        """Memory that numpy shares was read."""
        self.kept.append(value)
        place = next((("arg", k) for k, x in enumerate(self.leaves)
                      if isinstance(x, TensorBase) and x._storage is storage),
                     ("held", storage))  # fmt: skip
        self.snapshots[id(value)] = place

    def note_read(self, value: Value) -> None:
        """Somebody looks at numbers that are at hand."""
        self.read.append(value)

    def note_check(self, values: Any, wrong: Any, numbers: Any, error: Any) -> list[Any]:
        """Numbers at hand are checked: done again at each replay. Gives their arrays."""
        self.checked.append((list(values), wrong, tuple(numbers), error))
        asking, state.capture = state.capture, None
        try:
            return [v.host() for v in values]
        finally:
            state.capture = asking

    def note_flag(self, flag: Value, values: Any, error: Any) -> None:
        """Numbers that are yet to be computed will be checked."""
        self.flags.append((flag, list(values), error))

    def run(self, fn: Callable[[], Any]) -> tuple[Any, Seen | None]:
        """Run the call; also what it did, if that can be said."""
        flush_all("a compiled call begins")
        checks = len(state.checks)
        try:
            with self.recording():
                result = fn()
        except BaseException:
            self.finish()
            raise
        seen = None
        try:
            if self.broken:
                raise Impure("Python asked for the value of a tensor")
            if len(state.checks) - checks != len(self.flags):
                raise Impure("it leaves checks for later")
            if _modes() != self.modes:
                raise Impure("it changes a mode")
            seen = self._seen(result)
        except Impure as impure:
            self.reason = str(impure)
        finally:
            self.finish()
        return result, seen

    # --- afterwards ------------------------------------------------------------------------------

    def _seen(self, result: Any) -> Seen:
        if self.world.aliases(self.leaves):
            raise Impure("an argument lies in the memory of a tensor that it reaches otherwise")
        if not self.world.is_untouched():
            raise Impure("it changes the state that it depends on")
        alive = {id(v): v for v in (r() for r in self.outs) if v is not None}
        holders = _Holders(self)
        counters = holders.state()
        leaves, spec = pytree.tree_flatten(result)
        results = [holders.result(k, x) for k, x in enumerate(leaves)]
        flags = [holders.flag(*f) for f in self.flags]
        lost = set(alive) - holders.known
        if lost:
            raise Impure("something outside of its reach keeps what it made")
        sources = [self.source(v) for v in self.externals]
        for value in self.read:
            place = self.before.get(id(value))
            if place is None or place[0] != "held" or value.aval.ndim:
                raise Impure("Python asked for the value of a tensor")
        checks = [
            ([self.source(v) for v in values], wrong, numbers, error)
            for values, wrong, numbers, error in self.checked
        ]
        return Seen(
            self.world, tuple(self.entries), (self.floats, self.ints, self.complexes),
            self.sites, sources, holders.writes, counters, self.draws, checks, flags,
            (spec, results), self.ended,
        )  # fmt: skip

    def source(self, value: Value) -> tuple[Any, ...]:
        """Where an input of the trace came from. Raises: Impure."""
        found = self.before.get(id(value)) or self.snapshots.get(id(value))
        if found is not None:
            return found
        if id(value) in self.drawings:
            return ("draw", self.drawings[id(value)])
        if value.array is None:
            raise Impure("it takes what another program has yet to compute")
        return ("constant", value)


class _Holders:
    """Who holds the results of an observed trace."""

    def __init__(self, seen: Observation) -> None:
        self.seen = seen
        self.known: set[int] = set()
        self.writes: list[tuple[Any, ...]] = []
        after = World(seen.world.code)
        after.seen = {}
        for roots in seen.world.roots:
            after.look(roots)
        fresh = {id(t) for t, *_ in after.tensors} - {id(t) for t, *_ in seen.world.tensors}
        if fresh:
            raise Impure("it made state (the next call has it)")

    def _made(self, value: Value) -> bool:
        return value.trace is self.seen

    def state(self) -> list[tuple[Any, Any, Any]]:
        """Note what was written; returns the counters: numbers that Python keeps."""
        counters = []
        for k, x in enumerate(self.seen.leaves):
            if isinstance(x, TensorBase):
                self._memo(x)
                self._written(("arg", k), x._storage)
        for tensor, storage, _, _ in self.seen.world.tensors:
            self._memo(tensor)
            if tensor._storage is not storage:
                raise Impure("it gives a tensor other memory")
            old, new = self.seen.values[id(storage)], storage._value
            if new is not old and not self._made(new):
                if new.aval.ndim or type(new.array) is not np.ndarray:
                    raise Impure("it writes data from outside into its state")
                counters.append((storage, old.array, new.array))
            else:
                self._written(("held", storage), storage)
            self._gradient(tensor)
        return counters

    def _written(self, place: tuple[Any, ...], storage: Any) -> None:
        value = storage._value
        if self._made(value):
            if storage.host is not None:
                raise Impure("it writes to memory that numpy shares")
            self.known.add(id(value))
            if all(w[0] != place for w in self.writes):
                count = _version(storage) - self.seen.versions.get(id(storage), 0)
                self.writes.append((place, value.slot, count if place[0] == "held" else 1))

    def _memo(self, tensor: Any) -> None:
        if tensor._memo is not None:
            self.known.add(id(tensor._memo))

    def _gradient(self, tensor: Any) -> None:
        grad, before = tensor._grad, self.seen.grads[id(tensor)]
        if grad is None:
            if before is not None:
                self.writes.append((("nograd", tensor), -1, 0))
            return
        self._memo(grad)
        if not self._made(grad._storage._value):
            if grad is not before:
                raise Impure("a gradient is no result of it")
            return
        if grad._layout is not None or grad._grad_fn is not None:
            raise Impure("a gradient is a view, or has a history")
        self.known.add(id(grad._storage._value))
        kind = "grad" if grad is before else "newgrad"
        self.writes.append(((kind, tensor, grad._storage.strides), grad._storage._value.slot, 1))

    def flag(self, flag: Value, values: list[Value], error: Any) -> Any:
        """A check that the trace computes, and where the numbers are that its error quotes."""
        places = []
        for v in values:
            self.known.add(id(v))
            places.append(("slot", v.slot) if self._made(v) else self.seen.source(v))
        self.known.add(id(flag))
        return flag.slot, tuple(places), error

    def result(self, number: int, x: Any) -> Any:
        """How a leaf of the result is made again."""
        if not isinstance(x, TensorBase):
            if not isinstance(x, _SIMPLE):
                raise Impure(f"it returns a {type(x).__name__}")
            return ("static", x)
        for k, leaf in enumerate(self.seen.leaves):
            if leaf is x:
                return ("arg", k)
        if id(x) in self.seen.world.seen:
            return ("object", x)
        self._memo(x)
        value = x._storage._value
        if not self._made(value) or x._layout is not None or x._base is not None:
            raise Impure("it returns a view, or what it did not compute")
        if type(x) is not process.tensor_class or x._requires_grad:
            raise Impure("it returns a tensor of another kind")
        if x._grad_fn is not None and not _is_spent(x._grad_fn):
            raise Impure(LIVE)
        self.known.add(id(value))
        name = None if x._grad_fn is None else type(x._grad_fn).__name__
        return ("new", value.slot, x._storage.strides, name)


LIVE = "its result has a history that backward may still go through"


def _is_spent(node: Node) -> bool:
    """Whether a graph has been used up by a backward pass."""
    stack, seen = [node], set()
    while stack:
        at = stack.pop()
        if at in seen or isinstance(at, AccumulateGrad):
            continue
        seen.add(at)
        if isinstance(at, OpNode) and at.saved is None:
            return True
        stack.extend(e[0] for e in at.edges if e is not None)
    return False


def _version(storage: Any) -> int:
    counter = storage.counter
    return int(storage.version if counter is None else counter.version)


def _modes() -> tuple[Any, ...]:
    return (
        state.grad_enabled, state.inference, state.autocast, process.default_dtype,
        process.default_device, tuple(state.device_stack), state.anomaly, state.overriding_off,
    )  # fmt: skip
