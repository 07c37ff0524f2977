"""A mapped call over devices: `shard_map` over them, inlined in the thread's program.

Invariants: the function of a kernel depends on structure only (entries, wiring, avals); where lanes
differ each device takes its own branch, and sums over devices come after the branches, so that
every device reaches every collective; a value of a lane that is still referred to after `emit` was
exported by it, stacked over devices.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from .._autograd.capture import BlindCapture, DataDependent, Rules
from .._autograd.forward import dual_level
from .._autograd.nodes import SavedTensor
from .._autograd.tensor_base import TensorState
from .._basics.devices import device
from .._basics.errors import not_supported
from .._basics.state import state
from .._core.kernels import Kernel
from .._core.spmd import MeshKernel, mesh_of
from .._core.trace import record_spmd
from .._core.values import Aval, Value, aval_of
from .mapped import MappedCall, Operand, Piece, out_aval


class Lane(BlindCapture):
    """Replicas that do the same work; `axis` is what exchanges between `count` devices name."""

    def __init__(self, home: device, name: str, axis: str | None, count: int) -> None:
        super().__init__(home, name)
        self.axis, self.count = axis, count
        self.kept: dict[int, Operand] = {}  # exported values by slot
        self.emitted = (0, 0)  # entries that were emitted, and their results


class ReplicaRules(Rules):
    """What replicas write belongs to them: a write to any other tensor is `refused`."""

    def __init__(self, refused: Callable[[str], BaseException]) -> None:
        super().__init__()
        self.refused = refused

    def before_write(self, target: Any, new: Value, step: Any, name: str) -> None:
        """Raise for a tensor that no replica was given."""
        if self.is_captured(target):
            raise self.refused(f"{name.rstrip('_')}_")


class ReplicaCall(MappedCall):
    """One call over devices; `counts` are how many of them each lane has.

    `refused` gives the error of an in-place operator on a tensor that the call was not given;
    `exchanges`: whether the function may exchange values between devices, naming the axis.
    """

    def __init__(
        self, name: str, devices: Sequence[device], axis: str, counts: Sequence[int],
        refused: Callable[[str], BaseException], exchanges: bool = False,
    ) -> None:  # fmt: skip
        self.home = devices[0]
        named = axis if exchanges else None
        super().__init__([Lane(self.home, name, named, len(devices)) for _ in counts])
        ends = list(itertools.accumulate(counts))
        # The places of each lane's devices.
        self.positions = [tuple(range(e - n, e)) for n, e in zip(counts, ends, strict=True)]
        self.name = name
        self.mesh = mesh_of(tuple(devices), axis)
        self.axis = axis
        self.count = len(devices)
        self.rules = ReplicaRules(refused)
        self.saved: dict[int, SavedTensor] = {}  # id of an operand's value -> the tensor

    def take(
        self, tensor: TensorState, kind: str, dim: int, avals: Sequence[Aval], zeros: bool = False
    ) -> list[Any]:
        """A tensor of each lane that stands for `tensor`."""
        if state.forward is not None and dual_level(tensor) is not None:
            raise not_supported("tangents in a parallel call", "torch.func.jvp of one replica")
        value, edge = tensor._value(), tensor._edge() if state.grad_enabled else None
        if edge is not None:
            self.saved[id(value)] = SavedTensor(tensor)
        return self.enter(value, edge, kind, dim, avals, zeros)

    @contextmanager
    def lane(self, number: int) -> Iterator[None]:
        """Run the user's function on a lane's stand-ins in a block."""
        with self.lanes[number].recording(), self.rules.running():
            yield

    @contextmanager
    def recording(self, number: int) -> Iterator[None]:
        """Record a lane's backward in a block.

        Raises: RuntimeError where a hook of the user's asks for a number.
        """
        try:
            with super().recording(number):
                yield
        except DataDependent as error:
            raise RuntimeError(
                f"a hook reads the value of a replica's gradient ({error}), and one program for "
                "all replicas has none; register it on a parameter of the module"
            ) from None

    def kernel_key(self) -> Any:
        """The mesh, and which devices each lane has."""
        return self.mesh, self.axis, *self.positions

    def make_kernel(
        self, pieces: Sequence[Piece], specs: Sequence[Any], results: Sequence[Any]
    ) -> Kernel:
        """One SPMD kernel; outputs are the results, then what each lane exports."""
        devices = Devices(self.mesh, self.axis, self.count, self.positions)
        return devices.kernel(self.name, pieces, specs, results)

    def apply(self, kernel: Kernel, operands: Sequence[Any]) -> list[Value]:
        """Record in the trace of the first device."""
        return record_spmd(kernel, operands, self.home)  # type: ignore[arg-type]

    def since(self, lane: Any) -> tuple[int, int]:
        """What was emitted."""
        return lane.emitted  # type: ignore[no-any-return]

    def to_export(self, lane: Any) -> list[int]:
        """New results that something still refers to (what backward saved)."""
        return [k for k in range(lane.emitted[1], len(lane.outs)) if lane.outs[k]() is not None]

    def exports(self, values: Sequence[Value], slots: Sequence[Sequence[int]]) -> None:
        """Each lane's own part of what was exported stands for it from now on."""
        stream = iter(values)
        for lane, found in zip(self.lanes, slots, strict=True):
            assert isinstance(lane, Lane)
            for slot in found:
                avals = (out_aval(lane, slot),) * len(self.lanes)
                lane.kept[slot] = Operand("own", 0, next(stream), avals)
            lane.emitted = len(lane.entries), len(lane.outs)

    def earlier(self, lane: Any, slot: int) -> Operand:
        """What was exported."""
        return lane.kept[slot]  # type: ignore[no-any-return]

    def before_backward(self, operands: Sequence[Any]) -> None:
        """Raise torch's error for an operand that was written to since the call."""
        for v in operands:
            saved = self.saved.get(id(v))
            if saved is not None:
                saved.check()


