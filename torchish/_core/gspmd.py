"""Contents that are laid out over a named mesh, and programs that XLA partitions for it.

Invariants: a tensor that is laid out belongs to one torch device, its home, as every tensor does;
only its array lies in parts. A storage with a `Placement` keeps it: whatever is written to it is
constrained to the placement inside the program that computes it. A program that meets such an
array runs on the whole mesh; where it does not say how a value lies, XLA's partitioner decides.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .._basics.state import process
from .kernels import Kernel
from .values import Aval, Value

_meshes: set[Any] = set()


class PlacementKernel(Kernel):
    """The identity, whose result lies as `sharding` says."""

    __slots__ = ("sharding",)

    sharding: Any


@functools.lru_cache(maxsize=4096)
def _kernel(aval: Aval, sharding: Any) -> PlacementKernel:
    def fn(x: Any) -> tuple[Any, ...]:
        return (jax.lax.with_sharding_constraint(x, sharding),)

    kernel = PlacementKernel("place", fn, (aval,), (aval,))
    kernel.sharding = sharding
    return kernel


class Placement:
    """How an array lies over a mesh: for each dimension the mesh axes that cut it, or None."""

    __slots__ = ("sharding",)

    def __init__(self, mesh: Any, spec: Sequence[Any]) -> None:
        self.sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*spec))
        _meshes.add(mesh)
        process.laid_out = True
        process.spmd_used = True

    def __deepcopy__(self, memo: Any) -> Placement:
        return self

    def place(self, value: Value) -> Value:
        """The value with its array laid out now."""
        array = jax.device_put(value.read(), self.sharding)
        return Value(array, value.aval, value.device)

    def kernel(self, aval: Aval) -> PlacementKernel:
        """The operator that lays a value out within a program."""
        return _kernel(aval, self.sharding)

    def pin(self, value: Value) -> Value:
        """A value that lies like this, as part of the program that computes it."""
        from .trace import record

        return record(self.kernel(value.aval), (value,))[0]


def mesh_for(entries: Sequence[Any], values: Sequence[Value]) -> Any:
    """The mesh that a program has to run on, None for one device."""
    for v in values:
        sharding = getattr(v.array, "sharding", None)
        if isinstance(sharding, jax.sharding.NamedSharding) and sharding.mesh in _meshes:
            return sharding.mesh
    for entry in entries:
        if type(entry) is PlacementKernel:
            return entry.sharding.mesh
    return None


def onto(mesh: Any, values: Sequence[Value]) -> tuple[list[Any], tuple[Any, ...]]:
    """The inputs' arrays on a mesh, in parts if they are or else in full; how they lie."""
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    arrays, shardings = [], []
    for v in values:
        array = v.array
        if type(array) is np.ndarray:
            v.array = array = jax.device_put(array if array.base is None else array.copy(), whole)
        elif not (
            isinstance(array.sharding, jax.sharding.NamedSharding) and array.sharding.mesh == mesh
        ):
            v.array = array = jax.device_put(array, whole)
        arrays.append(array)
        shardings.append(array.sharding)
    return arrays, tuple(shardings)
