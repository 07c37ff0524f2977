"""Regions: what one replica does, recorded apart and run on several devices as one SPMD kernel.

A parallel call runs the user's Python once for each kind of replica (a *lane*: all replicas with
equal slices are one lane, a shorter last slice is another). The operators are recorded in a Region
instead of the thread's trace, on placeholders instead of data. `emit` then turns what was recorded
since the last `emit` into one MeshKernel of the thread's trace. `backward` continues the recording
with the engine's own autograd, so hooks, `detach`, `no_grad` and `autograd.Function` inside a
replica mean what they always mean.

Invariants: a Region never runs by itself, reading one of its values raises `DataDependent`; a
value of a Region that is still referred to after `emit` was exported by it, stacked over devices;
the key of a MeshKernel holds structure only, so a step that repeats compiles nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .._autograd.forward import dual_level
from .._autograd.gradients import as_tensor
from .._autograd.nodes import FREED, Edge, Node, SavedTensor, Var, next_sequence, node_class
from .._autograd.subgraph import borders, gradients
from .._autograd.tensor_base import TensorState, from_value
from .._basics.devices import device
from .._basics.errors import not_supported
from .._basics.memo import Memo
from .._basics.state import state
from .._core.graph import COMPLEXES, FLOATS, INTS
from .._core.spmd import MeshKernel, mesh_of
from .._core.trace import Trace, record_spmd
from .._core.values import Aval, Value
from .region_kernel import LanePlan, Operand, Result, make_kernel

_KERNELS: Memo[MeshKernel] = Memo(1024)


class DataDependent(BaseException):
    """A replica asked for a number while it was being recorded.

    Not an Exception, so that no handler in the user's code takes it for an error of its own.
    """


class Region(Trace):
    """The operators of one lane; what comes from outside is an operand of the kernel to be."""

    __slots__ = ()
    private = True  # views of tensors from outside are not memoised here

    def flush(self, reason: str = "asked for") -> None:
        """Refuse: there is no data here.

        Raises: DataDependent.
        """
        raise DataDependent(
            "the forward of a replica needs the value of a tensor, which one program for all "
            f"replicas cannot give ({reason})"
        )

    def _external(self, value: Value, mark: int) -> int:
        if value.device is not self.device:
            try:
                value.read()
                value = self._moved(value)
            except BaseException:
                del self.entries[mark:]
                raise
        slot = -1 - len(self.externals)
        self.ext_index[id(value)] = slot
        self.externals.append(value)
        return slot

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Operators of this thread on the home device are recorded here."""
        before = state.traces.get(self.device)
        state.traces[self.device] = self
        try:
            yield
        finally:
            if before is None:
                del state.traces[self.device]
            else:
                state.traces[self.device] = before


class Outside:
    """Stands in for the trace of placeholders."""

    private = True

    def __init__(self, region: Region) -> None:
        self.flush = region.flush
        self.on_cut = region.on_cut


def in_region(home: device) -> bool:
    """Whether this thread is recording a replica now."""
    return isinstance(state.traces.get(home), Region)


