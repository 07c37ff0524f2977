"""What DistributedDataParallel does in `join`: shadowing the exchanges of those still training.

Invariant: every exchange of a process with batches has one here, in the same order: whether it has
batches, whether its backward averages, the buffers, the gradients.
"""

from __future__ import annotations

from typing import Any

from ... import distributed as dist
from ..._autograd.grad_mode import is_grad_enabled
from ..._ops.registry import ops
from ...distributed.algorithms.join import Join, JoinHook


def shadow_forward(ddp: Any) -> None:
    """The first exchanges of a forward in a process that has a batch."""
    Join.notify_join_context(ddp)
    _averages(ddp, ddp.require_backward_grad_sync and is_grad_enabled())
    _agree(ddp, has_batch=True)


def _count(ddp: Any, mine: int) -> int:
    counted = ops.full((1,), float(mine))
    dist.all_reduce(counted, group=ddp.process_group)
    return int(counted.item())


def _agree(ddp: Any, has_batch: bool) -> int:
    """How many have batches, where gradients are divided by that; the rank that gives buffers."""
    if not ddp._join_by_all:
        ddp._join_divisor = _count(ddp, int(has_batch))
    rank = dist.get_rank(ddp.process_group)
    ddp._buffers_from = _highest(ddp, rank if has_batch else -1)
    return int(ddp._buffers_from)


def _highest(ddp: Any, rank: int) -> int:
    chosen = ops.full((1,), float(rank))
    dist.all_reduce(chosen, dist.ReduceOp.MAX, ddp.process_group)
    return int(chosen.item())


def _averages(ddp: Any, mine: bool) -> bool:
    return _count(ddp, int(mine)) > 0


class DDPJoinHook(JoinHook):
    """Shadows a forward and a backward with zeros, and shares the final model."""

    def __init__(self, ddp: Any, divide_by_initial_world_size: bool) -> None:
        self.ddp = ddp
        ddp._join_by_all = divide_by_initial_world_size
        ddp._join_divisor = None

    def main_hook(self) -> None:
        """One step of the others."""
        ddp = self.ddp
        averages = _averages(ddp, False)
        root = _agree(ddp, has_batch=False)
        if ddp.require_forward_param_sync and ddp.broadcast_buffers:
            ddp._from_rank(ddp._buffers_shared, root)
        ddp.require_forward_param_sync = averages
        if averages:
            self._zeros()

    def _zeros(self) -> None:
        """Take part in the exchange of gradients with zeros; the own ones stay."""
        ddp = self.ddp
        kept = [p.grad for p in ddp._wanted]
        for p in ddp._wanted:
            p.grad = p.detach() * 0
        ddp._used, ddp._missing = set(), set()
        ddp._exchange()
        for p, grad in zip(ddp._wanted, kept, strict=True):
            p.grad = grad

    def post_hook(self, is_last_joiner: bool) -> None:
        """All processes get the model of the one that trained longest."""
        ddp = self.ddp
        rank = dist.get_rank(ddp.process_group)
        root = _highest(ddp, rank if is_last_joiner else -1)
        ddp._from_rank(list(ddp.module.state_dict().values()), root)
        ddp._join_divisor, ddp._buffers_from = None, 0
