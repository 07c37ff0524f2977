"""From recorded lanes to one SPMD function: `shard_map` over the devices, inlined in a program.

Invariant: the function depends on structure only (entries, wiring, avals); where lanes differ each
device takes its own branch, and sums over devices come after the branches, so that every device
reaches every collective.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from .._core.graph import FLOATS, evaluate, steps
from .._core.kernels import Kernel
from .._core.spmd import MeshKernel
from .._core.values import Aval, Value, aval_of


@dataclass
class Operand:
    """A value from outside and how devices see it.

    kind: "shared" (all of it), "split" (a slice along `dim`), "row" (one index of `dim`, which
    goes), "own" (what this device exported earlier), "first" (zeros except on the first device).
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

    kind: "joined" (slices along `dim`), "stacked" (a new `dim`), "sum" over devices, "first"
    device's, "any" of booleans.
    """

    kind: str
    dim: int
    values: list[Value | None]
    aval: Aval | None = None


@dataclass
class LanePlan:
    """What a lane does in one kernel."""

    entries: tuple[Any, ...]
    base: int  # number of the first output of these entries
    positions: tuple[int, ...]
    sources: dict[int, int] = field(default_factory=dict)  # slot -> operand of the kernel
    exported: tuple[int, ...] = ()

    def slots(self) -> list[int]:
        """Slots that these entries read and do not make, in order, each once."""
        found: dict[int, None] = {}
        for _, slots in steps(self.entries):
            for s in slots:
                if s < self.base or s >= FLOATS:
                    found[s] = None
        return list(found)

    def run(self, fetch_operand: Callable[[int], Any], index: Any) -> Callable[[int], Any]:
        """Apply the kernels; returns a function from slots to arrays."""
        outside: list[Any] = [None] * (1 + max(self.sources.values(), default=-1))
        for p in set(self.sources.values()):
            outside[p] = fetch_operand(p)

        def run(position: int, kernel: Kernel, arrays: list[Any]) -> Sequence[Any]:
            # Numbers come as operands here, booleans among them as integers.
            args = [
                x != 0 if kind is bool else x
                for x, kind in zip(arrays, kernel.in_avals, strict=True)
            ]
            if kernel.draws:
                # Each replica draws its own numbers: the device's position enters the seed.
                args[0] = args[0] ^ (index.astype(args[0].dtype) << 32)
            return kernel.call(*args)

        nodes = [(kernel, tuple(map(self._place, slots))) for kernel, slots in steps(self.entries)]
        made = evaluate(nodes, run, outside, _no_numbers)

        def fetch(slot: int) -> Any:
            at = self._place(slot)
            return made[at] if at >= 0 else outside[-1 - at]

        return fetch

    def _place(self, slot: int) -> int:
        """A slot of the region's trace as a slot of these entries alone."""
        own = self.base <= slot < FLOATS
        return slot - self.base if own else -1 - self.sources[slot]


def _no_numbers(slot: int, kind: Any) -> Any:
    raise AssertionError(f"slot {slot} is no operand of the region's kernel")


def _local(spec: Any, lane: int, array: Any, first: Any) -> Any:
    """What a lane sees of the array that reached its device."""
    if not isinstance(spec, tuple):
        return array
    kind, dim, _, avals = spec
    aval = avals[lane]
    if kind == "split":
        size = aval.shape[dim]
        return array if array.shape[dim] == size else jax.lax.slice_in_dim(array, 0, size, axis=dim)
    if kind == "row":
        return jnp.squeeze(array, dim)
    if kind == "own":
        return array[0]
    if kind == "first":
        return jnp.where(first, array, jnp.zeros_like(array))
    return array


def _part(spec: Any, axis: str) -> Any:
    """The PartitionSpec of an operand, None when all devices need all of it."""
    if not isinstance(spec, tuple) or spec[0] in ("shared", "first"):
        return None
    dim = 0 if spec[0] == "own" else spec[1]
    return PartitionSpec(*[None] * dim, axis)


def make_kernel(
    name: str,
    mesh: Any,
    axis: str,
    count: int,
    plans: Sequence[LanePlan],
    specs: Sequence[Any],
    results: Sequence[Any],
    exported: Sequence[Sequence[Aval]],
) -> MeshKernel:
    """The kernel of these lanes; outputs are the results, then what each lane exports."""
    plans = [LanePlan(p.entries, p.base, p.positions, dict(p.sources), p.exported) for p in plans]
    if len(plans) == 1:
        fn = _uniform(mesh, axis, plans[0], specs, results)
    else:
        fn = _ragged(mesh, axis, count, plans, specs, results, exported)
    in_avals = [spec[2] if isinstance(spec, tuple) else spec for spec in specs]
    out_avals = [_out_aval(r, count, [len(p.positions) for p in plans]) for r in results]
    own = [aval_of((count, *a.shape), a.dtype) for avals in exported for a in avals]
    parts = [_part(spec, axis) for spec in specs]
    if len(plans) > 1:
        parts = [p if isinstance(s, tuple) and s[0] == "own" else None
                 for p, s in zip(parts, specs, strict=True)]  # fmt: skip
    spread = [None] * len(results) + [PartitionSpec(axis)] * len(own)
    return MeshKernel(name, fn, in_avals, [*out_avals, *own], mesh, parts, spread)


def _out_aval(result: Any, count: int, members: Sequence[int]) -> Aval:
    kind, dim, _, avals = result
    known = next(a for a in avals if a is not None)
    shape = list(known.shape)
    if kind == "joined":
        shape[dim] = sum(n * (a or known).shape[dim] for n, a in zip(members, avals, strict=True))
    elif kind == "stacked":
        shape.insert(dim, count)
    return aval_of(tuple(shape), known.dtype)


