"""Settings of FullyShardedDataParallel.

`BackwardPrefetch` (and `forward_prefetch`, `limit_all_gathers`) say when PyTorch gathers
parameters; no number depends on them, and XLA schedules what a program gathers. What would change a
result is followed or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from ...nn.modules.batchnorm import _BatchNorm

__all__ = [
    "BackwardPrefetch", "CPUOffload", "FullOptimStateDictConfig", "FullStateDictConfig",
    "LocalOptimStateDictConfig", "LocalStateDictConfig", "MixedPrecision", "OptimStateDictConfig",
    "ShardedOptimStateDictConfig", "ShardedStateDictConfig", "ShardingStrategy",
    "StateDictConfig", "StateDictSettings", "StateDictType",
]  # fmt: skip


class ShardingStrategy(Enum):
    """What is cut: all of it, or (NO_SHARD) nothing."""

    FULL_SHARD = auto()
    SHARD_GRAD_OP = auto()
    NO_SHARD = auto()
    HYBRID_SHARD = auto()
    _HYBRID_SHARD_ZERO2 = auto()


class BackwardPrefetch(Enum):
    """When parameters are gathered in backward: XLA decides."""

    BACKWARD_PRE = auto()
    BACKWARD_POST = auto()


@dataclass
class MixedPrecision:
    """The dtype that a forward pass computes in, and that gradients are averaged in over processes;
    parameters and gradients stay as they are.

    buffer_dtype: buffers become it before the first forward.
    cast_root_forward_inputs, cast_forward_inputs: whether the outermost wrapper, or another one,
        casts its inputs to param_dtype.
    _module_classes_to_ignore: with a wrap policy, modules that compute as without all this.
    """

    param_dtype: Any = None
    reduce_dtype: Any = None
    buffer_dtype: Any = None
    keep_low_precision_grads: bool = False
    cast_forward_inputs: bool = False
    cast_root_forward_inputs: bool = True
    _module_classes_to_ignore: Sequence[type] = (_BatchNorm,)


@dataclass
class CPUOffload:
    """Whether parameters are on the CPU between steps."""

    offload_params: bool = False


class StateDictType(Enum):
    """Which form a state has: FULL and SHARDED are both in full here, LOCAL is refused."""

    FULL_STATE_DICT = auto()
    LOCAL_STATE_DICT = auto()
    SHARDED_STATE_DICT = auto()


@dataclass
class StateDictConfig:
    """Base of the settings of states."""

    offload_to_cpu: bool = False


@dataclass
class FullStateDictConfig(StateDictConfig):
    """Of states in full; rank0_only: in the other ranks they are empty."""

    rank0_only: bool = False


@dataclass
class LocalStateDictConfig(StateDictConfig):
    """Of a device's states."""


@dataclass
class ShardedStateDictConfig(StateDictConfig):
    """Of states in parts."""

    _use_dtensor: bool = False


@dataclass
class OptimStateDictConfig:
    """Base of the settings of optimizers' states."""

    offload_to_cpu: bool = True


@dataclass
class FullOptimStateDictConfig(OptimStateDictConfig):
    """Of states in full."""

    rank0_only: bool = False


@dataclass
class LocalOptimStateDictConfig(OptimStateDictConfig):
    """Of a device's states."""

    offload_to_cpu: bool = False


@dataclass
class ShardedOptimStateDictConfig(OptimStateDictConfig):
    """Of states in parts."""

    _use_dtensor: bool = False


@dataclass
class StateDictSettings:
    """What `set_state_dict_type` was given."""

    state_dict_type: StateDictType = StateDictType.FULL_STATE_DICT
    state_dict_config: StateDictConfig = field(default_factory=FullStateDictConfig)
    optim_state_dict_config: OptimStateDictConfig = field(default_factory=FullOptimStateDictConfig)