# --- kernels -------------------------------------------------------------------------------------


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


def _known(avals: Sequence[Aval | None]) -> Aval:
    return next(a for a in avals if a is not None)


def _zeros(aval: Aval) -> Any:
    return jnp.zeros(tuple(aval.shape), aval.dtype.np)


@dataclass
class Devices:
    """The devices of a call and how its lanes share them."""

    mesh: Any
    axis: str
    count: int
    positions: Sequence[tuple[int, ...]]  # of each lane

    def kernel(
        self, name: str, pieces: Sequence[Piece], specs: Sequence[Any], results: Sequence[Any]
    ) -> MeshKernel:
        """The kernel of what the lanes do."""
        make = self._uniform if len(pieces) == 1 else self._ragged
        fn = make(pieces, specs, results)
        in_avals = [spec[2] if isinstance(spec, tuple) else spec for spec in specs]
        out_avals = [self._out_aval(r) for r in results]
        own = [aval_of((self.count, *a.shape), a.dtype) for p in pieces for a in p.exported]
        parts = [_part(spec, self.axis) for spec in specs]
        if len(pieces) > 1:
            parts = [p if isinstance(s, tuple) and s[0] == "own" else None
                     for p, s in zip(parts, specs, strict=True)]  # fmt: skip
        spread = [None] * len(results) + [PartitionSpec(self.axis)] * len(own)
        return MeshKernel(name, fn, in_avals, [*out_avals, *own], self.mesh, parts, spread)

    def _out_aval(self, result: Any) -> Aval:
        kind, dim, avals = result
        known = _known(avals)
        shape = list(known.shape)
        if kind == "joined":
            sizes = zip(map(len, self.positions), avals, strict=True)
            shape[dim] = sum(n * (a or known).shape[dim] for n, a in sizes)
        elif kind == "stacked":
            shape.insert(dim, self.count)
        return aval_of(tuple(shape), known.dtype)

    def _shard_map(self, body: Any, in_specs: Any, out_specs: Any) -> Any:
        return jax.shard_map(
            body, mesh=self.mesh, in_specs=tuple(in_specs), out_specs=tuple(out_specs),
            check_vma=False,
        )  # fmt: skip

    def _lane(
        self, piece: Piece, lane: int, specs: Sequence[Any], index: Any, arrays: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """What the device at place `index` does."""

        def run(position: int, kernel: Kernel, given: list[Any]) -> Sequence[Any]:
            if kernel.draws:
                # Each replica draws its own numbers: the device's position enters the seed.
                given[0] = given[0] ^ (index.astype(given[0].dtype) << 32)
            return kernel.call(*given)

        seen = [_local(s, lane, x, index == 0) for s, x in zip(specs, arrays, strict=True)]
        return piece.run(seen, run)

    def _uniform(
        self, pieces: Sequence[Piece], specs: Sequence[Any], results: Sequence[Any]
    ) -> Callable[..., tuple[Any, ...]]:
        """All replicas do the same."""
        (piece,), axis = pieces, self.axis

        def body(*arrays: Any) -> tuple[Any, ...]:
            found, own = self._lane(piece, 0, specs, jax.lax.axis_index(axis), arrays)
            outs = []
            for (kind, dim, (aval,)), out in zip(results, found, strict=True):
                x = _zeros(aval) if out is None else out
                if kind == "sum":
                    x = jax.lax.psum(x, axis)
                elif kind == "stacked":
                    x = jnp.expand_dims(x, dim)
                elif kind in ("first", "any"):
                    x = x[None]
                outs.append(x)
            return (*outs, *[x[None] for x in own])

        in_specs = [_part(spec, axis) or PartitionSpec() for spec in specs]
        out_specs = []
        for kind, dim, _ in results:
            if kind in ("joined", "stacked"):
                out_specs.append(PartitionSpec(*[None] * dim, axis))
            else:
                out_specs.append(PartitionSpec() if kind == "sum" else PartitionSpec(axis))
        out_specs += [PartitionSpec(axis)] * len(piece.exported)
        mapped = self._shard_map(body, in_specs, out_specs)

        def fn(*arrays: Any) -> tuple[Any, ...]:
            outs = list(mapped(*arrays))
            for k, (kind, _, _) in enumerate(results):
                if kind == "first":
                    outs[k] = outs[k][0]
                elif kind == "any":
                    outs[k] = outs[k].any(0)
            return tuple(outs)

        return fn

    def _branch(
        self, pieces: Sequence[Piece], k: int, specs: Sequence[Any], results: Sequence[Any]
    ) -> Callable[..., Any]:
        """What the devices of lane `k` do, with zeros for what the other lane has."""

        def run(index: Any, *arrays: Any) -> Any:
            found, mine = self._lane(pieces[k], k, specs, index, arrays)
            outs = []
            for (kind, _, avals), out in zip(results, found, strict=True):
                known = _known(avals)
                x = _zeros(avals[k] or known) if out is None else out
                if kind == "sum":
                    outs.append([x])
                    continue
                rows = [_zeros(a or known) for a in avals]
                rows[k] = x
                outs.append(rows)
            own = [[_zeros(a) for a in piece.exported] for piece in pieces]
            own[k] = mine
            return outs, own

        return run

    def _ragged(
        self, pieces: Sequence[Piece], specs: Sequence[Any], results: Sequence[Any]
    ) -> Callable[..., tuple[Any, ...]]:
        """Two kinds of replicas: each device branches; slices are padded to the longer one's."""
        axis = self.axis
        branches = [self._branch(pieces, k, specs, results) for k in (0, 1)]

        def body(*arrays: Any) -> tuple[Any, ...]:
            index = jax.lax.axis_index(axis)
            last = index >= self.positions[1][0]
            outs, own = jax.lax.cond(last, branches[1], branches[0], index, *arrays)
            flat = []
            for (kind, _, _), rows in zip(results, outs, strict=True):
                flat.extend(
                    [jax.lax.psum(rows[0], axis)] if kind == "sum" else [x[None] for x in rows]
                )
            return (*flat, *[x[None] for xs in own for x in xs])

        in_specs = [_part(spec, axis) or PartitionSpec() for spec in specs]
        out_specs: list[Any] = []
        for kind, _, _ in results:
            alone = kind == "sum"
            out_specs.extend([PartitionSpec()] if alone else [PartitionSpec(axis)] * len(pieces))
        out_specs += [PartitionSpec(axis)] * sum(len(p.exported) for p in pieces)
        mapped = self._shard_map(body, in_specs, out_specs)

        def fn(*arrays: Any) -> tuple[Any, ...]:
            padded = [self._padded(s, x) for s, x in zip(specs, arrays, strict=True)]
            flat = list(mapped(*padded))
            outs = []
            for kind, dim, _ in results:
                if kind == "sum":
                    outs.append(flat.pop(0))
                    continue
                rows = [flat.pop(0) for _ in pieces]
                each = zip(rows, self.positions, strict=True)
                outs.append(_assembled(kind, dim, [x[p] for x, at in each for p in at]))
            return (*outs, *flat)

        return fn

    def _padded(self, spec: Any, x: Any) -> Any:
        """An operand with equal slices for all devices."""
        if not isinstance(spec, tuple) or spec[0] != "split":
            return x
        _, dim, _, avals = spec
        short = self.count * max(a.shape[dim] for a in avals) - x.shape[dim]
        return jnp.pad(x, [(0, short if d == dim else 0) for d in range(x.ndim)])


def _assembled(kind: str, dim: int, pieces: Sequence[Any]) -> Any:
    if kind == "joined":
        return jnp.concatenate(pieces, dim)
    if kind == "stacked":
        return jnp.stack(pieces, dim)
    return pieces[0] if kind == "first" else jnp.stack(pieces).any(0)


def lane_of(axis: str) -> Lane:
    """The lane that runs now of the innermost call over this axis.

    Raises: NameError where there is none.
    """
    capture = state.capture
    while capture is not None:
        if isinstance(capture, Lane) and capture.axis == axis:
            return capture
        capture = capture.outer
    raise NameError(f"unbound axis name: {axis}")


__all__ = ["ReplicaCall", "lane_of"]
