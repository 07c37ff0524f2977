"""Contents that are laid out over a named mesh, and programs that XLA partitions for it.

Invariants: a tensor that is laid out belongs to one torch device, its home, as every tensor does;
only its array lies in parts (`placement.py`). A program that meets such an array runs on the whole
mesh; where it does not say how a value lies, XLA's partitioner decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .._basics.memo import memoised
from .kernels import Kernel
from .values import Aval, Value

_meshes: set[Any] = set()


class PlacementKernel(Kernel):
    """The identity, whose result lies as `sharding` says."""

    __slots__ = ("sharding",)

    sharding: Any


@memoised(4096)
def placement_kernel(aval: Aval, sharding: Any) -> PlacementKernel:
    """The operator that lays a value out as `sharding` says, within a program."""

    def fn(x: Any) -> tuple[Any, ...]:
        return (jax.lax.with_sharding_constraint(x, sharding),)

    kernel = PlacementKernel("place", fn, (aval,), (aval,))
    kernel.sharding = sharding
    return kernel


def remember_mesh(mesh: Any) -> None:
    """Note a mesh that arrays are laid out over (`mesh_for` knows them by it)."""
    _meshes.add(mesh)


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
