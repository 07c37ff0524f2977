"""Data parallelism over processes: each has a replica and its own batches."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ... import distributed as dist
from ..._autograd.backward import queue_callback
from ..._autograd.grad_mode import is_grad_enabled, no_grad
from ..._autograd.nodes import AccumulateGrad
from ..._basics.errors import not_supported
from ..._tensor.tensor import Tensor
from ...distributed._buckets import check_hook, make_buckets, write_back
from ...distributed._packing import broadcast, by_dtype, pack, unpack
from ...distributed.algorithms.join import Join, Joinable
from ..modules.module import Module
from ._ddp_join import DDPJoinHook, shadow_forward
from .scatter_gather import as_device
from .spmd import map_tensors, tensors_of

__all__ = ["DistributedDataParallel"]

_UNFINISHED = (
    "Expected to have finished reduction in the prior iteration before starting a new one. This "
    "error indicates that your module has parameters that were not used in producing loss. You can "
    "enable unused parameter detection by passing the keyword argument "
    "`find_unused_parameters=True` to `torch.nn.parallel.DistributedDataParallel`, and by \nmaking "
    "sure all `forward` function outputs participate in calculating loss. \nIf you already have "
    "done the above, then the distributed data parallel module wasn't able to locate the output "
    "tensors in the return value of your module's `forward` function. Please include the loss "
    "function and the structure of the return value of `forward` of your module when reporting "
    "this issue (e.g. list, dict, iterable)."
)


class DistributedDataParallel(Module, Joinable):
    """Averages gradients over the processes of a group at the end of each backward.

    All gradients of a step travel in one exchange: one flat array for each dtype, one program.

    Args:
        module: the module; parameters and buffers become those of rank 0.
        device_ids: [the GPU of this process], or None for a module on the CPU.
        broadcast_buffers, forward_sync_buffers: before each forward buffers become those of rank 0.
        process_group: the processes; all if None.
        find_unused_parameters: parameters that a backward pass does not reach count as zero; where
            no process used one its gradient is left alone.
        static_graph: as `find_unused_parameters`, which costs a walk over the graph only.

    Raises: RuntimeError without a parameter that requires a gradient, for models that differ, and
        in the forward after a backward that did not reach all parameters.

    Differs from torch: `gradient_as_bucket_view`, `batched_grad_copy` and `check_reduction` change
        nothing, and
    `bucket_cap_mb` only what communication hooks get, as there is one exchange otherwise.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool | None = None,
        init_sync: bool = True,
        process_group: Any = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        delay_all_reduce_named_params: Any = None,
        param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None,
        device_mesh: Any = None,
        skip_all_reduce_unused_params: bool = False,
        bucket_cap_mb_list: list[int] | None = None,
        batched_grad_copy: bool = False,
        forward_sync_buffers: bool | None = None,
    ) -> None:
        super().__init__()
        Joinable.__init__(self)
        for name, value in (
            ("delay_all_reduce_named_params", delay_all_reduce_named_params),
            ("param_to_hook_all_reduce", param_to_hook_all_reduce),
            ("mixed_precision", mixed_precision),
            ("device_mesh", device_mesh),
            ("skip_all_reduce_unused_params", skip_all_reduce_unused_params or None),
            ("bucket_cap_mb_list", bucket_cap_mb_list),
        ):
            if value is not None:
                raise not_supported(f"DistributedDataParallel({name}=...)", "leave it out")
        self.process_group: Any = process_group or dist.group.WORLD
        if self.process_group is None:
            dist.get_rank()  # raises torch's error
        ignored = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        self._wanted = [
            p for n, p in module.named_parameters() if p.requires_grad and n not in ignored
        ]
        if not self._wanted:
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter "
                "that requires a gradient."
            )
        self.dim = dim
        self.module = module
        self.device = self._wanted[0].device
        self.device_ids = self._places(device_ids)
        self.output_device = None if output_device is None else as_device(output_device)
        chosen = broadcast_buffers if forward_sync_buffers is None else forward_sync_buffers
        self.broadcast_buffers = chosen is None or chosen
        self.find_unused_parameters = find_unused_parameters
        self.static_graph = static_graph
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.require_backward_grad_sync = True
        self.require_forward_param_sync = True
        self._buffers_shared = [b for n, b in module.named_buffers() if n not in ignored]
        self._missing: set[int] | None = None  # ids of parameters that backward has not reached
        self._used: set[int] = set()
        self._queued = False
        self._hook: tuple[Any, Any] | None = None
        self._join_divisor: int | None = None
        self._join_by_all = True
        self._buffers_from = 0
        self.bucket_cap_mb = 25.0 if bucket_cap_mb is None else float(bucket_cap_mb)
        self._same_model()
        if init_sync:
            state = [p for n, p in module.named_parameters() if n not in ignored]
            self._from_first([*state, *self._buffers_shared])
        hook = functools.partial(_tell, weakref.ref(self))
        for param in self._wanted:
            param.register_post_accumulate_grad_hook(hook)

    def _places(self, device_ids: Sequence[Any] | None) -> list[int] | None:
        kinds = {p.device for p in self.module.parameters()}
        if not device_ids:
            return None
        if len(device_ids) > 1:
            raise ValueError("device_ids can only be None or contain a single element.")
        if any(d.type == "cpu" for d in kinds) or len(kinds) != 1:
            raise ValueError(
                "DistributedDataParallel device_ids and output_device arguments only work with "
                "single-device/multiple-device GPU modules or CPU modules, but got device_ids "
                f"{list(device_ids)}, output_device None, and module parameters {kinds}."
            )
        return [int(as_device(d).index or 0) for d in device_ids]

    # --- exchanges -------------------------------------------------------------------------------

    def _wire(self) -> Any:
        wire = self.process_group.wire
        wire.check()
        return wire

    def _same_model(self) -> None:
        wire = self._wire()
        mine = "; ".join(f"{tuple(p.shape)} {p.dtype}" for p in self.module.parameters())
        found: list[Any] = [None] * wire.count
        dist.all_gather_object(found, mine, self.process_group)
        for rank, theirs in enumerate(found):
            if theirs != mine:
                raise RuntimeError(
                    "DDP expects same model across all ranks, but Rank "
                    f"{self.process_group.rank()} has parameters {mine}, while rank {rank} has "
                    f"{theirs}."
                )

    def _from_first(self, tensors: Sequence[Tensor]) -> None:
        """Make tensors those of rank 0."""
        self._from_rank(tensors, 0)

    def _from_rank(self, tensors: Sequence[Tensor], root: int) -> None:
        """Make tensors those of one rank."""
        broadcast(self.process_group, tensors, root)

    def _exchange(self) -> None:
        """Average the gradients over processes."""
        self._queued = False
        # Where unused parameters are found, those of outputs that nobody derives are unused too.
        if self._missing is None or (self._missing and not self._finds_unused):
            return
        self._missing = None
        wire = self._wire()
        if self._hook is not None:
            self._exchange_by_hook()
            return
        if wire.count == 1:
            return
        finding = self._finds_unused
        grads = []
        for p in self._wanted:
            grads.append(p.grad if p.grad is not None else p.detach() * 0)
        groups = by_dtype(grads)
        arrays = [pack(group) for group in groups]
        if finding:
            used = np.array([id(p) in self._used for p in self._wanted], np.float32)
            arrays.append(used)
        averaged = self._averaged(arrays)
        everywhere = averaged.pop() > 0 if finding else None
        if everywhere is None or everywhere.all():
            for group, flat in zip(groups, averaged, strict=True):
                unpack(flat, group)
            for p, g in zip(self._wanted, grads, strict=True):
                p.grad = g
            return
        kept = [g.clone() for g in grads]
        for group, flat in zip(groups, averaged, strict=True):
            unpack(flat, group)
        for p, g, before, used in zip(self._wanted, grads, kept, everywhere, strict=True):
            if used:
                p.grad = g
            elif p.grad is not None:
                p.grad = before

    @property
    def _finds_unused(self) -> bool:
        return self.find_unused_parameters or self.static_graph

    # --- a step ----------------------------------------------------------------------------------

    def _arrived(self, param: Tensor) -> None:
        """A gradient has been accumulated."""
        if not self.require_backward_grad_sync or self._missing is None:
            return
        self._missing.discard(id(param))
        self._used.add(id(param))
        if not self._queued:
            self._queued = True
            queue_callback(self._exchange)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Calls the module; in training the next backward averages gradients."""
        training = is_grad_enabled() and self.require_backward_grad_sync
        self._queued = False
        if self._join_config.enable:
            shadow_forward(self)
        if training and self._missing and self._used:  # a backward began and did not end
            raise RuntimeError(_UNFINISHED)
        if self.require_forward_param_sync and self.broadcast_buffers:
            self._from_rank(self._buffers_shared, self._buffers_from)
        if self.device_ids:
            place = as_device(self.device_ids[0])
            inputs, kwargs = map_tensors(lambda t: t.to(place), (inputs, kwargs))
        output = self.module(*inputs, **kwargs)
        if training:
            self.require_forward_param_sync = True
            self._used = set()
            self._missing = {id(p) for p in self._wanted}
            if self._finds_unused:
                self._missing &= _reached(tensors_of(output))
        else:
            self.require_forward_param_sync = False
        return output

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Within the block gradients only accumulate; the next backward outside averages them."""
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    # --- communication hooks ---------------------------------------------------------------------

    def register_comm_hook(self, state: Any, hook: Any) -> None:
        """Have `hook(state, bucket)` exchange gradients in place of the average over processes.

        It gets each `GradBucket` when the backward pass is done and returns a
        `torch.futures.Future` of the bucket's new content.

        Raises: TypeError, ValueError for what is no hook, RuntimeError for a second one.
        """
        check_hook(hook)
        if self._hook is not None:
            raise RuntimeError(
                "register_comm_hook or register_builtin_comm_hook can only be called once."
            )
        self._hook = (state, hook)

    def _exchange_by_hook(self) -> None:
        assert self._hook is not None
        state, hook = self._hook
        with no_grad():
            for p in self._wanted:
                if p.grad is None:
                    p.grad = p.detach() * 0
            buckets = make_buckets(self._wanted, self.bucket_cap_mb)
            futures = [hook(state, bucket) for bucket in buckets]
            for bucket, future in zip(buckets, futures, strict=True):
                write_back(bucket, future)

    # --- uneven numbers of batches ---------------------------------------------------------------

    def _averaged(self, arrays: list[Any]) -> list[Any]:
        """The average of arrays over all processes, or over those that have batches left."""
        wire = self._wire()
        kind = "AVG" if self._join_divisor is None else "SUM"
        job = wire.submit(lambda: wire.reduce(kind, arrays))
        found: list[Any] = wire.wait(job, "gradient all_reduce")
        if self._join_divisor is not None:
            found = [x / np.asarray(self._join_divisor, x.dtype) for x in found]
        return found

    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Any:
        """A context for processes with different numbers of batches.

        Processes that have run out shadow the exchanges of the others. Gradients are divided by
        the number of all processes, or of those that still have batches.
        """
        return Join(
            [self],
            enable,
            throw_on_early_termination,
            divide_by_initial_world_size=divide_by_initial_world_size,
        )

    def join_hook(self, **kwargs: Any) -> Any:
        """What a process does that has run out of batches."""
        divide = kwargs.get("divide_by_initial_world_size", True)
        return DDPJoinHook(self, divide_by_initial_world_size=divide)

    @property
    def join_device(self) -> Any:
        """Where the exchanges of `join` happen."""
        return self.device

    @property
    def join_process_group(self) -> Any:
        """The processes that `join` is about."""
        return self.process_group


def _tell(ref: Any, param: Tensor) -> None:
    """A hook that does not keep the module alive."""
    module = ref()
    if module is not None:
        module._arrived(param)


def _reached(outputs: Sequence[Tensor]) -> set[int]:
    """Ids of the leaves that outputs depend on."""
    found: set[int] = set()
    stack = [e[0] for e in (t._edge() for t in outputs) if e is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if isinstance(node, AccumulateGrad):
            found.add(id(node.variable))
        for edge in node.edges:
            if edge is not None and edge[0] not in seen:
                seen.add(edge[0])
                stack.append(edge[0])
    return found
