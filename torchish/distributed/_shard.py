"""Modules whose tensors lie in parts over a mesh of devices: ``shard`` and ``fully_shard``.

The training loop stays as it is: XLA partitions the programs it records (GSPMD). Parameters,
gradients and optimizer state lie alike, cut along the dimensions that the rules name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .._autograd.apply import apply_kernel
from .._autograd.tensor_base import from_value
from .._basics.devices import jax_devices
from .._basics.errors import not_supported
from .._core.placement import Placement
from . import _group
from ._mesh import DeviceMesh, init_device_mesh

Spec = Sequence[Any]
Rules = Mapping[str, Spec] | Sequence[tuple[str, Spec]] | Callable[[str, Any], Spec]


def _axes(entry: Any) -> tuple[str, ...]:
    if entry is None:
        return ()
    return (entry,) if isinstance(entry, str) else tuple(entry)


def _checked(name: str, shape: Sequence[int], spec: Spec, mesh: DeviceMesh) -> Spec:
    """The spec, if it fits a tensor of this shape.

    Raises: ValueError.
    """
    sizes = dict(zip(mesh.mesh_dim_names, mesh.shape, strict=True))
    used = [axis for entry in spec for axis in _axes(entry)]
    if len(spec) > len(shape):
        raise ValueError(f"{name}: the spec {tuple(spec)} is longer than the shape {tuple(shape)}")
    for axis in used:
        if axis not in sizes:
            raise ValueError(f"{name}: the mesh has no dimension {axis!r}, only {tuple(sizes)}")
    if len(set(used)) < len(used):
        raise ValueError(f"{name}: a mesh dimension occurs twice in {tuple(spec)}")
    for length, entry in zip(shape, spec, strict=False):
        parts = math.prod(sizes[axis] for axis in _axes(entry))
        if length % parts:
            raise ValueError(
                f"{name}: a dimension of length {length} cannot be cut into {parts} equal parts "
                f"({tuple(spec)} on shape {tuple(shape)})"
            )
    return spec


def _by_rules(rules: Rules | None) -> Callable[[str, Any], Spec]:
    if rules is None:
        return lambda name, tensor: ()
    if callable(rules):
        return rules
    pairs = list(rules.items() if isinstance(rules, Mapping) else rules)

    def find(name: str, tensor: Any) -> Spec:
        return next((spec for pattern, spec in pairs if re.search(pattern, name)), ())

    return find


def _lay_out(name: str, tensor: Any, spec: Spec, mesh: DeviceMesh) -> None:
    if tensor.device != mesh.home:
        raise RuntimeError(
            f"module must have its parameters and buffers on device {mesh.home} (the mesh's "
            f"first) but found one of them on device: {tensor.device}"
        )
    if tensor._layout is not None or tensor._storage.strides is not None:
        tensor.data = tensor.detach().contiguous().clone()  # memory of its own, in its shape
    storage = tensor._storage
    placement = Placement(mesh.jax, _checked(name, tuple(tensor.shape), spec, mesh))
    storage._value = placement.place(storage._value)
    storage.writes += 1
    storage.placement = placement


def pinned(tensor: Any, placement: Placement) -> Any:
    """The tensor, laid out in the program that uses it."""
    return apply_kernel(placement.kernel(tensor._aval), (tensor,))[0]


def spec_of_placements(mesh: DeviceMesh, placements: Sequence[Any], ndim: int) -> Spec:
    """For each dimension of a tensor the mesh dimensions that `Shard` placements cut it by."""
    entries: list[tuple[str, ...]] = [() for _ in range(ndim)]
    for name, placement in zip(mesh.mesh_dim_names, placements, strict=True):
        if placement.is_shard():
            entries[placement.dim % ndim] += (name,)
    return [e if len(e) > 1 else e[0] if e else None for e in entries]


def fits(mesh: DeviceMesh, spec: Spec, shape: Sequence[int]) -> bool:
    """Whether the parts are equal, as devices hold them."""
    sizes = dict(zip(mesh.mesh_dim_names, mesh.shape, strict=True))
    return all(
        n % math.prod(sizes[a] for a in _axes(entry)) == 0
        for n, entry in zip(shape, spec, strict=True)
    )


def _batch_hook(mesh: DeviceMesh, axes: tuple[str, ...]) -> Callable[..., Any]:
    """A forward pre-hook that cuts the tensors among a module's arguments along dimension 0."""
    from ..nn.parallel.spmd import map_tensors

    parts = math.prod(mesh.jax.shape[a] for a in axes)
    placement = Placement(mesh.jax, (axes,))

    def cut(tensor: Any) -> Any:
        fits = tensor.dim() and tensor.shape[0] % parts == 0 and tensor.device == mesh.home
        return pinned(tensor, placement) if fits else tensor

    def hook(module: Any, args: Any, kwargs: Any) -> Any:
        return map_tensors(cut, args), map_tensors(cut, kwargs)

    return hook


