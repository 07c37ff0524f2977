"""Fully sharded training of modules in place: ``fully_shard`` and what it makes of a module.

Over several devices of this process parameters lie in parts; over several processes gradients are
averaged at the end of each backward, and every process holds the parameters in full. When they are
gathered and freed is XLA's affair: what only says when changes no number, and nothing here.

Source: https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from ..._basics.devices import jax_devices
from ..._basics.errors import not_supported
from ...nn import Module, ModuleDict, ModuleList
from .. import _group
from .._packing import broadcast
from .._shard import fully_shard as lay_out
from ..tensor.placement_types import Shard
from ._unit import Unit, mark, unit_of

__all__ = [
    "CPUOffloadPolicy", "FSDPModule", "MixedPrecisionPolicy", "OffloadPolicy", "UnshardHandle",
    "fully_shard", "register_fsdp_forward_method",
]  # fmt: skip


@dataclass(frozen=True)
class MixedPrecisionPolicy:
    """The dtypes of a module's forward pass; parameters and gradients stay as they are.

    param_dtype: of parameters and, with cast_forward_inputs, of inputs.
    reduce_dtype: of the average over processes; param_dtype if None.
    output_dtype: of the results.
    """

    param_dtype: Any = None
    reduce_dtype: Any = None
    output_dtype: Any = None
    cast_forward_inputs: bool = True


@dataclass
class OffloadPolicy:
    """Nothing is offloaded."""


@dataclass
class CPUOffloadPolicy(OffloadPolicy):
    """Parameters are on the CPU between steps: where they always are, for modules on the CPU."""

    pin_memory: bool = True


class UnshardHandle:
    """What `unshard(async_op=True)` returns."""

    def wait(self) -> None:
        """Nothing to wait for: parameters are in full."""


def _refused(feature: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise not_supported(f"FSDPModule.{feature}", "gradients averaged as they are")

    refuse.__name__ = refuse.__qualname__ = feature
    refuse.__doc__ = "Refused.\n\n        Raises: NotSupportedError.\n        "
    return refuse


class FSDPModule:
    """What `fully_shard` adds to the class of a module."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A module of the class before: what a container makes of a part of itself."""
        before: Any = cls.__mro__[2]
        made: Any = before.__new__(before)
        made.__init__(*args, **kwargs)
        return made

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own forward, in the dtypes of its policy."""
        return _call(self, super().forward, args, kwargs)  # type: ignore[misc]

    def _units(self, recurse: bool = True) -> list[Unit]:
        modules = self.modules() if recurse else [self]  # type: ignore[attr-defined]
        return [unit for m in modules if (unit := unit_of(m)) is not None]

    def set_requires_gradient_sync(
        self, requires_gradient_sync: bool, *, recurse: bool = True
    ) -> None:
        """Whether the next backward passes average gradients, or only accumulate them."""
        for unit in self._units(recurse):
            if unit.averager is not None:
                unit.averager.averages = requires_gradient_sync

    def set_requires_all_reduce(self, requires_all_reduce: bool, *, recurse: bool = True) -> None:
        """Whether gradients are averaged between replicas: they are, wherever they are averaged.

        Raises: NotSupportedError for False where there are processes.
        """
        if not requires_all_reduce and any(u.averager is not None for u in self._units(recurse)):
            raise not_supported(
                "FSDPModule.set_requires_all_reduce(False)", "set_requires_gradient_sync(False)"
            )

    def unshard(self, async_op: bool = False) -> UnshardHandle | None:
        """Parameters are in full already."""
        return UnshardHandle() if async_op else None

    def reset_iter_state(self) -> None:
        """Forget gradients of a pass that failed."""
        for unit in self._units():
            if unit.averager is not None:
                unit.averager.forget()

    # When parameters are gathered and freed, and whether a pass is the last one before the step,
    # changes no number.

    def reshard(self) -> None:
        """Nothing was gathered."""

    def set_is_last_backward(self, is_last_backward: bool) -> None:
        """A hint about overlap: gradients are exchanged within `backward`, so none is late."""

    def set_reshard_after_forward(self, reshard_after_forward: bool, recurse: bool = True) -> None:
        """A hint that changes nothing: XLA decides over devices, processes keep them whole.

        Raises: ValueError for anything but a truth value.
        """
        if not isinstance(reshard_after_forward, bool):
            raise ValueError(
                f"reshard_after_forward should be a bool, got {type(reshard_after_forward)}"
            )

    def set_reshard_after_backward(
        self, reshard_after_backward: bool, *, recurse: bool = True
    ) -> None:
        """A hint that changes nothing: XLA decides over devices, processes keep them whole."""

    def set_modules_to_forward_prefetch(self, modules: list[Any]) -> None:
        """A hint that changes nothing: XLA decides over devices, processes keep them whole."""

    def set_modules_to_backward_prefetch(self, modules: list[Any]) -> None:
        """A hint that changes nothing: XLA decides over devices, processes keep them whole."""

    def set_unshard_in_backward(self, unshard_in_backward: bool) -> None:
        """A hint that changes nothing: XLA decides over devices, processes keep them whole."""

    def set_post_optim_event(self, event: Any) -> None:
        """A hint about streams: programs wait for what they read."""

    set_gradient_divide_factor = _refused("set_gradient_divide_factor")
    set_reduce_scatter_divide_factor = _refused("set_reduce_scatter_divide_factor")
    set_all_reduce_hook = _refused("set_all_reduce_hook")
    set_custom_all_gather = _refused("set_custom_all_gather")
    set_custom_reduce_scatter = _refused("set_custom_reduce_scatter")
    set_reduce_scatter_unused_params = _refused("set_reduce_scatter_unused_params")
    set_force_sum_reduction_for_comms = _refused("set_force_sum_reduction_for_comms")
    set_allocate_memory_from_process_group_for_comm = _refused(
        "set_allocate_memory_from_process_group_for_comm"
    )


def _call(module: Any, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    policy: MixedPrecisionPolicy = module.__dict__["_fsdp_policy"]
    unit = unit_of(module)
    assert unit is not None
    return unit.run(function, args, kwargs, policy.cast_forward_inputs, policy.output_dtype)


def _no_copy(self: Any, memo: Any) -> NoReturn:
    raise AssertionError("FSDP does not support deepcopy. Please use state dict for serialization.")


@functools.cache
def _class_of(before: Any) -> Any:
    space = {"__deepcopy__": _no_copy, "__module__": before.__module__}
    return type(f"FSDP{before.__name__}", (FSDPModule, before), space)


def fully_shard(
    module: Any, *, mesh: Any = None, reshard_after_forward: bool | int | None = None,
    shard_placement_fn: Callable[[Any], Any] | None = None,
    mp_policy: MixedPrecisionPolicy = MixedPrecisionPolicy(),
    offload_policy: OffloadPolicy = OffloadPolicy(),  # noqa: B008  (has no state)
    ignored_params: Iterable[Any] | None = None, dp_mesh_dims: Any = None,
) -> Any:  # fmt: skip
    """Train a module fully sharded; it becomes an :class:`FSDPModule` in place, and is returned.

    Call it on the parts of a model first, on the whole last. Over processes parameters become those
    of rank 0.

    Args:
        module: the module, or several.
        mesh: the devices of this process or the ranks of the job; all if None.
        reshard_after_forward: changes nothing: XLA decides what is gathered when.
        shard_placement_fn: gives the `Shard` by which a parameter lies over devices, or None.
        mp_policy: the dtypes of its forward pass.
        ignored_params: parameters that are left alone.
    Raises: ValueError for containers without a forward, RuntimeError for a second call;
        NotSupportedError for `CPUOffloadPolicy` elsewhere than on the CPU, `dp_mesh_dims`, other
        placements, and a `reduce_dtype` over devices of one process that is not the dtype gradients
        are computed in.
    Differs from torch: parameters stay `Parameter`s of their own shapes.

    Example:
        >>> for block in model.blocks:
        ...     fully_shard(block)
        >>> fully_shard(model)
    """
    if dp_mesh_dims is not None:
        raise not_supported("fully_shard(dp_mesh_dims=...)", "a mesh of the data-parallel ranks")
    ignored = {id(p) for p in ignored_params or ()}
    modules = module if isinstance(module, list) else [module]
    for each in modules:
        _check(each, offload_policy)
    for each in modules:
        averaging = _averaging(mesh)
        unit = Unit(each, averaging, mp_policy.param_dtype, mp_policy.reduce_dtype, ignored)
        mark(each, unit)
        if averaging is not None:
            broadcast(averaging, unit.parameters())
        else:
            _over_devices(each, mesh, unit, ignored, shard_placement_fn)
        each.__dict__["_fsdp_policy"] = mp_policy
        each.__class__ = _class_of(type(each))  # type: ignore[arg-type]
    return module


def _check(module: Any, offload_policy: OffloadPolicy) -> None:
    if isinstance(module, FSDPModule):
        raise RuntimeError("fully_shard has been applied to this module already.")
    without = type(module).forward is Module.forward
    if isinstance(module, ModuleList | ModuleDict) and without:
        raise ValueError(
            f"fully_shard does not support containers that do not implement forward: {module}"
        )
    elsewhere = any(p.device.type != "cpu" for p in module.parameters())
    if isinstance(offload_policy, CPUOffloadPolicy) and elsewhere:
        raise not_supported("fully_shard(offload_policy=CPUOffloadPolicy())", "more devices")


def _averaging(mesh: Any) -> Any:
    """The processes that average gradients; None in a single one."""
    if mesh is not None:
        return mesh.everybody() if mesh.is_over_processes else None
    several = _group.is_initialized() and _group.get_world_size() > 1
    return _group.group.WORLD if several else None


def _over_devices(module: Any, mesh: Any, unit: Unit, ignored: set[int], placement: Any) -> None:
    home = next((p.device.type for p in module.parameters()), "cpu")
    if mesh is None and len(jax_devices(home)) == 1:
        return
    if mesh is None or mesh.size() > 1:
        unit.check_reduction()
    axes = ("data",) if mesh is None else mesh.mesh_dim_names

    def spec_of(name: str, tensor: Any) -> Any:
        if id(tensor) in ignored:
            return ()
        wanted = None if placement is None else placement(tensor)
        if wanted is None:
            return None
        if not isinstance(wanted, Shard):
            raise not_supported("placements of fully_shard other than Shard", "Shard(dim)")
        return (*[None] * (wanted.dim % tensor.dim()), axes)

    lay_out(module, mesh=mesh, rules=spec_of)


def register_fsdp_forward_method(module: Any, method_name: str) -> None:
    """Let another method of the module compute as its forward does.

    Raises: ValueError for a method that it lacks. Modules that are not fully sharded stay as are.
    """
    if not isinstance(module, FSDPModule):
        return
    if not hasattr(module, method_name):
        raise ValueError(f"{type(module)} does not have a method {method_name}")
    original = getattr(module, method_name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return _call(module, original, args, kwargs)

    setattr(module, method_name, wrapped)
