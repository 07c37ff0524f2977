"""How an array lies over a mesh of devices, and keeping it there.

A storage with a `Placement` keeps it: whatever is written to it is constrained to the placement
inside the program that computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from .._basics.state import process
from .gspmd import PlacementKernel, placement_kernel, remember_mesh
from .trace import record
from .values import Aval, Value


class Placement:
    """For each dimension the mesh axes that cut it, or None."""

    __slots__ = ("sharding",)

    def __init__(self, mesh: Any, spec: Sequence[Any]) -> None:
        self.sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*spec))
        remember_mesh(mesh)
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
        return placement_kernel(aval, self.sharding)

    def pin(self, value: Value) -> Value:
        """A value that lies like this, as part of the program that computes it."""
        return record(self.kernel(value.aval), (value,))[0]
