"""Kernels that run over several devices, and where their operands lie.

Invariants: a trace belongs to one torch device, its home; a `MeshKernel` in it makes the whole
trace one SPMD program over the kernel's devices, the home among them. Everything that such a
program takes or leaves behind is held in full by each device, except operands that a MeshKernel
alone takes in parts (a batch) and outputs that it marks as spread (what backward will want on the
same devices). A Value whose array lies on several devices is still a tensor of its home device: a
program of that device alone uses the home's copy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from .._basics.devices import device, jax_device
from .._basics.state import process
from .kernels import InAval, Kernel
from .values import Aval, Value


@functools.lru_cache(maxsize=256)
def mesh_of(devices: tuple[device, ...], axis: str) -> Any:
    """The one-dimensional mesh over these torch devices."""
    return jax.sharding.Mesh(np.array([jax_device(d) for d in devices]), (axis,))


class MeshKernel(Kernel):
    """A Kernel whose function is itself SPMD over `mesh`.

    `parts[i]` is the PartitionSpec of an operand that may come in parts, None for one that every
    device needs in full; `spread[k]` is the PartitionSpec of an output that stays in parts.
    """

    __slots__ = ("mesh", "parts", "spread")

    def __init__(
        self,
        name: str,
        fn: Callable[..., tuple[Any, ...]],
        in_avals: Sequence[InAval],
        out_avals: Sequence[Aval],
        mesh: Any,
        parts: Sequence[Any],
        spread: Sequence[Any],
    ) -> None:
        super().__init__(name, fn, in_avals, out_avals, differentiable=False)
        process.spmd_used = True
        self.mesh = mesh
        self.parts = tuple(parts)
        self.spread = tuple(spread)


class Arrangement:
    """Shardings of the inputs and outputs of a program over a mesh."""

    __slots__ = ("inputs", "outputs")

    def __init__(
        self, plan: Sequence[tuple[Kernel, tuple[int, ...]]], live: Sequence[int], n_in: int,
        mesh: Any,
    ) -> None:  # fmt: skip
        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        wanted: list[set[Any]] = [set() for _ in range(n_in)]
        spread: dict[int, Any] = {}
        slot = 0
        for kernel, slots in plan:
            parts: Sequence[Any] = (None,) * len(slots)
            spreads: Sequence[Any] = (None,) * kernel.n_out
            if isinstance(kernel, MeshKernel):
                parts, spreads = kernel.parts, kernel.spread
            for i, s in enumerate(slots):
                if s < 0:
                    wanted[-1 - s].add(parts[i])
            for k in range(kernel.n_out):
                if spreads[k] is not None:
                    spread[slot + k] = spreads[k]
            slot += kernel.n_out

        def sharding(spec: Any) -> Any:
            return whole if spec is None else jax.sharding.NamedSharding(mesh, spec)

        self.inputs = [sharding(next(iter(w)) if len(w) == 1 else None) for w in wanted]
        self.outputs = [sharding(spread.get(s)) for s in live]


def spread_out(values: Sequence[Value], layout: Arrangement) -> list[Any]:
    """The arrays of a program's inputs, laid out over its mesh; the values keep them so."""
    arrays = []
    for v, sharding in zip(values, layout.inputs, strict=True):
        array = v.array
        if type(array) is np.ndarray:
            array = jax.device_put(array if array.base is None else array.copy(), sharding)
        elif array.sharding != sharding:
            array = jax.device_put(array, sharding)
        v.array = array
        arrays.append(array)
    return arrays


def on_one(array: Any, jdev: Any) -> Any:
    """A device's own copy of an array; fetched from the others when it holds only a part."""
    if len(array.sharding.device_set) == 1:
        return array
    if array.is_fully_replicated:
        for shard in array.addressable_shards:
            if shard.device == jdev:
                return shard.data
    return jax.device_put(array, jdev)