class Boundary(Node):
    """Where gradients leave a region: stands for an input's history outside of it."""

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Nothing lies behind it."""
        return ()


@dataclass
class Input:
    """A differentiable operand of a call: how it is laid out and where its gradient goes."""

    kind: str  # see Operand
    dim: int
    outer: Edge
    inner: list[Edge | None]  # one a lane
    aval: Aval
    zeros: bool = False  # an unreached one gets zeros instead of no gradient


@dataclass
class Lane:
    """Replicas that do the same work: a region and the positions of their devices."""

    region: Region
    positions: tuple[int, ...]
    sources: dict[int, Operand] = field(default_factory=dict)  # by id of the placeholder
    kept: dict[int, Operand] = field(default_factory=dict)  # exported values by slot
    mark: int = 0  # entries that were emitted
    made: int = 0  # outputs of those entries

    def placeholder(self, aval: Aval, operand: Operand) -> Value:
        """A value of this lane that stands for an operand."""
        value = Value(None, aval, self.region.device)
        value.trace = Outside(self.region)  # type: ignore[assignment]
        self.sources[id(value)] = operand
        self.region._external(value, len(self.region.entries))
        return value


class Call:
    """One parallel call with everything that its backward passes add to it."""

    def __init__(self, name: str, devices: Sequence[device], axis: str, counts: Sequence[int]):
        self.name = name
        self.home = devices[0]
        self.mesh = mesh_of(tuple(devices), axis)
        self.axis = axis
        self.count = len(devices)
        self.lanes: list[Lane] = []
        self.inputs: list[Input] = []
        self.saved: dict[int, Any] = {}  # id of an operand's value -> SavedTensor
        self.checks: list[tuple[list[Value | None], Callable[[], Exception]]] = []
        self.start = next_sequence()  # older grad nodes are not of this call
        start = 0
        for n in counts:
            self.lanes.append(Lane(Region(self.home), tuple(range(start, start + n))))
            start += n

    # --- operands ----------------------------------------------------------------------------

    def enter(
        self, tensor: TensorState, kind: str, dim: int, avals: Sequence[Aval], zeros: bool = False
    ) -> list[Any]:
        """A tensor of each lane that stands for `tensor` (its part, its copy)."""
        value = tensor._value()
        operand = Operand(kind, dim, value, tuple(avals))
        edge = tensor._edge() if state.grad_enabled else None
        if state.forward is not None and dual_level(tensor) is not None:
            raise not_supported("tangents in a parallel call", "torch.func.jvp of one replica")
        made = []
        inner: list[Edge | None] = []
        for lane, aval in zip(self.lanes, avals, strict=True):
            inside = from_value(lane.placeholder(aval, operand))
            if edge is not None:
                inside._grad_fn = Boundary((), (aval,))
                inner.append((inside._grad_fn, 0))
            made.append(inside)
        if edge is not None:
            self.saved[id(value)] = SavedTensor(tensor)
            self.inputs.append(Input(kind, dim, edge, inner, tensor._aval, zeros))
        return made

    @contextmanager
    def lane(self, number: int) -> Iterator[None]:
        """Record this lane's operators in a block; its deferred checks are put aside."""
        before = len(state.checks)
        try:
            with self.lanes[number].region.recording():
                yield
            for k, (flag, error) in enumerate(state.checks[before:]):
                if k >= len(self.checks):
                    self.checks.append(([None] * len(self.lanes), _late(error)))
                self.checks[k][0][number] = flag
        finally:
            del state.checks[before:]

    # --- kernels -----------------------------------------------------------------------------

    def emit(self, results: list[Result], check: bool = False) -> list[Value]:
        """Record everything new as one kernel; returns the results' values (`results` is emptied).

        `check` raises torch's error for an operand that was written to since the call.
        """
        flags = [Result("any", 0, list(values)) for values, _ in self.checks]
        errors = [error for _, error in self.checks]
        self.checks.clear()
        results.extend(flags)
        plans, operands, descriptions = self._plans(results)
        del flags
        results.clear()
        key = (self.mesh, self.axis, tuple(operands.descriptions), descriptions, *plans_key(plans))
        for plan, lane in zip(plans, self.lanes, strict=True):
            outs = lane.region.outs
            plan.exported = tuple(k for k in range(lane.made, len(outs)) if outs[k]() is not None)
        key = (*key, tuple(plan.exported for plan in plans))

        def make() -> MeshKernel:
            avals = [
                tuple(_out_aval(lane.region, k) for k in plan.exported)
                for plan, lane in zip(plans, self.lanes, strict=True)
            ]
            return make_kernel(
                self.name, self.mesh, self.axis, self.count, plans, operands.specs, descriptions,
                avals,
            )  # fmt: skip

        kernel = _KERNELS.find(key, make)
        if check:
            self._unchanged(operands.values)
        values = record_spmd(kernel, operands.values, self.home)
        position = len(descriptions)
        for plan, lane in zip(plans, self.lanes, strict=True):
            for slot in plan.exported:
                aval = _out_aval(lane.region, slot)
                lane.kept[slot] = Operand("own", 0, values[position], (aval,) * len(self.lanes))
                position += 1
            lane.mark, lane.made = len(lane.region.entries), len(lane.region.outs)
        wanted = len(descriptions) - len(errors)
        for flag, error in zip(values[wanted : len(descriptions)], errors, strict=True):
            state.checks.append((flag, error))
        return values[:wanted]

    def _plans(self, results: Sequence[Result]) -> Any:
        operands = _Operands()
        plans = []
        for lane in self.lanes:
            region = lane.region
            entries = tuple(region.entries[lane.mark :])
            plan = LanePlan(entries, lane.made, lane.positions)
            for slot in plan.slots():
                plan.sources[slot] = operands.place(_operand(lane, slot, len(self.lanes)))
            plans.append(plan)
        descriptions = []
        for result in results:
            slots: list[int | None] = []
            for lane, plan, value in zip(self.lanes, plans, result.values, strict=True):
                if value is None:
                    slots.append(None)
                    continue
                slot = _slot(lane, value)
                if slot < lane.made and slot not in plan.sources:
                    plan.sources[slot] = operands.place(_operand(lane, slot, len(self.lanes)))
                slots.append(slot)
            avals = tuple(None if v is None else v.aval for v in result.values)
            if all(a is None for a in avals):
                avals = (result.aval,) * len(avals)
            descriptions.append((result.kind, result.dim, tuple(slots), avals))
        return plans, operands, tuple(descriptions)

    def _unchanged(self, values: Sequence[Any]) -> None:
        for v in values:
            saved = self.saved.get(id(v))
            if saved is not None:
                saved.check()

    # --- history -----------------------------------------------------------------------------

    def link(
        self,
        results: Sequence[tuple[str, int, list[Edge | None]]],
        values: Sequence[Value],
        name: str = "GatherBackward",
    ) -> list[Edge | None]:
        """Edges of the results' history outside; (kind, dim, each lane's edge) for each of them."""
        if all(e is None for _, _, edges in results for e in edges):
            return [None] * len(results)
        self._adopt_strangers([e for _, _, edges in results for e in edges])
        if not self.inputs:
            return [None] * len(results)
        node: Any = node_class(name, _ParallelNode)(
            self, list(self.inputs), list(results), [v.aval for v in values]
        )
        return [
            (node, k) if any(e is not None for e in edges) else None
            for k, (_, _, edges) in enumerate(results)
        ]

    def _adopt_strangers(self, edges: Sequence[Edge | None]) -> None:
        """Tensors that replicas took from outside without being given them: inputs as well."""
        known = {e for i in self.inputs for e in i.inner if e is not None}
        for edge in borders(edges, self.start):
            if edge not in known:
                aval = edge[0].out_avals[edge[1]]
                inner: list[Edge | None] = [edge] * len(self.lanes)
                self.inputs.append(Input("shared", 0, edge, inner, aval))


