"""One sample of a mapped function: what it records, and that mapped over all samples.

Invariant: the function's operators are recorded in a region of their own on placeholders of one
sample; what leaves it does so through one kernel, which depends on structure only, so that a call
that repeats compiles nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from .._autograd.nodes import FREED, Edge, Node, Var, history, next_sequence
from .._autograd.subgraph import Entry, borders, gradients
from .._autograd.tensor_base import from_value
from .._basics.errors import not_supported
from .._basics.memo import Memo
from .._basics.state import state
from .._core.graph import COMPLEXES, FLOATS, INTS, Nodes, evaluate, steps
from .._core.kernels import DrawKernel, Kernel
from .._core.trace import record, record_on
from .._core.values import Aval, Value, aval_of, host_value
from .._parallel.region import DataDependent, Outside, Region

_KERNELS: Memo[Kernel] = Memo(512)

_READS = (
    "vmap: It looks like you're calling .item() on a Tensor, or using a Tensor in some "
    "data-dependent control flow. We don't support vmap over either, please try to rewrite what "
    "you're doing with other operations (torch.where for a choice)."
)
_RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
)


class SampleRegion(Region):
    """The operators of one sample; once closed, its values are of no use outside."""

    __slots__ = ("closed",)

    def __init__(self, dev: Any) -> None:
        super().__init__(dev)
        self.closed = False

    def flush(self, reason: str = "asked for") -> None:
        """Refuse.

        Raises: DataDependent inside, RuntimeError outside.
        """
        if self.closed:
            raise RuntimeError(
                "a tensor that was made or written inside a function given to vmap is used outside "
                "of it; return it from the function instead"
            )
        super().flush(reason)


@dataclass
class Mapped:
    """A value from outside that differs from sample to sample along `dim`."""

    value: Value
    dim: int


@dataclass
class Level:
    """One call of a mapped function, with everything its backward passes add to it."""

    size: int
    region: SampleRegion
    randomness: str
    sources: dict[int, Mapped] = field(default_factory=dict)  # by slot of the placeholder
    start: int = field(default_factory=next_sequence)
    outer_sink: Any = None
    outer_trace: Any = None
    first_check: int = 0
    depth: int = 0  # transformations around this one
    ways: list[Way] = field(default_factory=list)  # in, differentiable, of the forward pass

    def enter(self, value: Value, dim: int, outer: Edge | None) -> Any:
        """The tensor of one sample that stands for a mapped value."""
        shape = tuple(value.aval.shape)
        aval = aval_of(shape[:dim] + shape[dim + 1 :], value.aval.dtype)
        made = from_value(self.placeholder(aval, value, dim))
        if outer is not None and aval.dtype.category >= 2:
            made._grad_fn = Entry(None, aval)
        return made

    def placeholder(self, aval: Aval, value: Value, dim: int) -> Value:
        """A value of one sample."""
        inside = Value(None, aval, self.region.device)
        inside.trace = Outside(self.region)  # type: ignore[assignment]
        slot = self.region._external(inside, len(self.region.entries))
        self.sources[slot] = Mapped(value, dim)
        return inside

    def record(self, work: Callable[[], Any]) -> tuple[Any, list[Any]]:
        """Run `work` inside; returns its result and the checks it deferred.

        Raises: torch's RuntimeError when it asks for a number or, unasked, for random ones.
        """
        before, sink = len(state.checks), getattr(state, "draw_sink", None)
        self.outer_sink, self.first_check = sink, before
        self.depth = len(state.transforms)
        self.outer_trace = state.traces.get(self.region.device)
        state.draw_sink = self._draw  # type: ignore[attr-defined]
        self.region.closed = False
        try:
            with self.region.recording():
                result = work()
            return result, state.checks[before:]
        except DataDependent:
            raise RuntimeError(_READS) from None
        finally:
            self.region.closed = True
            self.outer_sink = None
            del state.checks[before:]
            state.draw_sink = sink  # type: ignore[attr-defined]

    @contextmanager
    def outside(self) -> Iterator[None]:
        """A block of what is recorded inside that works on all samples, outside."""
        traces, dev = state.traces, self.region.device
        inside, sink = traces[dev], getattr(state, "draw_sink", None)
        checks, transforms = state.checks[self.first_check :], state.transforms[self.depth :]
        del state.checks[self.first_check :], state.transforms[self.depth :]
        if self.outer_trace is None:
            del traces[dev]
        else:
            traces[dev] = self.outer_trace
        state.draw_sink = self.outer_sink  # type: ignore[attr-defined]
        try:
            yield
        finally:
            later = state.checks[self.first_check :]
            if later:
                del state.checks[self.first_check :]
            state.checks += [*checks, *later]
            state.transforms += transforms
            state.draw_sink = sink  # type: ignore[attr-defined]
            traces[dev] = inside

    def _draw(self, make: Callable[[], Any], aval: Aval) -> Value:
        import numpy as np

        if self.randomness == "error":
            raise RuntimeError(_RANDOM)
        outside = self.outer_sink or (lambda work, _: host_value(work()))
        if self.randomness == "same":
            return outside(make, aval)  # type: ignore[no-any-return]
        every = aval_of((self.size, *aval.shape), aval.dtype)
        drawn = outside(lambda: np.stack([make() for _ in range(self.size)]), every)
        return self.placeholder(aval, drawn, 0)

    def mark(self) -> tuple[int, ...]:
        """How much is recorded now; see `forget`."""
        r = self.region
        return tuple(map(len, (r.entries, r.outs, r.externals, r.floats, r.ints, r.complexes)))

    def forget(self, mark: tuple[int, ...]) -> None:
        """Drop what was recorded after `mark`."""
        r = self.region
        lists = (r.entries, r.outs, r.externals, r.floats, r.ints, r.complexes)
        for items, count in zip(lists, mark, strict=True):
            del items[count:]  # type: ignore[attr-defined]
        kept = mark[2]
        r.ext_index = {k: s for k, s in r.ext_index.items() if -1 - s < kept}
        self.sources = {s: m for s, m in self.sources.items() if -1 - s < kept}

    def varies(self, value: Value) -> bool:
        """Whether a value of one sample depends on the sample."""
        changing = set(self.sources)
        number = 0
        for kernel, slots in steps(self.region.entries):
            outs = range(number, number + kernel.n_out)
            number += kernel.n_out
            if any(s in changing for s in slots):
                changing.update(outs)
        return self._slot(value) in changing

    def emit(self, results: Sequence[tuple[str, int, Value]]) -> list[Value]:
        """Map what was recorded; each result is (kind, dim, value of one sample).

        kind: "mapped" (stacked along `dim`), "sum" over samples, "any" of flags, "once".
        """
        region = self.region
        entries = tuple(region.entries)
        if self.randomness != "same" and any(isinstance(k, DrawKernel) for k in entries):
            if self.randomness == "error":
                raise RuntimeError(_RANDOM)
            raise not_supported("vmap(randomness='different') on this device", "'same'")
        slots = tuple((kind, dim, self._slot(value)) for kind, dim, value in results)
        dims = tuple(
            self.sources[-1 - k].dim if -1 - k in self.sources else None
            for k in range(len(region.externals))
        )
        values: list[Any] = [
            self.sources[-1 - k].value if -1 - k in self.sources else v
            for k, v in enumerate(region.externals)
        ]
        numbers = [*region.floats, *map(int, region.ints), *region.complexes]
        split = (len(values), len(region.floats), len(region.ints), len(region.complexes))
        kinds = tuple(v.aval for v in values) + tuple(map(type, numbers))
        key = (entries, slots, dims, split, kinds, self.size)

        def make() -> Kernel:
            fn = _mapped(steps(entries), slots, dims, split, self.size)
            return Kernel("vmap", fn, kinds, differentiable=False)

        return record_on(region.device, _KERNELS.find(key, make), [*values, *numbers])

    def _slot(self, value: Value) -> int:
        if value.trace is self.region:
            return value.slot
        found = self.region.ext_index.get(id(value))
        if found is not None:
            return found
        return self.region._external(value, len(self.region.entries))


def _call(position: int, kernel: Kernel, arrays: list[Any]) -> Sequence[Any]:
    return kernel.call(*arrays)


def _mapped(
    nodes: Nodes,
    slots: Sequence[tuple[str, int, int]],
    dims: Sequence[int | None],
    split: tuple[int, int, int, int],
    size: int,
) -> Callable[..., tuple[Any, ...]]:
    """The function of the kernel: arrays of all samples and numbers -> results."""
    externals, floats, ints, _ = split

    def fn(*arrays: Any) -> tuple[Any, ...]:
        numbers = arrays[externals:]

        def number(slot: int, kind: Any) -> Any:
            if slot < INTS:
                return numbers[slot - FLOATS]
            if slot < COMPLEXES:
                whole = numbers[floats + slot - INTS]
                return whole != 0 if kind is bool else whole
            return numbers[floats + ints + slot - COMPLEXES]

        def one(*samples: Any) -> tuple[Any, ...]:
            made = evaluate(nodes, _call, list(samples), number)
            return tuple(samples[-1 - s] if s < 0 else made[s] for _, _, s in slots)

        outs = jax.vmap(
            one,
            in_axes=tuple(dims),
            out_axes=tuple(d if kind == "mapped" else 0 for kind, d, _ in slots),
            axis_size=size,
        )(*arrays[:externals])
        return tuple(
            x.any() if kind == "any" else x.sum(0) if kind == "sum" else
            x[0] if kind == "once" else x
            for x, (kind, _, _) in zip(outs, slots, strict=True)
        )  # fmt: skip

    return fn


@dataclass
class Way:
    """A differentiable way into a level: where gradients go outside, where they arrive inside."""

    kind: str  # "mapped" or "sum"
    dim: int
    outer: Edge
    inner: Edge


class VmapBackward(Node):
    """History of a mapped call: the backward of one sample, mapped."""

    def __init__(
        self, level: Level, ways: Sequence[Way], results: Sequence[Any], avals: Sequence[Aval]
    ) -> None:
        super().__init__([w.outer for w in ways], avals)
        self.level: Level | None = level
        self.ways = list(ways)
        self.results = [(dim, edge) for _, dim, edge in results]
        self.sums = [kind == "sum" for kind, _, _ in results]

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Continue the recording with the backward of one sample, and map all of it."""
        level = self.level
        if level is None:
            raise RuntimeError(FREED)
        ways = list(self.ways)

        def work() -> Any:
            roots: list[tuple[Edge | None, Var | None]] = []
            for (dim, edge), grad in zip(self.results, grads, strict=True):
                if grad is None or edge is None:
                    continue
                inside = level.enter(grad[0], dim, grad[1] if graph else None)
                inner = inside._edge()
                if inner is not None and grad[1] is not None:
                    ways.append(Way("mapped", dim, grad[1], inner))
                roots.append((edge, (inside._value(), inner)))
            return gradients(roots, [w.inner for w in self.ways], graph=graph)

        mark = level.mark()
        found, _ = level.record(work)
        places = [k for k, g in enumerate(found) if g is not None]
        if not places:
            return [None] * len(found)
        wanted = [(self.ways[k].kind, self.ways[k].dim, found[k][0]) for k in places]
        values = level.emit(wanted)
        after: list[Edge | None] = [None] * len(values)
        if graph:
            kinds = [(self.ways[k].kind, self.ways[k].dim, found[k][1]) for k in places]
            after = link(level, ways, kinds, values)
        else:
            level.forget(mark)
        outs: list[Var | None] = [None] * len(found)
        for k, value, edge in zip(places, values, after, strict=True):
            outs[k] = (value, edge)
        return outs

    def release(self) -> None:
        """Forget what one sample did."""
        self.level = None


