"""Training over processes with different numbers of batches.

Source: https://pytorch.org/docs/stable/distributed.algorithms.join.html
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..._ops.registry import ops
from .._collectives import all_reduce
from .._group import get_rank

__all__ = ["Join", "JoinHook", "Joinable"]

_SKEW = 1000  # steps without batches after which a warning is given


class JoinHook:
    """What a process does that has run out of batches."""

    def main_hook(self) -> None:
        """Called for each step of the others: shadow its collectives."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Called once when no process has a batch left."""


class _JoinConfig(NamedTuple):
    enable: bool
    throw_on_early_termination: bool
    is_first_joinable: bool

    @staticmethod
    def construct_disabled_join_config() -> _JoinConfig:
        """Outside of a join context."""
        return _JoinConfig(False, False, False)


class Joinable(ABC):
    """Something whose collectives can be shadowed; `__init__` must be called."""

    @abstractmethod
    def __init__(self) -> None:
        super().__init__()
        self._join_config = _JoinConfig.construct_disabled_join_config()

    @abstractmethod
    def join_hook(self, **kwargs: Any) -> JoinHook:
        """The hook of this object; all get the keyword arguments of the context."""

    @property
    @abstractmethod
    def join_device(self) -> Any:
        """Where the context's collectives happen."""

    @property
    @abstractmethod
    def join_process_group(self) -> Any:
        """The processes of the context's collectives."""


class Join:
    """A context in which processes may run out of batches at different times.

    Args:
        joinables: what takes part; each notifies the context before a step's collectives.
        enable: whether the context does anything.
        throw_on_early_termination: raise in all processes when the first has run out.
        kwargs: for the hooks.

    Raises: ValueError without joinables or for several process groups; RuntimeError on early
        termination, if that is asked for.
    """

    def __init__(
        self,
        joinables: Sequence[Any],
        enable: bool = True,
        throw_on_early_termination: bool = False,
        **kwargs: Any,
    ) -> None:
        if len(joinables) == 0:
            raise ValueError("The join context manager requires at least one joinable")
        self._joinables = list(joinables)
        self._join_hooks = [j.join_hook(**kwargs) for j in self._joinables]
        self._enable = enable
        self._throw_on_early_termination = throw_on_early_termination
        for k, joinable in enumerate(self._joinables):
            joinable._join_config = _JoinConfig(enable, throw_on_early_termination, k == 0)
        self._process_group = self._joinables[0].join_process_group
        if any(j.join_process_group != self._process_group for j in self._joinables):
            raise ValueError("Using join context manager with multiple process groups")
        self._device = self._joinables[0].join_device
        self._rank = get_rank(self._process_group)

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if not self._enable or kind is not None:
            return
        steps = 0
        while self._working() > 0:
            if self._throw_on_early_termination:
                self._sum(1)
                raise RuntimeError(f"Rank {self._rank} exhausted all inputs.")
            for hook in self._join_hooks:
                hook.main_hook()
            steps += 1
            if steps == _SKEW + 1:
                warnings.warn(
                    f"Detected uneven input skew of greater than {_SKEW}. This means that rank "
                    f"{self._rank} has at least {_SKEW} fewer inputs than other currently-active "
                    "ranks. This level of skew could lead to performance degradation during "
                    "training.",
                    stacklevel=2,
                )
        for hook in self._join_hooks:
            hook.post_hook(steps == 0)
        for joinable in self._joinables:
            joinable._join_config = _JoinConfig.construct_disabled_join_config()

    def _working(self) -> float:
        """How many processes still have batches."""
        return self._sum(0)

    def _sum(self, mine: float) -> float:
        total = ops.full((1,), float(mine), device=self._device)
        all_reduce(total, group=self._process_group)
        return float(total.item())

    @staticmethod
    def notify_join_context(joinable: Any) -> Any:
        """Say that this process has a batch; the first joinable of a context does so.

        Raises: RuntimeError when another process has run out and that is not allowed.
        """
        if not hasattr(joinable, "_join_config"):
            raise AssertionError(
                f"Check that the {type(joinable)} constructor calls the ``Joinable`` constructor"
            )
        config = joinable._join_config
        if not config.is_first_joinable or not config.enable:
            return None
        device, group = joinable.join_device, joinable.join_process_group
        work = all_reduce(ops.ones(1, device=device), group=group, async_op=True)
        if config.throw_on_early_termination:
            ended = ops.zeros(1, device=device)
            all_reduce(ended, group=group)
            if ended.item():
                raise RuntimeError(
                    "Detected at least one rank that exhausted inputs. Throwing across all ranks."
                )
        return work
