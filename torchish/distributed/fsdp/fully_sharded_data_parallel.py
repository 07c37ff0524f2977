"""The wrapper class of fully sharded training.

Over several devices of this process parameters, gradients and optimizer state lie in parts
(`fully_shard`). Over several processes gradients are averaged as DistributedDataParallel does, and
every process holds the parameters in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics.devices import device as Device, jax_devices
from ..._basics.errors import not_supported
from ...func import functional_call
from ...nn import Module
from ...nn.parallel import DistributedDataParallel
from ...nn.parallel.spmd import map_tensors
from ...nn.utils.clip_grad import clip_grad_norm_
from .. import _group
from .._shard import fully_shard
from ..checkpoint import state_dict as _states
from .api import (
    CPUOffload,
    MixedPrecision,
    ShardingStrategy,
    StateDictSettings,
    StateDictType,
)

__all__ = ["FullyShardedDataParallel"]


class FullyShardedDataParallel(Module):
    """A module whose parameters lie in parts.

    Args:
        module: on one device; its parameters are laid out in place.
        sharding_strategy: ``NO_SHARD`` leaves parameters in full on every device.
        mixed_precision: dtypes that its forward pass computes in.
        device_id: where the module is moved first.
        device_mesh: the devices; all of this process if None.
        auto_wrap_policy, backward_prefetch, forward_prefetch, limit_all_gathers, use_orig_params,
            sync_module_states: accepted; XLA gathers what a program needs, tensor by tensor.
    Raises: NotSupportedError for ignored modules, offloading, or parameters on the meta device.
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
        if param_init_fn is not None:
            module.apply(param_init_fn)
        if device_id is not None:
            module.to(device_id if isinstance(device_id, Device) else Device("cuda", device_id))
        self.mixed_precision = mixed_precision or MixedPrecision()
        self.sharding_strategy = sharding_strategy or ShardingStrategy.FULL_SHARD
        self.process_group = process_group
        self._fsdp_wrapped_module = self._spread(module, device_mesh)
        self._settings = StateDictSettings()

    def _spread(self, module: Any, mesh: Any) -> Any:
        if _group.is_initialized() and _group.get_world_size(self.process_group) > 1:
            return DistributedDataParallel(module, process_group=self.process_group)
        home = next((p.device.type for p in module.parameters()), "cpu")
        several = mesh is not None or len(jax_devices(home)) > 1
        if several and self.sharding_strategy is not ShardingStrategy.NO_SHARD:
            return fully_shard(module, mesh=mesh)
        return module

    @property
    def module(self) -> Any:
        """The module that is wrapped."""
        inner = self._fsdp_wrapped_module
        return inner.module if isinstance(inner, DistributedDataParallel) else inner

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)

    def __getitem__(self, key: int) -> Any:
        return self.module[key]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module, in the dtype of `mixed_precision`."""
        wanted = self.mixed_precision.param_dtype
        if wanted is None:
            return self._fsdp_wrapped_module(*args, **kwargs)

        def cast(x: Any) -> Any:
            return x.to(wanted) if x.is_floating_point() else x

        inner, ignored = self._fsdp_wrapped_module, self._left_alone()
        tensors: dict[str, Any] = {
            name: p if name in ignored else cast(p) for name, p in inner.named_parameters()
        }
        buffers = self.mixed_precision.buffer_dtype
        for name, b in inner.named_buffers():
            if buffers is not None and b.is_floating_point() and name not in ignored:
                tensors[name] = b.to(buffers)
        if self.mixed_precision.cast_root_forward_inputs:
            args, kwargs = map_tensors(cast, args), map_tensors(cast, kwargs)
        return functional_call(inner, tensors, args, kwargs)

    def _left_alone(self) -> set[str]:
        kinds: Any = tuple(self.mixed_precision._module_classes_to_ignore)
        found: set[str] = set()
        for prefix, sub in self._fsdp_wrapped_module.named_modules():
            if isinstance(sub, kinds):
                lead = f"{prefix}." if prefix else ""
                both = [*sub.named_parameters(recurse=False), *sub.named_buffers(recurse=False)]
                found.update(lead + name for name, _ in both)
        return found

    # --- states: those of the module that is wrapped ---

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The state of the module, by its own names."""
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
        return found[:1] if root_only else found

    def check_is_root(self) -> bool:
        """True: each wrapper stands for itself."""
        return True

    @staticmethod
    def set_state_dict_type(
        module: Any, state_dict_type: StateDictType, state_dict_config: Any = None,
        optim_state_dict_config: Any = None,
    ) -> StateDictSettings:  # fmt: skip
        """Choose the form of states (all are in full); returns what was chosen before."""
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
        """The optimizer's state, by names of parameters."""
        inner = model.module if isinstance(model, FullyShardedDataParallel) else model
        return _states.get_optimizer_state_dict(inner, optim)

    full_optim_state_dict = sharded_optim_state_dict = optim_state_dict

    @staticmethod
    def optim_state_dict_to_load(
        model: Any, optim: Any, optim_state_dict: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """A state by names as `optim.load_state_dict` takes it."""
        inner = model.module if isinstance(model, FullyShardedDataParallel) else model
        return _states.by_number(inner, optim, optim_state_dict)

    @staticmethod
    @contextmanager
    def summon_full_params(module: Any, *args: Any, **kwargs: Any) -> Iterator[None]:
        """A block in which parameters are in full: reading one gives all of it, always."""
        yield

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """A block without averaging over processes."""
        inner = self._fsdp_wrapped_module
        if isinstance(inner, DistributedDataParallel):
            with inner.no_sync():
                yield
        else:
            yield

    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> Any:
        """Clip the gradients by their norm over all parts; returns the norm."""
        return clip_grad_norm_(self.parameters(), max_norm, norm_type)