def _shard_map(body: Any, mesh: Any, in_specs: Any, out_specs: Any) -> Any:
    return jax.shard_map(
        body, mesh=mesh, in_specs=tuple(in_specs), out_specs=tuple(out_specs), check_vma=False
    )


def _zeros(aval: Any) -> Any:
    return jnp.zeros(tuple(aval.shape), aval.dtype.np)


def _uniform(
    mesh: Any, axis: str, plan: LanePlan, specs: Sequence[Any], results: Sequence[Any]
) -> Callable[..., tuple[Any, ...]]:
    """All replicas do the same."""

    def body(*arrays: Any) -> tuple[Any, ...]:
        index = jax.lax.axis_index(axis)
        fetch = plan.run(lambda p: _local(specs[p], 0, arrays[p], index == 0), index)
        outs = []
        for kind, dim, (slot,), (aval,) in results:
            x = _zeros(aval) if slot is None else fetch(slot)
            if kind == "sum":
                x = jax.lax.psum(x, axis)
            elif kind == "stacked":
                x = jnp.expand_dims(x, dim)
            elif kind in ("first", "any"):
                x = x[None]
            outs.append(x)
        return (*outs, *[fetch(s)[None] for s in plan.exported])

    in_specs = [_part(spec, axis) or PartitionSpec() for spec in specs]
    out_specs = []
    for kind, dim, _, _ in results:
        if kind in ("joined", "stacked"):
            out_specs.append(PartitionSpec(*[None] * dim, axis))
        else:
            out_specs.append(PartitionSpec() if kind == "sum" else PartitionSpec(axis))
    out_specs += [PartitionSpec(axis)] * len(plan.exported)
    mapped = _shard_map(body, mesh, in_specs, out_specs)

    def fn(*arrays: Any) -> tuple[Any, ...]:
        outs = list(mapped(*arrays))
        for k, (kind, _, _, _) in enumerate(results):
            if kind == "first":
                outs[k] = outs[k][0]
            elif kind == "any":
                outs[k] = outs[k].any(0)
        return tuple(outs)

    return fn


def _ragged(
    mesh: Any, axis: str, count: int, plans: Sequence[LanePlan], specs: Sequence[Any],
    results: Sequence[Any], exported: Sequence[Sequence[Aval]],
) -> Callable[..., tuple[Any, ...]]:  # fmt: skip
    """Two kinds of replicas: each device branches; slices are padded to the longer one's size."""

    def full(spec: Any) -> int:
        return int(max(a.shape[spec[1]] for a in spec[3]))

    def branch(k: int) -> Callable[..., Any]:
        def run(index: Any, *arrays: Any) -> Any:
            fetch = plans[k].run(lambda p: _local(specs[p], k, arrays[p], index == 0), index)
            outs = []
            for kind, _, slots, avals in results:
                known = next(a for a in avals if a is not None)
                x = _zeros(avals[k] or known) if slots[k] is None else fetch(slots[k])
                if kind == "sum":
                    outs.append([x])
                    continue
                rows = [_zeros(a or known) for a in avals]
                rows[k] = x
                outs.append(rows)
            own = [[_zeros(a) for a in avals] for avals in exported]
            own[k] = [fetch(s) for s in plans[k].exported]
            return outs, own

        return run

    def body(*arrays: Any) -> tuple[Any, ...]:
        index = jax.lax.axis_index(axis)
        last = index >= plans[1].positions[0]
        outs, own = jax.lax.cond(last, branch(1), branch(0), index, *arrays)
        flat = []
        for (kind, _, _, _), rows in zip(results, outs, strict=True):
            flat.extend([jax.lax.psum(rows[0], axis)] if kind == "sum" else [x[None] for x in rows])
        return (*flat, *[x[None] for xs in own for x in xs])

    in_specs = [_part(spec, axis) or PartitionSpec() for spec in specs]
    out_specs: list[Any] = []
    for kind, _, _, _ in results:
        out_specs.extend([PartitionSpec()] if kind == "sum" else [PartitionSpec(axis)] * len(plans))
    out_specs += [PartitionSpec(axis)] * sum(map(len, exported))
    mapped = _shard_map(body, mesh, in_specs, out_specs)

    def fn(*arrays: Any) -> tuple[Any, ...]:
        given = []
        for spec, x in zip(specs, arrays, strict=True):
            if isinstance(spec, tuple) and spec[0] == "split":
                short = count * full(spec) - x.shape[spec[1]]
                widths = [(0, short if d == spec[1] else 0) for d in range(x.ndim)]
                x = jnp.pad(x, widths)
            given.append(x)
        flat = list(mapped(*given))
        outs = []
        for kind, dim, _, _ in results:
            if kind == "sum":
                outs.append(flat.pop(0))
                continue
            rows = [flat.pop(0) for _ in plans]
            pieces = [x[p] for x, plan in zip(rows, plans, strict=True) for p in plan.positions]
            outs.append(_assembled(kind, dim, pieces))
        return (*outs, *flat)

    return fn


def _assembled(kind: str, dim: int, pieces: Sequence[Any]) -> Any:
    if kind == "joined":
        return jnp.concatenate(pieces, dim)
    if kind == "stacked":
        return jnp.stack(pieces, dim)
    return pieces[0] if kind == "first" else jnp.stack(pieces).any(0)


__all__ = ["Kernel", "LanePlan", "Operand", "Result", "make_kernel"]
