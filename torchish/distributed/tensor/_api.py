"""Tensors that know how they lie over a mesh.

Invariant: a `DTensor`'s storage is the whole tensor, laid out by a `Placement`, so every operator
means what it means elsewhere; the placements are a note, which results of elementwise operators
inherit and others set to `Replicate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..._basics.errors import not_supported
from ..._core.placement import Placement as Layout
from ..._ops.protocol.overriding import DisableTorchFunctionSubclass
from ..._ops.registry import operators, ops
from ..._tensor.tensor import Tensor
from .._shard import DeviceMesh, fits, pinned, spec_of_placements
from .placement_types import Partial, Placement, Replicate, Shard

__all__ = ["DTensor", "distribute_module", "distribute_tensor"]


class DTensor(Tensor):
    """A tensor over a mesh: in full, or cut along a dimension, for each dimension of the mesh."""

    __module__ = "torch.distributed.tensor"
    _mesh: DeviceMesh
    _placements: tuple[Placement, ...]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with DisableTorchFunctionSubclass():
            found = func(*args, **(kwargs or {}))
        source = next((x for x in _flat(args, kwargs or {}) if isinstance(x, DTensor)), None)
        return found if source is None else _noted(found, source, getattr(func, "__name__", ""))

    @property
    def device_mesh(self) -> DeviceMesh:
        """The mesh."""
        return self._mesh

    @property
    def placements(self) -> tuple[Placement, ...]:
        """How it lies, for each dimension of the mesh."""
        return self._placements

    @staticmethod
    def from_local(
        local_tensor: Any, device_mesh: DeviceMesh | None = None,
        placements: Sequence[Placement] | None = None, *, run_check: bool = False,
        shape: Any = None, stride: Any = None,
    ) -> DTensor:  # fmt: skip
        """The tensor that each device has `local_tensor` of.

        Raises: NotSupportedError where devices would have different parts: one process leads all.
        """
        mesh = _mesh_of(device_mesh)
        wanted = _checked(placements, mesh, local_tensor.dim())
        for k, placement in enumerate(wanted):
            if mesh.mesh.shape[k] > 1 and not placement.is_replicate():
                raise not_supported(
                    "DTensor.from_local of parts of a tensor", "distribute_tensor of the whole one"
                )
        whole = [Replicate() if p.is_partial() else p for p in wanted]
        return _noted_as(local_tensor.as_subclass(DTensor), mesh, tuple(whole))

    def to_local(self, *, grad_placements: Any = None) -> Any:
        """The part that the mesh's first device has; gradients flow back into the whole.

        Raises: NotSupportedError for gradients in summands.
        """
        _no_summands(grad_placements)
        with DisableTorchFunctionSubclass():
            found = self.as_subclass(Tensor)
            for count, placement in zip(self._mesh.mesh.shape, self._placements, strict=True):
                if isinstance(placement, Shard):
                    found = found.chunk(int(count), placement.dim)[0]
            return found

    def full_tensor(self, *, grad_placements: Any = None) -> Any:
        """The whole tensor, in full on every device.

        Raises: NotSupportedError for gradients in summands.
        """
        _no_summands(grad_placements)
        with DisableTorchFunctionSubclass():
            whole = self.as_subclass(Tensor)
            return (
                pinned(whole, Layout(self._mesh.root.jax, ())) if self._mesh.size() > 1 else whole
            )

    def redistribute(
        self, device_mesh: DeviceMesh | None = None, placements: Any = None, *,
        async_op: bool = False, **kwargs: Any,
    ) -> DTensor:  # fmt: skip
        """The same tensor, lying otherwise.

        Raises: RuntimeError without placements, or for `Partial`.
        """
        if any(kwargs.values()):
            raise not_supported(f"redistribute({', '.join(kwargs)}=...)", "a cast beside it")
        if placements is None:
            raise RuntimeError("placements is needed for redistribute!")
        mesh = self._mesh if device_mesh is None else device_mesh
        wanted = _checked(placements, mesh, self.dim())
        if any(p.is_partial() for p in wanted):
            raise RuntimeError("Can not redistribute to Partial, redistributing to Partial is for "
                               "internal use only!")  # fmt: skip
        with DisableTorchFunctionSubclass():
            return _laid_out(self.as_subclass(Tensor), mesh, wanted)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return (
            f"DTensor(local_tensor={self.to_local()}, device_mesh={self._mesh}, "
            f"placements={self._placements})"
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.full_tensor().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: Any) -> DTensor:
        from copy import deepcopy

        whole = deepcopy(self.as_subclass(Tensor), memo)
        return _noted_as(whole.as_subclass(DTensor), self._mesh, self._placements)


def _no_summands(placements: Any) -> None:
    if any(p.is_partial() for p in placements or ()):
        raise not_supported("grad_placements with Partial", "gradients as they are")


def _flat(args: Any, kwargs: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for x in (*args, *kwargs.values()):
        found.extend(x if isinstance(x, list | tuple) else [x])
    return found


def _is_elementwise(name: str) -> bool:
    plain = name.strip("_")
    tries = {name, plain, plain.removeprefix("r"), plain.removeprefix("i")}
    entries = [operators.get(f"{p}.{t}") for t in tries for p in ("torch", "nn.functional")]
    return name in ("detach", "clone", "to", "contiguous") or any(
        e is not None and e.elementwise for e in entries
    )


def _noted(found: Any, source: DTensor, name: str) -> Any:
    if isinstance(found, tuple | list) and type(found) in (tuple, list):
        return type(found)(_noted(x, source, name) for x in found)
    if not isinstance(found, Tensor) or isinstance(found, DTensor):
        return found
    same = found.shape == source.shape and _is_elementwise(name)
    wanted = source._placements if same else (Replicate(),) * source._mesh.ndim
    with DisableTorchFunctionSubclass():
        return _noted_as(found.as_subclass(DTensor), source._mesh, wanted)


def _noted_as(made: Any, mesh: DeviceMesh, placements: tuple[Placement, ...]) -> DTensor:
    made._mesh, made._placements = mesh, placements
    return made  # type: ignore[no-any-return]


def _laid_out(tensor: Any, mesh: DeviceMesh, placements: tuple[Placement, ...]) -> DTensor:
    """The tensor laid out within the program; parts that would be unequal stay in full."""
    if mesh.size() > 1:
        spec = spec_of_placements(mesh, placements, tensor.dim())
        if fits(mesh, spec, tuple(tensor.shape)):
            tensor = pinned(tensor, Layout(mesh.root.jax, spec))
    return _noted_as(tensor.as_subclass(DTensor), mesh, placements)


def _mesh_of(mesh: DeviceMesh | None) -> DeviceMesh:
    if mesh is None:
        raise RuntimeError("No device mesh is currently active!")
    return mesh


def _checked(placements: Any, mesh: DeviceMesh, ndim: int) -> tuple[Placement, ...]:
    """One placement for each dimension of the mesh, dims counted from the left.

    Raises: ValueError for another number of them; IndexError for a dim that is not there.
    """
    if placements is None:
        return (Replicate(),) * mesh.ndim
    if len(placements) != mesh.ndim:
        raise ValueError(
            "`placements` must have the same length as `device_mesh.ndim`! Found placements "
            f"length: {len(placements)}, and device_mesh.ndim: {mesh.ndim}."
        )
    found = []
    for placement in placements:
        if isinstance(placement, Shard):
            if not -ndim <= placement.dim < ndim:
                raise IndexError(
                    f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], "
                    f"but got {placement.dim})"
                )
            placement = Shard(placement.dim % ndim)
        found.append(placement)
    return tuple(found)


def distribute_tensor(
    tensor: Any, device_mesh: DeviceMesh | None = None, placements: Any = None, *,
    src_data_rank: int | None = 0,
) -> DTensor:  # fmt: skip
    """A leaf that lies over a mesh.

    Args:
        placements: for each dimension of the mesh `Shard(dim)` or `Replicate()` (the default).
    Raises: ValueError, IndexError for placements that do not fit; RuntimeError for `Partial`, or
        for a tensor that lies over another mesh.

    Example:
        >>> mesh = init_device_mesh("cuda", (4,))
        >>> big = distribute_tensor(torch.randn(8, 8), mesh, [Shard(0)])
    """
    mesh = _mesh_of(device_mesh)
    wanted = _checked(placements, mesh, tensor.dim())
    if any(isinstance(p, Partial) for p in wanted):
        raise RuntimeError(
            "Trying to distribute tensor with unsupported placements "
            f"{next(p for p in wanted if p.is_partial())}. Only Shard and Replicate are supported."
        )
    if isinstance(tensor, DTensor):
        if tensor._mesh is not mesh:
            raise ValueError(
                f"Cannot distribute a DTensor with device mesh {tensor._mesh} to a different "
                f"device mesh {mesh}."
            )
        return tensor
    made = _laid_out(tensor.detach().to(mesh.home), mesh, wanted)
    made.requires_grad_(tensor.requires_grad)
    return made


def distribute_module(
    module: Any, device_mesh: DeviceMesh | None = None,
    partition_fn: Callable[..., None] | None = None, input_fn: Callable[..., Any] | None = None,
    output_fn: Callable[..., Any] | None = None,
) -> Any:  # fmt: skip
    """Let `partition_fn(name, submodule, mesh)` lay parameters out; returns the module.

    Args:
        input_fn: (module, inputs, mesh) -> inputs, before each call; output_fn alike, after it.
    """
    mesh = _mesh_of(device_mesh)
    if partition_fn is not None:
        for name, submodule in module.named_modules():
            partition_fn(name, submodule, mesh)
    if input_fn is not None:
        module.register_forward_pre_hook(lambda mod, inputs: input_fn(mod, inputs, mesh))
    if output_fn is not None:
        module.register_forward_hook(lambda mod, inputs, out: output_fn(mod, out, mesh))
    return module


def _factory(name: str) -> Callable[..., DTensor]:
    def make(
        *size: Any, dtype: Any = None, layout: Any = None, requires_grad: bool = False,
        device_mesh: DeviceMesh | None = None, placements: Any = None,
    ) -> DTensor:  # fmt: skip
        mesh = _mesh_of(device_mesh)
        whole = getattr(ops, name)(*size, dtype=dtype, device=mesh.home)
        return distribute_tensor(whole.requires_grad_(requires_grad), mesh, placements)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"`torch.{name}` that lies over a mesh."
    return make


ones, zeros, empty = _factory("ones"), _factory("zeros"), _factory("empty")
rand, randn, full = _factory("rand"), _factory("randn"), _factory("full")