class _ParallelNode(Node):
    """History of a parallel call: its backward is one kernel over the same devices."""

    def __init__(
        self, call: Call, inputs: list[Input], results: list[Any], avals: Sequence[Aval]
    ) -> None:
        super().__init__([i.outer for i in inputs], avals)
        self.call: Call | None = call
        self.inputs = inputs
        self.results = results

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Gradients of the call's inputs, summed over devices where all of them used one."""
        call = self.call
        if call is None:
            raise RuntimeError(FREED)
        cotangents = self._cotangents(call, grads, graph)
        lanes: list[list[Var | None]] = []
        for k in range(len(call.lanes)):
            ends = [edges[k] for _, _, edges in self.results]
            roots = list(zip(ends, cotangents[k], strict=True))
            # No further than the inputs: one of them may have been computed from another, outside.
            with call.lane(k):
                lanes.append(gradients(roots, [i.inner[k] for i in self.inputs], graph=graph))
        kinds = [("sum" if i.kind == "shared" else _BACK[i.kind], i.dim) for i in self.inputs]
        places, results, edges = [], [], []
        found: list[Var | None] = []
        values: list[Value | None] = []
        for p, (i, (kind, dim)) in enumerate(zip(self.inputs, kinds, strict=True)):
            found = [lane[p] for lane in lanes]
            if all(f is None for f in found) and not i.zeros:
                continue
            places.append(p)
            values = [None if f is None else f[0] for f in found]
            results.append(Result(kind, dim, values, i.aval))
            edges.append((kind, dim, [None if f is None else f[1] for f in found]))
        del lanes, found, values, cotangents, roots
        if not results:
            return [None] * len(self.inputs)
        outs = call.emit(results, check=True)
        after: list[Edge | None] = [None] * len(outs)
        if graph:
            after = call.link(edges, outs, self.name() + "Backward")
        made: list[Var | None] = [None] * len(self.inputs)
        for p, value, edge in zip(places, outs, after, strict=True):
            made[p] = (value, edge)
        return made

    def _cotangents(
        self, call: Call, grads: list[Var | None], graph: bool
    ) -> list[list[Var | None]]:
        found: list[list[Var | None]] = [[] for _ in call.lanes]
        for (kind, dim, edges), grad in zip(self.results, grads, strict=True):
            if grad is None:
                for row in found:
                    row.append(None)
                continue
            avals = [None if e is None else e[0].out_avals[e[1]] for e in edges]
            known = next(a for a in avals if a is not None)
            lanes = [a or known for a in avals]
            value, outer = grad
            operand = Operand(_FORTH[kind], dim, value, tuple(lanes))
            inner: list[Edge | None] = []
            for lane, aval, row in zip(call.lanes, lanes, found, strict=True):
                edge: Edge | None = (Boundary((), (aval,)), 0) if graph else None
                row.append((lane.placeholder(aval, operand), edge))
                inner.append(edge)
            if outer is not None:
                call.inputs.append(Input(operand.kind, dim, outer, inner, value.aval))
        return found

    def release(self) -> None:
        """Free what the call kept for its backward."""
        self.call = None


