"""A function mapped over samples or replicas: one kernel of what was captured, and its history.

The user's Python runs once for each kind of replica (a *lane*: all replicas with equal slices are
one lane, a shorter last slice is another; the samples of `vmap` are one lane). `emit` turns what
the lanes recorded into one kernel of the thread's trace, wrapped by `jax.vmap` or `shard_map`.
`backward` continues the recording with the engine's own autograd, so hooks, `detach`, `no_grad` and
`autograd.Function` inside mean what they always mean, and what it recorded is emitted in turn.

Invariant: the key of a kernel holds structure only, so a call that repeats compiles nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._autograd.capture import BlindCapture, Body, DataDependent
from .._autograd.gradients import as_tensor
from .._autograd.nodes import FREED, Edge, Node, Var, next_sequence, node_class
from .._autograd.subgraph import Entry, borders, gradients
from .._basics.memo import Memo
from .._core.checks import defer_check
from .._core.kernels import Kernel
from .._core.values import Aval, Value

_KERNELS: Memo[Kernel] = Memo(1024)

# How the gradient of an operand is joined, and how the cotangent of a result is handed out.
BACK = {"split": "joined", "row": "stacked", "first": "first", "shared": "sum"}
FORTH = {"joined": "split", "stacked": "row", "first": "first", "sum": "shared"}


@dataclass
class Operand:
    """A value from outside and how lanes see it.

    kind: "shared" (all of it), "split" (a slice along `dim`), "row" (one index of `dim`, which
    goes), "own" (what this device exported earlier), "first" (zeros except for the first one).
    `avals` is what it looks like in each lane.
    """

    kind: str
    dim: int
    value: Value
    avals: tuple[Aval, ...]

    def spec(self) -> Any:
        """Everything about it but its value."""
        return (self.kind, self.dim, self.value.aval, self.avals)


@dataclass
class Result:
    """A value of every lane and how it leaves.

    kind: "joined" (slices along `dim`), "stacked" (a new `dim`), "sum" over all, "first" one's,
    "any" of booleans.
    """

    kind: str
    dim: int
    values: list[Value | None]
    aval: Aval | None = None


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
class Piece:
    """What one lane does in one kernel."""

    body: Body
    takes: tuple[int, ...]  # operands of the kernel that are the body's inputs and numbers
    ends: tuple[int | None, ...]  # of each result, which of the body's
    exported: tuple[Aval, ...]  # further results of the body that this lane will want again

    def run(self, arrays: Sequence[Any], run: Any = None) -> tuple[list[Any], list[Any]]:
        """The results (None where this lane has none), and what is exported."""
        outs = self.body.of_operands([arrays[p] for p in self.takes], run)
        split = len(outs) - len(self.exported)
        return [None if k is None else outs[k] for k in self.ends], outs[split:]

    def key(self) -> Any:
        """Its structure."""
        return self.body, self.takes, self.ends


class MappedCall:
    """One call of a mapped function with everything that its backward passes add to it."""

    def __init__(self, lanes: Sequence[BlindCapture]) -> None:
        self.lanes = list(lanes)
        self.inputs: list[Input] = []
        self.start = next_sequence()  # older grad nodes are not of this call

    # --- what each kind of call says -------------------------------------------------------------

    def make_kernel(
        self, pieces: Sequence[Piece], specs: Sequence[Any], results: Sequence[Any]
    ) -> Kernel:
        """The kernel of what the lanes do; `results` are (kind, dim, the lanes' avals)."""
        raise NotImplementedError

    def kernel_key(self) -> Any:
        """What `make_kernel` looks at besides its arguments."""
        raise NotImplementedError

    def apply(self, kernel: Kernel, operands: Sequence[Any]) -> list[Value]:
        """Record the kernel outside."""
        raise NotImplementedError

    def since(self, lane: BlindCapture) -> tuple[int, int]:
        """Entries and results of a lane that an earlier kernel has computed."""
        return (0, 0)

    def to_export(self, lane: BlindCapture) -> list[int]:
        """Slots of a lane's new results that it will want again."""
        return []

    def exports(self, values: Sequence[Value], slots: Sequence[Sequence[int]]) -> None:
        """Take over what a kernel exported: the values of these slots of the lanes, in order."""

    def earlier(self, lane: BlindCapture, slot: int) -> Operand:
        """What stands for a result of a lane that an earlier kernel has computed."""
        raise NotImplementedError

    def before_backward(self, operands: Sequence[Any]) -> None:
        """Raise where an operand of a backward pass was written to since the call."""

    def mark(self) -> list[tuple[int, ...]]:
        """How much is recorded now; see `forget`."""
        return []

    def forget(self, mark: Sequence[tuple[int, ...]]) -> None:
        """Drop what a backward pass recorded that nothing refers to any more."""

    def backward_name(self, name: str) -> str:
        """What the history of the gradients is called that a node `name` gives."""
        return f"{name}Backward"

    @contextmanager
    def recording(self, number: int) -> Iterator[None]:
        """Operators are recorded in a lane in a block."""
        with self.lanes[number].recording():
            yield

    # --- operands --------------------------------------------------------------------------------

    def enter(
        self, value: Value, outer: Edge | None, kind: str, dim: int, avals: Sequence[Aval],
        zeros: bool = False,
    ) -> list[Any]:  # fmt: skip
        """A tensor of each lane that stands for a value (its part, its copy) of history `outer`."""
        made, way = self._stand_ins(value, outer, kind, dim, avals)
        if way is not None:
            way.zeros = zeros
            self.inputs.append(way)
        return [as_tensor(var) for var in made]

    def _stand_ins(
        self, value: Value, outer: Edge | None, kind: str, dim: int, avals: Sequence[Aval]
    ) -> tuple[list[Var], Input | None]:
        operand = Operand(kind, dim, value, tuple(avals))
        moves = outer is not None and value.aval.dtype.category >= 2
        made: list[Var] = [
            (lane.placeholder(aval, operand), (Entry(None, aval), 0) if moves else None)
            for lane, aval in zip(self.lanes, avals, strict=True)
        ]
        if outer is None or not moves:
            return made, None
        return made, Input(kind, dim, outer, [edge for _, edge in made], value.aval)

    # --- kernels ---------------------------------------------------------------------------------

    def emit(self, results: list[Result], check: bool = False) -> list[Value]:
        """Record everything new as one kernel; returns the results' values (`results` is emptied).

        `check` looks at what a backward pass takes (`before_backward`).
        """
        errors = self._take_checks(results)
        slots = [
            [None if v is None else lane.slot(v) for v in (r.values[k] for r in results)]
            for k, lane in enumerate(self.lanes)
        ]
        described = [_described(r) for r in results]
        results.clear()  # what only they held is not wanted again
        operands = _Operands()
        exported = [self.to_export(lane) for lane in self.lanes]
        pieces = [
            self._piece(lane, ends, more, operands)
            for lane, ends, more in zip(self.lanes, slots, exported, strict=True)
        ]
        specs, shape = tuple(operands.specs), tuple(described)
        key = (type(self), self.kernel_key(), specs, shape, *[p.key() for p in pieces])
        kernel = _KERNELS.find(key, lambda: self.make_kernel(pieces, specs, shape))
        if check:
            self.before_backward(operands.values)
        values = self.apply(kernel, operands.values)
        count = len(described)
        self.exports(values[count:], exported)
        wanted = count - len(errors)
        for flag, error in zip(values[wanted:count], errors, strict=True):
            defer_check(flag, error)
        return values[:wanted]

    def _take_checks(self, results: list[Result]) -> list[Callable[[], Exception]]:
        """Checks that the lanes put aside: flags among the results, and their errors."""
        errors = []
        for number in range(max(len(lane.checks) for lane in self.lanes)):
            found = [lane.checks[number : number + 1] for lane in self.lanes]
            errors.append(_late(next(e for pair in found for _, e in pair), self.lanes[0].name))
            flags = [pair[0][0] if pair else None for pair in found]
            results.append(Result("any", 0, flags))
        for lane in self.lanes:
            lane.checks.clear()
        return errors

    def _piece(
        self,
        lane: BlindCapture,
        ends: Sequence[int | None],
        more: Sequence[int],
        operands: _Operands,
    ) -> Piece:
        given = [s for s in ends if s is not None]
        body = lane.body([*given, *more], self.since(lane))
        takes = tuple(operands.place(self._operand(lane, s)) for s in body.inputs)
        takes += tuple(operands.place(lane.number(s)) for s in body.numbers)
        order = iter(range(len(given)))
        places = tuple(None if s is None else next(order) for s in ends)
        return Piece(body, takes, places, tuple(out_aval(lane, s) for s in more))

    def _operand(self, lane: BlindCapture, slot: int) -> Operand:
        """What a slot of a lane stands for outside of it."""
        if slot >= 0:
            return self.earlier(lane, slot)
        found: Operand | None = lane.sources.get(slot)
        if found is not None:
            return found
        value = lane.captured(slot)
        return Operand("shared", 0, value, (value.aval,) * len(self.lanes))

    # --- history ---------------------------------------------------------------------------------

    def link(
        self,
        results: Sequence[tuple[str, int, Sequence[Edge | None]]],
        values: Sequence[Value],
        name: str,
        inputs: Sequence[Input] | None = None,
    ) -> list[Edge | None]:
        """Edges of the results' history outside; (kind, dim, each lane's edge) for each of them."""
        edges = [e for _, _, inner in results for e in inner]
        if all(e is None for e in edges):
            return [None] * len(results)
        ways = list(self.inputs if inputs is None else inputs)
        known = {e for way in ways for e in way.inner if e is not None}
        # Tensors that were taken from outside without being given are inputs as well.
        for edge in borders(edges, self.start):
            if edge not in known:
                aval = edge[0].out_avals[edge[1]]
                ways.append(Input("shared", 0, edge, [edge] * len(self.lanes), aval))
        if not ways:
            return [None] * len(results)
        avals = [v.aval for v in values]
        node = node_class(name, MappedBackward)(self, ways, list(results), avals)
        return [
            (node, k) if any(e is not None for e in inner) else None
            for k, (_, _, inner) in enumerate(results)
        ]


class MappedBackward(Node):
    """History of a mapped call: the backward of its lanes, as one more kernel of it."""

    def __init__(
        self, call: MappedCall, inputs: list[Input], results: list[Any], avals: Sequence[Aval]
    ) -> None:
        super().__init__([i.outer for i in inputs], avals)
        self.call: MappedCall | None = call
        self.inputs = inputs
        self.results = results

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Gradients of the call's inputs, summed where all lanes used one."""
        call = self.call
        if call is None:
            raise RuntimeError(FREED)
        mark, inputs = call.mark(), list(self.inputs)
        cotangents = self._cotangents(call, grads, graph, inputs)
        lanes: list[list[Var | None]] = []
        for k in range(len(call.lanes)):
            ends = [edges[k] for _, _, edges in self.results]
            roots = list(zip(ends, cotangents[k], strict=True))
            # No further than the inputs: one of them may have been computed from another, outside.
            with call.recording(k):
                lanes.append(gradients(roots, [i.inner[k] for i in self.inputs], graph=graph))
            del roots
        del cotangents
        places, results, edges = self._found(lanes)
        del lanes
        made: list[Var | None] = [None] * len(self.inputs)
        if not results:
            return made
        outs = call.emit(results, check=True)
        after: list[Edge | None] = [None] * len(outs)
        if graph:
            after = call.link(edges, outs, call.backward_name(self.name()), inputs)
        else:
            call.forget(mark)
        for p, value, edge in zip(places, outs, after, strict=True):
            made[p] = (value, edge)
        return made

    def _found(self, lanes: Sequence[Sequence[Var | None]]) -> tuple[list[int], list[Any], Any]:
        """Which inputs have gradients, these as results of the lanes, and their edges."""
        places, results, edges = [], [], []
        for p, way in enumerate(self.inputs):
            found = [lane[p] for lane in lanes]
            if all(f is None for f in found) and not way.zeros:
                continue
            kind = BACK[way.kind]
            places.append(p)
            values = [None if f is None else f[0] for f in found]
            results.append(Result(kind, way.dim, values, way.aval))
            edges.append((kind, way.dim, [None if f is None else f[1] for f in found]))
        return places, results, edges

    def _cotangents(
        self, call: MappedCall, grads: list[Var | None], graph: bool, inputs: list[Input]
    ) -> list[list[Var | None]]:
        """The gradients of each lane's results; those with a history are inputs as well."""
        found: list[list[Var | None]] = [[] for _ in call.lanes]
        for (kind, dim, edges), grad in zip(self.results, grads, strict=True):
            if grad is None or all(e is None for e in edges):
                for row in found:
                    row.append(None)
                continue
            avals = [None if e is None else e[0].out_avals[e[1]] for e in edges]
            known = next(a for a in avals if a is not None)
            value, outer = grad
            made, way = call._stand_ins(
                value, outer if graph else None, FORTH[kind], dim, [a or known for a in avals]
            )
            for row, var in zip(found, made, strict=True):
                row.append(var)
            if way is not None:
                inputs.append(way)
        return found

    def release(self) -> None:
        """Free what the call kept for its backward."""
        self.call = None


class _Operands:
    """The operands of one kernel, each once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.specs: list[Any] = []
        self._at: dict[Any, int] = {}

    def place(self, operand: Any) -> int:
        """Position of an operand (an Operand, or a number)."""
        if not isinstance(operand, Operand):
            self.values.append(operand)
            self.specs.append(type(operand))
            return len(self.values) - 1
        identity = (id(operand.value), operand.kind, operand.dim, operand.avals)
        found = self._at.get(identity)
        if found is None:
            found = self._at[identity] = len(self.values)
            self.values.append(operand.value)
            self.specs.append(operand.spec())
        return found


def _described(result: Result) -> tuple[str, int, tuple[Aval | None, ...]]:
    avals = tuple(None if v is None else v.aval for v in result.values)
    if all(a is None for a in avals):
        avals = (result.aval,) * len(avals)
    return result.kind, result.dim, avals


def out_aval(lane: BlindCapture, slot: int) -> Aval:
    """The aval of a result that something still refers to."""
    value = lane.outs[slot]()
    assert value is not None
    return value.aval  # type: ignore[no-any-return]


def _late(error: Callable[[], Exception], name: str) -> Callable[[], Exception]:
    """A deferred check's error, also when its text would quote a value that only lanes have."""

    def make() -> Exception:
        try:
            return error()
        except (DataDependent, RuntimeError):
            return IndexError(f"index out of range in {name}")

    return make


__all__ = ["Input", "MappedBackward", "MappedCall", "Operand", "Piece", "Result", "out_aval"]
