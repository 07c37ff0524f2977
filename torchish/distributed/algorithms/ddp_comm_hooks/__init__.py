"""`torch.distributed.algorithms.ddp_comm_hooks`: ways to exchange gradients."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import Any

from . import debugging_hooks, default_hooks, powerSGD_hook as powerSGD

__all__ = ["DDPCommHookType", "register_ddp_comm_hook"]


def _plain(comm_hook: Any, model: Any, state: Any) -> None:
    model.register_comm_hook(state, comm_hook)


def _low_rank(comm_hook: Any, model: Any, state: Any, matrix_approximation_rank: int) -> None:
    made = powerSGD.PowerSGDState(
        process_group=state, matrix_approximation_rank=matrix_approximation_rank
    )
    model.register_comm_hook(made, comm_hook)


class DDPCommHookType(Enum):
    """The hooks by name; each value registers one: `hook(model=..., state=...)`."""

    ALLREDUCE = partial(_plain, comm_hook=default_hooks.allreduce_hook)
    FP16_COMPRESS = partial(_plain, comm_hook=default_hooks.fp16_compress_hook)
    BF16_COMPRESS = partial(_plain, comm_hook=default_hooks.bf16_compress_hook)
    POWER_SGD = partial(_low_rank, comm_hook=powerSGD.powerSGD_hook, matrix_approximation_rank=1)
    POWER_SGD_RANK2 = partial(
        _low_rank, comm_hook=powerSGD.powerSGD_hook, matrix_approximation_rank=2
    )
    BATCHED_POWER_SGD = partial(
        _low_rank, comm_hook=powerSGD.batched_powerSGD_hook, matrix_approximation_rank=1
    )
    BATCHED_POWER_SGD_RANK2 = partial(
        _low_rank, comm_hook=powerSGD.batched_powerSGD_hook, matrix_approximation_rank=2
    )
    NOOP = partial(_plain, comm_hook=debugging_hooks.noop_hook)


def register_ddp_comm_hook(comm_hook_type: Any, model: Any, state: Any = None) -> None:
    """Register a hook of `DDPCommHookType` on a DistributedDataParallel model."""
    comm_hook_type.value(model=model, state=state)