# How the gradient of an operand is joined, and how the cotangent of a result is handed out.
_BACK = {"split": "joined", "row": "stacked", "first": "first", "shared": "sum"}
_FORTH = {"joined": "split", "stacked": "row", "first": "first", "sum": "shared"}


class _Operands:
    """The operands of one kernel, each once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.specs: list[Any] = []
        self.descriptions: list[Any] = []
        self._at: dict[Any, int] = {}

    def place(self, operand: Any) -> int:
        """Position of an operand (an Operand, or a number)."""
        if not isinstance(operand, Operand):
            self.values.append(operand)
            self.specs.append(type(operand))
            self.descriptions.append(type(operand))
            return len(self.values) - 1
        identity = (id(operand.value), operand.kind, operand.dim, operand.avals)
        found = self._at.get(identity)
        if found is None:
            found = self._at[identity] = len(self.values)
            self.values.append(operand.value)
            self.specs.append(operand.spec())
            self.descriptions.append(operand.spec())
        return found


def _operand(lane: Lane, slot: int, lanes: int) -> Any:
    """What a slot of a region stands for outside of it."""
    region = lane.region
    if slot >= COMPLEXES:
        return region.complexes[slot - COMPLEXES]
    if slot >= INTS:
        return int(region.ints[slot - INTS])
    if slot >= FLOATS:
        return region.floats[slot - FLOATS]
    if slot >= 0:
        return lane.kept[slot]
    value = region.externals[-1 - slot]
    found = lane.sources.get(id(value))
    return found if found is not None else Operand("shared", 0, value, (value.aval,) * lanes)


def _slot(lane: Lane, value: Value) -> int:
    if value.trace is lane.region:
        return value.slot
    found = lane.region.ext_index.get(id(value))
    if found is not None:
        return found
    return lane.region._external(value, len(lane.region.entries))


def _out_aval(region: Region, slot: int) -> Aval:
    value = region.outs[slot]()
    assert value is not None
    return value.aval  # type: ignore[no-any-return]


def plans_key(plans: Sequence[LanePlan]) -> tuple[Any, ...]:
    """The structure of what lanes do."""
    return tuple((p.entries, p.base, p.positions, tuple(p.sources.items())) for p in plans)


def _late(error: Callable[[], Exception]) -> Callable[[], Exception]:
    """A deferred check's error, also when its text would quote a value that only replicas have."""

    def make() -> Exception:
        try:
            return error()
        except DataDependent:
            return IndexError("index out of range in a replica of a parallel call")

    return make


__all__ = ["Call", "DataDependent", "Outside", "Region", "Result", "as_tensor", "in_region"]
