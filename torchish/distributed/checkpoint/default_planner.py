"""Planners of checkpoints: which entries a state is made of, and which may be missing.

A state is written whole by one process, so the plans themselves (who writes and reads what) do not
exist; what a planner is told is followed by `save` and `load`.

Source: https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..._basics.errors import not_supported

__all__ = ["DefaultLoadPlanner", "DefaultSavePlanner"]


class DefaultSavePlanner:
    """How a state is written.

    Args:
        flatten_state_dict: whether entries of nested dicts are entries of their own.
        flatten_sharded_tensors, dedup_replicated_tensors, dedup_save_to_lowest_rank,
            enable_plan_caching: change nothing, for one process writes whole tensors, once.
    """

    def __init__(
        self, flatten_state_dict: bool = True, flatten_sharded_tensors: bool = True,
        dedup_replicated_tensors: bool | None = None, dedup_save_to_lowest_rank: bool = False,
        enable_plan_caching: bool = False,
    ) -> None:  # fmt: skip
        self.flatten_state_dict = flatten_state_dict


class DefaultLoadPlanner:
    """How a state is read.

    Args:
        flatten_state_dict: whether entries of nested dicts are entries of their own.
        flatten_sharded_tensors: changes nothing, for tensors are whole.
        allow_partial_load: whether entries that the checkpoint lacks stay as they are.
    """

    def __init__(
        self, flatten_state_dict: bool = True, flatten_sharded_tensors: bool = True,
        allow_partial_load: bool = False,
    ) -> None:  # fmt: skip
        self.flatten_state_dict, self.allow_partial_load = flatten_state_dict, allow_partial_load


class _EmptyStateDictLoadPlanner(DefaultLoadPlanner):
    """Fills an empty dict with what the checkpoint holds, or with some of its keys."""

    def __init__(self, keys: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        self.keys = None if keys is None else set(keys)
        super().__init__(*args, **kwargs)

    def wants(self, name: str, path: tuple[Any, ...]) -> bool:
        """Whether an entry, or something that it is part of, is asked for."""
        if self.keys is None or name in self.keys:
            return True
        return any(".".join(map(str, path[:k])) in self.keys for k in range(1, len(path) + 1))


def followed(planner: Any, kind: type) -> Any:
    """The planner; the default one where none is given.

    Raises: NotSupportedError for one that a program has written.
    """
    if planner is None:
        return kind()
    if type(planner) is not kind and not (
        kind is DefaultLoadPlanner and type(planner) is _EmptyStateDictLoadPlanner
    ):
        raise not_supported(f"planners of checkpoints such as {type(planner).__name__}",
                            f"{kind.__name__}, with its options")  # fmt: skip
    return planner
