"""The wrapper class of fully sharded training.

Over several devices of this process parameters, gradients and optimizer state lie in parts
(`shard`). Over several processes gradients are averaged at the end of each backward, and every
process holds the parameters in full.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..._autograd.grad_mode import no_grad
from ..._autograd.tensor_base import TensorBase
from ..._basics.devices import device as Device, jax_devices
from ..._basics.errors import not_supported
from ...nn import Module
from ...nn.utils.clip_grad import clip_grad_norm_
from .. import _group, _objects
from .._packing import broadcast
from .._shard import fully_shard
from ..checkpoint import state_dict as _states
from ._unit import Unit, mark
from .api import (
    CPUOffload,
    MixedPrecision,
    ShardingStrategy,
    StateDictSettings,
    StateDictType,
)
from .wrap import wrap_inside

__all__ = ["FullyShardedDataParallel"]

_INSIDE = "_fsdp_wrapped_module."


class FullyShardedDataParallel(Module):
    """A module whose parameters lie in parts.

    Args:
        module: on one device; its parameters are laid out in place.
        process_group: the processes that average gradients; all if None.
        sharding_strategy: ``NO_SHARD`` leaves parameters in full on every device. Over processes
            all strategies are the same: every process holds them in full.
        auto_wrap_policy: which modules inside become wrappers of their own.
        mixed_precision: dtypes of the forward pass, and of the average over processes.
        device_id: where the module is moved first.
        device_mesh: the devices, or the ranks; all if None.
        sync_module_states: parameters become those of rank 0 always; with it buffers do, too.
        backward_prefetch, forward_prefetch, limit_all_gathers: when PyTorch gathers parameters.
            No number depends on it, and XLA schedules what a program gathers.
        use_orig_params: parameters are always the module's own.
    Raises: NotSupportedError for ignored modules, offloading, `keep_low_precision_grads`, a pair of
        process groups, and a `reduce_dtype` over the devices of one process that is not the dtype
        gradients are computed in.
    Differs from torch: parameters keep their shapes, and states are always in full.
    """

    def __init__(
        self, module: Any, process_group: Any = None,
        sharding_strategy: ShardingStrategy | None = None, cpu_offload: CPUOffload | None = None,
        auto_wrap_policy: Any = None, backward_prefetch: Any = None,
        mixed_precision: MixedPrecision | None = None, ignored_modules: Any = None,
        param_init_fn: Any = None, device_id: Any = None, sync_module_states: bool = False,
        forward_prefetch: bool = False, limit_all_gathers: bool = True,
        use_orig_params: bool = False, ignored_states: Any = None, device_mesh: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if ignored_modules or ignored_states:
            raise not_supported("FSDP(ignored_modules=...)", "torch.distributed.shard with rules")
        if cpu_offload is not None and cpu_offload.offload_params:
            raise not_supported("FSDP(cpu_offload=...)", "more devices, or checkpointing")
        if isinstance(process_group, tuple):
            raise not_supported("FSDP(process_group=(..., ...))", "one group, or a device_mesh")
        if auto_wrap_policy is not None:
            inner = {
                "process_group": process_group, "sharding_strategy": sharding_strategy,
                "mixed_precision": mixed_precision, "param_init_fn": param_init_fn,
                "device_id": device_id, "sync_module_states": sync_module_states,
                "device_mesh": device_mesh,
            }  # fmt: skip
            wrap_inside(module, auto_wrap_policy, FullyShardedDataParallel, inner)
        if param_init_fn is not None:
            module.apply(param_init_fn)
        if device_id is not None:
            module.to(device_id if isinstance(device_id, Device) else Device("cuda", device_id))
        self.mixed_precision = mixed_precision or MixedPrecision()
        self.sharding_strategy = sharding_strategy or ShardingStrategy.FULL_SHARD
        self._settings = StateDictSettings()
        self._is_root = True
        for wrapper in FullyShardedDataParallel.fsdp_modules(module):
            wrapper._is_root = False
        self._fsdp_wrapped_module = module
        kept = self.mixed_precision._module_classes_to_ignore if auto_wrap_policy else ()
        self._buffers_cast = False
        self._begin(process_group, device_mesh, tuple(kept), sync_module_states)
        _rename_when_loading(self)

    def _begin(
        self, group: Any, mesh: Any, kept: tuple[type, ...], sync_module_states: bool
    ) -> None:
        """Lay the module out, or have its gradients averaged."""
        precision, module = self.mixed_precision, self._fsdp_wrapped_module
        if precision.keep_low_precision_grads:
            raise not_supported(
                "MixedPrecision(keep_low_precision_grads=True)", "gradients in parameters' dtype"
            )
        home = next((p.device.type for p in module.parameters()), "cpu")
        averaging = None
        if mesh is not None and mesh.is_over_processes:
            averaging = mesh.everybody()
        elif _group.is_initialized() and _group.get_world_size(group) > 1:
            averaging = _group.resolve(group)
        self.process_group = averaging if averaging is not None else group
        compute = precision.param_dtype
        unit = self._unit = Unit(module, averaging, compute, precision.reduce_dtype, kept=kept)
        mark(self, unit)
        for owner in unit.owners():
            if isinstance(owner, kept) and compute is not None:
                _compute_apart(owner)
        if averaging is not None:
            buffers = list(module.buffers()) if sync_module_states else []
            broadcast(averaging, [*unit.parameters(), *buffers])
        elif mesh is not None or len(jax_devices(home)) > 1:
            unit.check_reduction()
            if self.sharding_strategy is not ShardingStrategy.NO_SHARD:
                fully_shard(module, mesh=mesh)

    @property
    def module(self) -> Any:
        """The module that is wrapped."""
        return self._fsdp_wrapped_module

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_fsdp_wrapped_module"), name)

    def __getitem__(self, key: int) -> Any:
        return self.module[key]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module, in the dtype of `mixed_precision`."""
        precision = self.mixed_precision
        if precision.buffer_dtype is not None and not self._buffers_cast:
            self._cast_buffers(precision.buffer_dtype)
        root = self._is_root
        casts = precision.cast_root_forward_inputs if root else precision.cast_forward_inputs
        return self._unit.run(self._fsdp_wrapped_module, args, kwargs, casts)

    def _cast_buffers(self, dtype: Any) -> None:
        self._buffers_cast = True
        for owner in self._unit.owners():
            for name, b in owner._buffers.items():
                wanted = b is not None and not isinstance(owner, self._unit.kept)
                if wanted and b.is_floating_point():
                    owner._buffers[name] = b.to(dtype)

    # --- states: those of the module that is wrapped ---

    def _hides(self, config: Any) -> bool:
        """Whether a state is empty in this rank."""
        return bool(getattr(config, "rank0_only", False)) and self._rank() != 0

    def _rank(self) -> int:
        return _group.get_rank(self.process_group) if _group.is_initialized() else 0

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The state of the module, by its own names."""
        if self._hides(self._settings.state_dict_config):
            return kwargs.get("destination", args[0] if args else OrderedDict())
        found = self.module.state_dict(*args, **kwargs)
        if getattr(self._settings.state_dict_config, "offload_to_cpu", False):
            for name, value in found.items():
                if isinstance(value, TensorBase):
                    found[name] = value.cpu()  # type: ignore[attr-defined]
        return found

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Give the module its state."""
        return self.module.load_state_dict(state_dict, strict=strict, assign=assign)

    @staticmethod
    def fsdp_modules(module: Any, root_only: bool = False) -> list[Any]:
        """The wrappers inside of `module`."""
        found = [m for m in module.modules() if isinstance(m, FullyShardedDataParallel)]
        return [m for m in found if m._is_root] if root_only else found

    def check_is_root(self) -> bool:
        """Whether this is the outermost wrapper."""
        return self._is_root

    @staticmethod
    def set_state_dict_type(
        module: Any, state_dict_type: StateDictType, state_dict_config: Any = None,
        optim_state_dict_config: Any = None,
    ) -> StateDictSettings:  # fmt: skip
        """Choose the form of states; returns what was chosen before.

        Raises: NotSupportedError for flat parameters of a rank, which there are none of.
        """
        if state_dict_type is StateDictType.LOCAL_STATE_DICT:
            raise not_supported("StateDictType.LOCAL_STATE_DICT", "FULL_STATE_DICT")
        before = StateDictSettings()
        given = {"state_dict_config": state_dict_config,
                 "optim_state_dict_config": optim_state_dict_config}  # fmt: skip
        chosen = {k: v for k, v in given.items() if v is not None}
        for wrapper in FullyShardedDataParallel.fsdp_modules(module):
            before = wrapper._settings
            wrapper._settings = StateDictSettings(state_dict_type, **chosen)
        return before

    @staticmethod
    def get_state_dict_type(module: Any) -> StateDictSettings:
        """What was chosen."""
        found = FullyShardedDataParallel.fsdp_modules(module)
        return found[0]._settings if found else StateDictSettings()

    @staticmethod
    @contextmanager
    def state_dict_type(
        module: Any, state_dict_type: StateDictType, state_dict_config: Any = None,
        optim_state_dict_config: Any = None,
    ) -> Iterator[None]:  # fmt: skip
        """`set_state_dict_type` inside the block."""
        before = FullyShardedDataParallel.set_state_dict_type(
            module, state_dict_type, state_dict_config, optim_state_dict_config
        )
        try:
            yield
        finally:
            for wrapper in FullyShardedDataParallel.fsdp_modules(module):
                wrapper._settings = before

    @staticmethod
    def optim_state_dict(
        model: Any, optim: Any, optim_state_dict: Any = None, group: Any = None
    ) -> dict[str, Any]:
        """The optimizer's state, by names of parameters; empty where `rank0_only` says so.

        Raises: NotSupportedError for a state to transform in place of the optimizer's own.
        """
        if optim_state_dict is not None:
            raise not_supported("FSDP.optim_state_dict(optim_state_dict=...)", "the optimizer's")
        settings = FullyShardedDataParallel.get_state_dict_type(model)
        config = settings.optim_state_dict_config
        rank0_only = bool(getattr(config, "rank0_only", False))
        return _named_state(model, optim, rank0_only, group, config.offload_to_cpu)

    @staticmethod
    def full_optim_state_dict(
        model: Any, optim: Any, optim_input: Any = None, rank0_only: bool = True, group: Any = None
    ) -> dict[str, Any]:
        """The optimizer's state, by names of parameters, in rank 0 or everywhere.

        `optim_input` is not needed: the optimizer's own groups count.
        """
        return _named_state(model, optim, rank0_only, group, True)

    @staticmethod
    def sharded_optim_state_dict(model: Any, optim: Any, group: Any = None) -> dict[str, Any]:
        """The optimizer's state, by names of parameters, in full."""
        return _named_state(model, optim, False, group, False)

    @staticmethod
    def optim_state_dict_to_load(
        model: Any, optim: Any, optim_state_dict: dict[str, Any],
        is_named_optimizer: bool = False, load_directly: bool = False, group: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """A state by names as `optim.load_state_dict` takes it; with `load_directly` it has.

        Where the settings say `rank0_only`, the state of rank 0 counts.
        Raises: NotSupportedError for optimizers that name parameters.
        """
        if is_named_optimizer:
            raise not_supported("optim_state_dict_to_load(is_named_optimizer=True)", "leaving out")
        settings = FullyShardedDataParallel.get_state_dict_type(model)
        if getattr(settings.optim_state_dict_config, "rank0_only", False):
            optim_state_dict = _of_rank_0(optim_state_dict, group)
        found = _states.by_number(_bare(model), optim, optim_state_dict)
        if load_directly:
            optim.load_state_dict(found)
        return found

    @staticmethod
    def shard_full_optim_state_dict(
        full_optim_state_dict: dict[str, Any], model: Any, optim_input: Any = None,
        optim: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """A full state by names as `optim.load_state_dict` takes it; the optimizer is needed.

        Raises: NotSupportedError without it.
        """
        if optim is None:
            raise not_supported("shard_full_optim_state_dict(optim_input=...)", "optim=")
        return _states.by_number(_bare(model), optim, full_optim_state_dict)

    @staticmethod
    def scatter_full_optim_state_dict(
        full_optim_state_dict: dict[str, Any] | None, model: Any, optim_input: Any = None,
        optim: Any = None, group: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """`shard_full_optim_state_dict` of what rank 0 has."""
        whole = _of_rank_0(full_optim_state_dict, group)
        return FullyShardedDataParallel.shard_full_optim_state_dict(
            whole, model, optim_input, optim
        )

    @staticmethod
    @contextmanager
    def summon_full_params(
        module: Any, recurse: bool = True, writeback: bool = True, rank0_only: bool = False,
        offload_to_cpu: bool = False, with_grads: bool = False,
    ) -> Iterator[None]:  # fmt: skip
        """A block in which parameters and gradients are in full, as they always are.

        Args:
            writeback: False undoes what the block writes to parameters.
            recurse, rank0_only, with_grads: change nothing, for nothing has to be gathered.
        Raises: NotImplementedError for `writeback` with `rank0_only`, NotSupportedError for
            `offload_to_cpu` where parameters are elsewhere.
        """
        if writeback and rank0_only:
            raise NotImplementedError("writeback=True and rank0_only=True is not supported yet")
        params = list(module.parameters())
        if offload_to_cpu and any(p.device.type != "cpu" for p in params):
            raise not_supported("summon_full_params(offload_to_cpu=True)", "p.cpu() in the block")
        before = [] if writeback else [p.detach().clone() for p in params]
        try:
            yield
        finally:
            with no_grad():
                for param, value in zip(params, before, strict=False):
                    param.copy_(value)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """A block without averaging over processes."""
        wrappers = FullyShardedDataParallel.fsdp_modules(self)
        averagers = [w._unit.averager for w in wrappers if w._unit.averager is not None]
        before = [a.averages for a in averagers]
        for averager in averagers:
            averager.averages = False
        try:
            yield
        finally:
            for averager, flag in zip(averagers, before, strict=True):
                averager.averages = flag

    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> Any:
        """Clip the gradients by their norm over all parts; returns the norm."""
        return clip_grad_norm_(self.parameters(), max_norm, norm_type)

    def register_comm_hook(self, state: Any, hook: Any) -> None:
        """Refused.

        Raises: NotSupportedError.
        """
        raise not_supported("FSDP.register_comm_hook", "DistributedDataParallel.register_comm_hook")


def _bare(model: Any) -> Any:
    return model.module if isinstance(model, FullyShardedDataParallel) else model


def _named_state(
    model: Any, optim: Any, rank0_only: bool, group: Any, offload: bool
) -> dict[str, Any]:
    options = _states.StateDictOptions(cpu_offload=offload)
    found = _states.get_optimizer_state_dict(_bare(model), optim, options=options)
    several = _group.is_initialized() and _group.get_world_size(group) > 1
    return {} if rank0_only and several and _group.get_rank(group) != 0 else found


def _of_rank_0(value: Any, group: Any) -> Any:
    if not _group.is_initialized() or _group.get_world_size(group) == 1:
        return value
    holder = [value]
    _objects.broadcast_object_list(holder, group=group, group_src=0)
    return holder[0]


def _rename_when_loading(wrapper: FullyShardedDataParallel) -> None:
    """Let a module around load states by bare names."""

    def rename(state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in list(state_dict):
            if name.startswith(prefix) and not name.startswith(prefix + _INSIDE):
                state_dict[prefix + _INSIDE + name[len(prefix) :]] = state_dict.pop(name)

    wrapper._register_load_state_dict_pre_hook(rename)


def _compute_apart(module: Any) -> None:
    """Let a module compute in float32, with inputs and results in what is around."""
    dtypes: list[Any] = []

    def before(owner: Any, args: Any) -> Any:
        dtypes[:] = [x.dtype for x in args[:1] if isinstance(x, TensorBase)]
        wide = next((p.dtype for p in owner.parameters()), None)
        return tuple(
            x.to(wide) if wide is not None and isinstance(x, TensorBase) else x for x in args
        )

    def after(owner: Any, args: Any, output: Any) -> Any:
        return output.to(dtypes[0]) if dtypes and isinstance(output, TensorBase) else output

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)