def link(
    level: Level,
    ways: Sequence[Way],
    results: Sequence[tuple[str, int, Edge | None]],
    values: Sequence[Value],
) -> list[Edge | None]:
    """History of the results of a level, from the edges that they have inside."""
    edges = [e for _, _, e in results]
    if all(e is None for e in edges):
        return [None] * len(results)
    known = {w.inner for w in ways}
    all_ways = list(ways)
    for edge in borders(edges, level.start):
        if edge not in known:
            all_ways.append(Way("sum", 0, edge, edge))
    if not all_ways:
        return [None] * len(results)
    made = _SumBackward if any(kind == "sum" for kind, _, _ in results) else VmapBackward
    node = made(level, all_ways, results, [v.aval for v in values])
    return [None if e is None else (node, k) for k, e in enumerate(edges)]


class _SumBackward(VmapBackward):
    """History of results that were summed: their cotangents are spread over the samples first."""

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Spread, then as any mapped backward."""
        size = 0 if self.level is None else self.level.size
        spread = [
            _spread(g, size, graph) if g is not None and is_sum else g
            for g, is_sum in zip(grads, self.sums, strict=True)
        ]
        return super().apply(spread, graph)


_SPREADS: dict[Any, Kernel] = {}


def _spread(var: Var, size: int, graph: bool) -> Var:
    aval = var[0].aval
    shape = (size, *aval.shape)
    kernel = _SPREADS.get((aval, size))
    if kernel is None:
        kernel = _SPREADS[aval, size] = Kernel(
            "expand", lambda x: (jnp.broadcast_to(x, shape),), (aval,)
        )
    (out,) = record(kernel, (var[0],))
    edge = history(kernel, (var[0],), (var[1],))[0] if graph and var[1] is not None else None
    return out, edge
