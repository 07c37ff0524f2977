"""An optimizer whose state lies in parts over processes (ZeRO, stage 1).

Source: https://docs.pytorch.org/docs/stable/distributed.optim.html
"""

from __future__ import annotations

from typing import Any

from ..._autograd.grad_mode import no_grad
from ..._basics.errors import not_supported
from ..._ops.registry import ops
from ..._tensor.tensor import Tensor
from ...optim import Optimizer
from .. import _collectives, _group, _objects
from ..algorithms.join import Join, Joinable, JoinHook

__all__ = ["ZeroRedundancyOptimizer"]

_NOT_CONSOLIDATED = (
    "Optimizer state has not been consolidated on this rank. Please call "
    "`consolidate_state_dict(to={rank})` on all ranks beforehand if you meant to save the global "
    "state."
)


class _StepHook(JoinHook):
    """A process without batches goes on updating its part."""

    def __init__(self, optimizer: ZeroRedundancyOptimizer) -> None:
        self.optimizer = optimizer

    def main_hook(self) -> None:
        """One step."""
        self.optimizer.step()


class ZeroRedundancyOptimizer(Optimizer, Joinable):
    """Each process updates its part of the parameters and sends it to the others.

    The parameters of a group are dealt out by size, the largest first, each to the process that
    has the fewest elements; state exists only where a parameter is updated. Gradients have to be
    the same everywhere, as DistributedDataParallel makes them.

    Args:
        params: parameters, or groups of them.
        optimizer_class: what updates a part; `defaults` are its options.
        process_group: the processes; all if None.
        parameters_as_bucket_view: changes nothing: parameters of one dtype always travel together.
    Raises: TypeError and ValueError for what are no parameters, or parameters of several dtypes;
        NotSupportedError for `overlap_with_ddp`.
    """

    def __init__(
        self, params: Any, optimizer_class: type[Optimizer], process_group: Any = None,
        parameters_as_bucket_view: bool = False, overlap_with_ddp: bool = False, **defaults: Any,
    ) -> None:  # fmt: skip
        if overlap_with_ddp:
            raise not_supported("ZeroRedundancyOptimizer(overlap_with_ddp=True)", "leaving it out")
        given = _checked(params)
        self.initialized = False
        self.process_group = process_group or _group.resolve()
        self.world_size = _group.get_world_size(self.process_group)
        self.rank = _group.get_rank(self.process_group)
        self.parameters_as_bucket_view = parameters_as_bucket_view
        Optimizer.__init__(self, given, defaults)
        Joinable.__init__(self)
        _check_dtypes([p for group in self.param_groups for p in group["params"]])
        self._parts = self._dealt()
        self._all_state_dicts: list[dict[str, Any]] = []
        self.optim: Optimizer = optimizer_class(self._groups_of(self.rank), **defaults)  # type: ignore[arg-type]
        _copy_options(self.optim.param_groups, self.param_groups)
        self.initialized = True

    # --- who updates what ------------------------------------------------------------------------

    def _dealt(self) -> list[list[list[Tensor]]]:
        """For each rank, each group's parameters that are its part."""
        parts: list[list[list[Tensor]]] = [[] for _ in range(self.world_size)]
        sizes = [0] * self.world_size
        for group in self.param_groups:
            for part in parts:
                part.append([])
            for param in sorted(group["params"], key=lambda p: -p.numel()):
                rank = sizes.index(min(sizes))
                parts[rank][-1].append(param)
                sizes[rank] += param.numel()
        return parts

    def _groups_of(self, rank: int) -> list[dict[str, Any]]:
        pairs = zip(self.param_groups, self._parts[rank], strict=True)
        return [{**group, "params": list(part)} for group, part in pairs]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; every process has to."""
        super().add_param_group(param_group)
        if self.initialized:
            self._parts = self._dealt()
            self.optim.add_param_group(self._groups_of(self.rank)[-1])

    # --- a step ----------------------------------------------------------------------------------

    def step(self, closure: Any = None, **kwargs: Any) -> Any:
        """Update this process's part, and take the others'; returns what the closure does."""
        Join.notify_join_context(self)
        _copy_options(self.param_groups, self.optim.param_groups)
        loss = self.optim.step(**kwargs) if closure is None else self.optim.step(closure, **kwargs)
        _copy_options(self.optim.param_groups, self.param_groups)
        if self.world_size > 1:
            for rank, part in enumerate(self._parts):
                self._take(rank, [p for group in part for p in group])
        return loss

    def _take(self, rank: int, params: list[Any]) -> None:
        """Make parameters those of one rank."""
        if not params:
            return
        with no_grad():
            flat = ops.cat([p.detach().reshape(-1) for p in params])
            source = _group.get_global_rank(self.process_group, rank)
            _collectives.broadcast(flat, source, self.process_group)
            if rank != self.rank:
                parts = flat.split([p.numel() for p in params])
                for p, part in zip(params, parts, strict=True):
                    p.copy_(part.view(p.shape))

    # --- state -----------------------------------------------------------------------------------

    def _numbers(self) -> dict[int, int]:
        """The number that each parameter has in a saved state."""
        params = [p for group in self.param_groups for p in group["params"]]
        return {id(p): k for k, p in enumerate(params)}

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Bring all parts of the state to rank `to`; every process has to call it."""
        _copy_options(self.param_groups, self.optim.param_groups)
        mine = _on_cpu(self.optim.state_dict())
        found: list[Any] | None = [None] * self.world_size if self.rank == to else None
        _objects.gather_object(mine, found, group=self.process_group, group_dst=to)
        self._all_state_dicts = found or []

    def state_dict(self) -> dict[str, Any]:
        """The whole state, as it was at the last `consolidate_state_dict`.

        Raises: RuntimeError where it was not brought to.
        """
        if not self._all_state_dicts:
            raise RuntimeError(_NOT_CONSOLIDATED.format(rank=self.rank))
        whole = super().state_dict()
        numbers = self._numbers()
        for rank, local in enumerate(self._all_state_dicts):
            for part, group in zip(self._parts[rank], local["param_groups"], strict=True):
                for param, k in zip(part, group["params"], strict=True):
                    if k in local["state"]:
                        whole["state"][numbers[id(param)]] = local["state"][k]
        whole["state"] = dict(sorted(whole["state"].items()))
        return whole

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take this process's part of a whole state."""
        _copy_options(state_dict["param_groups"], self.param_groups)
        numbers, local = self._numbers(), self.optim.state_dict()
        state: dict[int, Any] = {}
        for part, group in zip(self._parts[self.rank], local["param_groups"], strict=True):
            for param, k in zip(part, group["params"], strict=True):
                if state_dict["state"].get(numbers[id(param)]) is not None:
                    state[k] = state_dict["state"][numbers[id(param)]]
        self.optim.load_state_dict({**local, "state": state})
        _copy_options(self.param_groups, self.optim.param_groups)

    # --- uneven numbers of batches ---------------------------------------------------------------

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """What a process does that has run out of batches; it takes no options."""
        return _StepHook(self)

    @property
    def join_device(self) -> Any:
        """Where the exchanges of `join` happen."""
        return self.param_groups[0]["params"][0].device

    @property
    def join_process_group(self) -> Any:
        """The processes that `join` is about."""
        return self.process_group