def _lay_out_state(optimizer: Any, args: Any, kwargs: Any) -> None:
    """Before a step: state that came from elsewhere (a checkpoint) lies as its parameter does."""
    for param, state in optimizer.state.items():
        placement = param._storage.placement
        if placement is None:
            continue
        for name, value in state.items():
            same = getattr(value, "shape", None) == param.shape
            if same and value._storage.placement is None:
                state[name] = made = from_value(placement.place(value._value()))
                made._storage.placement = placement


_hooked: list[Any] = []


def _tensors(module: Any) -> Iterator[tuple[str, Any]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def shard(module: Any, mesh: DeviceMesh, rules: Rules | None = None, *, batch: Any = "data") -> Any:
    """Lay a module's parameters and buffers out over a mesh; returns the module.

    Gradients and optimizer state lie as the parameters do. What the module is called with is cut
    along dimension 0 over the mesh dimension `batch`, if the mesh has it and the length allows.

    Args:
        module: on the mesh's first device. Moving it afterwards undoes the layout.
        mesh: from `init_device_mesh`.
        rules: pattern of a name -> for each dimension a mesh dimension's name, several, or None;
            the first pattern found in the name counts, no match means in full on every device.
            Or a function of name and tensor.
        batch: mesh dimensions that cut the batch.

    Raises: ValueError for a spec that does not fit, RuntimeError for a module elsewhere.

    Example:
        >>> mesh = init_device_mesh("cuda", (2, 4), mesh_dim_names=("data", "model"))
        >>> shard(model, mesh, {r"linear1\\.weight": ("model", None)})
    """
    spec_of = _by_rules(rules)
    specs = [(n, t, _checked(n, tuple(t.shape), spec_of(n, t), mesh)) for n, t in _tensors(module)]
    for name, tensor, spec in specs:
        lay_out_parameter(name, tensor, spec, mesh)
    axes = tuple(a for a in _axes(batch) if a in mesh.mesh_dim_names)
    if axes:
        module.register_forward_pre_hook(_batch_hook(mesh, axes), with_kwargs=True)
    return module


def _lay_out_states() -> None:
    """From now on, optimizers' state lies as their parameters do."""
    from ..optim.optimizer import register_optimizer_step_pre_hook

    if not _hooked:
        _hooked.append(register_optimizer_step_pre_hook(_lay_out_state))


def lay_out_parameter(name: str, tensor: Any, spec: Spec, mesh: DeviceMesh) -> None:
    """Lay a parameter or buffer out, and its gradient and optimizer state with it.

    Raises: ValueError for a spec that does not fit, RuntimeError for a tensor elsewhere.
    """
    _lay_out(name, tensor, spec, mesh)
    if tensor.requires_grad:
        placement = tensor._storage.placement
        tensor.register_hook(lambda grad: pinned(grad, placement))
    _lay_out_states()


def fully_shard(
    module: Any, *, mesh: DeviceMesh | None = None,
    reshard_after_forward: bool | int | None = None, rules: Rules | None = None,
) -> Any:  # fmt: skip
    """Cut every parameter over all devices of a mesh, and the batch too; returns the module.

    Each tensor is cut along its longest dimension that the number of devices divides; one that has
    none stays in full on every device.

    Args:
        mesh: all GPUs of this process in a row if None.
        reshard_after_forward: changes nothing: XLA decides what is gathered when.
        rules: as `shard` takes them; where one gives None the rule above holds.
    Raises: NotSupportedError in a job of several processes.
    """
    several = _group.is_initialized() and _group.get_world_size() > 1
    if several and (mesh is None or mesh.is_over_processes):
        raise not_supported(
            "torchish.distributed.fully_shard over processes", "torch.distributed.fsdp.fully_shard"
        )
    if mesh is None:
        home = next(module.parameters()).device.type
        mesh = init_device_mesh(home, (len(jax_devices(home)),), mesh_dim_names=("data",))
    axes, count = mesh.mesh_dim_names, mesh.size()
    chosen = _by_rules(rules) if rules is not None else lambda name, tensor: None

    def spec_of(name: str, tensor: Any) -> Spec:
        given = chosen(name, tensor)
        if given is not None:
            return given
        fitting = [d for d, n in enumerate(tensor.shape) if n and n % count == 0]
        if not fitting:
            return ()
        best = max(fitting, key=lambda d: tensor.shape[d])
        return (*[None] * best, axes)

    return shard(module, mesh, spec_of, batch=axes)


def local_bytes(tensors: Sequence[Any]) -> dict[int, int]:
    """How many bytes of these tensors each JAX device holds, by the device's id."""
    held: dict[int, int] = {}
    for tensor in tensors:
        array = tensor._storage.value.read()
        if isinstance(array, np.ndarray):
            continue
        for part in array.addressable_shards:
            held[part.device.id] = held.get(part.device.id, 0) + part.data.nbytes
    return held


__all__ = ["DeviceMesh", "fully_shard", "init_device_mesh", "local_bytes", "shard"]
