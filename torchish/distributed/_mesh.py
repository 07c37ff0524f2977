"""Grids of devices, or of processes, whose dimensions have names.

Invariant: in a job of several processes a mesh is of ranks, as PyTorch's is, and says who exchanges
with whom; in a single process it is of that process's devices, over which XLA lays tensors out.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .._basics.devices import device as Device, jax_device, jax_devices, resolve
from .._basics.errors import not_supported
from . import _group

__all__ = ["DeviceMesh", "init_device_mesh"]


class DeviceMesh:
    """Devices of this process, or ranks of the job, in a grid whose dimensions have names.

    Args:
        device_type: "cpu", "cuda", or "xla" for TPU cores.
        mesh: the devices' indices or the ranks, nested as the grid is. In a job of several
            processes every rank makes the mesh, in the same order.
        mesh_dim_names: a name for each dimension.

    Raises: RuntimeError for more devices or ranks than there are.
    """

    __module__ = "torch.distributed.device_mesh"

    def __init__(
        self, device_type: str, mesh: Any, *, mesh_dim_names: Sequence[str] | None = None
    ) -> None:
        grid = np.asarray(mesh, dtype=np.int64)
        names = mesh_dim_names or [f"dim_{k}" for k in range(grid.ndim)]
        if len(names) != grid.ndim:
            raise RuntimeError("mesh_shape and mesh_dim_names should have same length!")
        if len(set(names)) != len(names):
            raise RuntimeError(f"Each mesh_dim_name must be unique, got {tuple(names)}")
        self.root = self  # the mesh that this is a part of
        self.device_type = device_type
        self.mesh_dim_names = tuple(names)
        self.mesh = grid
        self.is_over_processes = _group.is_initialized() and _group.get_world_size() > 1
        self._groups: dict[str, Any] = {}
        if self.is_over_processes:
            self._check_ranks()
            self.home = resolve(Device(device_type))
            self._make_groups()
            return
        resolve(Device(device_type))
        there = len(jax_devices(device_type))
        if grid.size == 0 or len(set(grid.flat)) < grid.size or grid.max() >= there:
            raise RuntimeError(
                f"a mesh of the {device_type} devices {grid.tolist()} cannot be made: this "
                f"process has {there}"
            )
        self.home = resolve(Device(device_type, int(grid.flat[0])))

    @functools.cached_property
    def jax(self) -> Any:
        """The mesh as JAX knows it.

        Raises: NotSupportedError for a mesh of ranks: their tensors are each process's own.
        """
        if self.is_over_processes:
            raise not_supported(
                "tensors in parts over processes",
                "one process that leads all its devices, or "
                "torch.distributed.fsdp.fully_shard, which averages gradients over processes",
            )
        kind = self.device_type
        devices = [jax_device(resolve(Device(kind, int(k)))) for k in self.mesh.flat]
        return jax.sharding.Mesh(
            np.array(devices).reshape(self.mesh.shape),
            self.mesh_dim_names,
            axis_types=(jax.sharding.AxisType.Auto,) * self.mesh.ndim,
        )

    # --- ranks -----------------------------------------------------------------------------------

    def _check_ranks(self) -> None:
        size = _group.get_world_size()
        if self.mesh.size > size:
            raise RuntimeError(
                f"Mesh should not be bigger than default world size {size}, but found "
                f"{self.mesh.size} ranks!"
            )
        if self.mesh.size == 0 or len(set(self.mesh.flat)) < self.mesh.size:
            raise RuntimeError(f"Mesh cannot contain duplicate values: {self.mesh.tolist()}")

    def _make_groups(self) -> None:
        """A group for each line of ranks along each dimension; every rank makes all of them."""
        world, mine = _group.get_world_size(), _group.get_rank()
        for d, name in enumerate(self.mesh_dim_names):
            lines = np.moveaxis(self.mesh, d, -1).reshape(-1, self.mesh.shape[d]).tolist()
            for ranks in lines:
                whole = ranks == list(range(world))
                made = _group.group.WORLD if whole else _group.new_group(ranks, sort_ranks=False)
                if mine in ranks:
                    self._groups[name] = made

    def _dim(self, mesh_dim: int | str) -> int:
        if isinstance(mesh_dim, int):
            return mesh_dim
        if mesh_dim not in self.mesh_dim_names:
            raise KeyError(
                f"Mesh dimension '{mesh_dim}' does not exist. Available mesh dimensions are: "
                f"mesh_dim_names={self.mesh_dim_names}"
            )
        return self.mesh_dim_names.index(mesh_dim)

    def get_group(self, mesh_dim: int | str | None = None) -> Any:
        """The processes along a dimension; one process that leads all devices is on its own.

        Raises: RuntimeError where a dimension is to be named, or there are no processes.
        """
        if mesh_dim is None and self.ndim > 1:
            raise RuntimeError(
                f"Found the DeviceMesh have {self.ndim} dimensions",
                "Optional kwarg `mesh_dim` needs to be specified when device_mesh.ndim > 1.",
                "If you want to get the list of all the ProcessGroups in the DeviceMesh,"
                "please use `get_all_groups()` instead.",
            )
        dim = self._dim(0 if mesh_dim is None else mesh_dim)
        if self.is_over_processes:
            return self._groups[self.mesh_dim_names[dim]]
        if not _group.is_initialized():
            raise RuntimeError("DeviceMesh process groups not initialized!")
        return _group.group.WORLD

    def get_all_groups(self) -> list[Any]:
        """The group of each dimension."""
        return [self.get_group(d) for d in range(self.ndim)]

    def everybody(self) -> Any:
        """The group of all ranks of the mesh.

        Raises: NotSupportedError for a mesh of several dimensions that leaves ranks out.
        """
        if self.ndim == 1:
            return self.get_group()
        if self.mesh.size < _group.get_world_size():
            raise not_supported(
                "averages over several dimensions of a part of the ranks", "a mesh of one dimension"
            )
        return _group.group.WORLD

    def get_coordinate(self) -> list[int] | None:
        """Where this process stands: at its rank (None: outside), or at its first device."""
        if not self.is_over_processes:
            return [0] * self.ndim
        found = np.argwhere(self.mesh == _group.get_rank())
        return [int(k) for k in found[0]] if len(found) else None

    def get_local_rank(self, mesh_dim: int | str | None = None) -> int:
        """Where this process stands along a dimension.

        Raises: RuntimeError where a dimension is to be named.
        """
        if not self.is_over_processes:
            return 0
        if mesh_dim is None and self.ndim > 1:
            raise RuntimeError(
                f"Found the DeviceMesh have {self.ndim} dimensions",
                "Optional kwarg `mesh_dim` needs to be specified when device_mesh.ndim > 1.",
            )
        at = self.get_coordinate()
        assert at is not None
        return at[self._dim(0 if mesh_dim is None else mesh_dim)]

    def get_rank(self) -> int:
        """The rank of this process in the job."""
        return _group.get_rank() if _group.is_initialized() else 0

    # --- the grid --------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension."""
        return tuple(self.mesh.shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return int(self.mesh.ndim)

    def size(self, mesh_dim: int | None = None) -> int:
        """How many devices there are, or along one dimension."""
        return int(self.mesh.size if mesh_dim is None else self.mesh.shape[mesh_dim])

    def __getitem__(self, names: str | tuple[str, ...]) -> DeviceMesh:
        """The mesh of some dimensions: of ranks the one that this process is in; devices beside the
        first along the others lie alike.

        Raises: KeyError for a name that it does not have.
        """
        wanted = (names,) if isinstance(names, str) else tuple(names)
        for name in wanted:
            if name not in self.mesh_dim_names:
                raise KeyError(
                    f"Invalid mesh_dim_names {wanted} specified. Valid mesh_dim_names are "
                    f"{self.mesh_dim_names}."
                )
        order = [self.mesh_dim_names.index(name) for name in wanted]
        at = self.get_coordinate() or [0] * self.ndim
        place = tuple(slice(None) if d in order else at[d] for d in range(self.ndim))
        kept = sorted(order)
        part = DeviceMesh.__new__(DeviceMesh)
        part.__dict__.update(
            {k: v for k, v in self.__dict__.items() if k != "jax"},
            mesh=self.mesh[place].transpose([kept.index(d) for d in order]),
            mesh_dim_names=wanted,
        )
        if not self.is_over_processes:
            part.home = resolve(Device(self.device_type, int(part.mesh.flat[0])))
        return part

    def __repr__(self) -> str:
        named = ", ".join(
            f"{n}={k}" for n, k in zip(self.mesh_dim_names, self.mesh.shape, strict=True)
        )
        return f"DeviceMesh(({named}), '{self.device_type}')"


def init_device_mesh(
    device_type: str, mesh_shape: Sequence[int], *, mesh_dim_names: Sequence[str] | None = None
) -> DeviceMesh:
    """A mesh over the job's ranks, or over the first devices of the one process.

    The job is joined first, where a launcher has told this process of it.

    Example:
        >>> mesh = init_device_mesh("cuda", (2, 4), mesh_dim_names=("data", "model"))
    """
    if not _group.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _group.init_process_group()
    grid = np.arange(math.prod(mesh_shape)).reshape(tuple(mesh_shape))
    return DeviceMesh(device_type, grid, mesh_dim_names=mesh_dim_names)