def _checked(params: Any) -> list[Any]:
    """The parameters, or their groups, as a list.

    Raises: TypeError, ValueError.
    """
    if isinstance(params, Tensor):
        raise TypeError(
            f"`params` argument should be an iterable of Tensors, but got {params.type()}"
        )
    try:
        found = list(params)
    except TypeError as error:
        raise TypeError(
            "`params` argument should be an iterable of Tensors or dicts, but got "
            f"{type(params).__name__}"
        ) from error
    if not found:
        raise ValueError("ZeroRedundancyOptimizer got an empty parameter list")
    if not all(isinstance(x, Tensor) for x in found) and not all(
        isinstance(x, dict) for x in found
    ):
        raise TypeError("`params` argument should be an iterable of Tensors or dicts")
    if any(isinstance(x, dict) and "params" not in x for x in found):
        raise ValueError(
            "Each parameter group passed-in via `params` must have a 'params' key mapping to the "
            "parameters in the group"
        )
    return found


def _check_dtypes(params: list[Any]) -> None:
    kinds = [p.type() for p in params]
    other = next((k for k in kinds if k != kinds[0]), None)
    if other is not None:
        raise ValueError(
            "ZeroRedundancyOptimizer only supports using the same dense type for all parameters "
            f"but got both {kinds[0]} and {other}"
        )


def _copy_options(source: list[dict[str, Any]], target: list[dict[str, Any]]) -> None:
    """Give groups the options of others, their parameters aside."""
    for there, here in zip(source, target, strict=True):
        here.update({k: v for k, v in there.items() if k != "params"})


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {k: _on_cpu(v) for k, v in value.items()}
    return value
