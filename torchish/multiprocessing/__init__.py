"""`torch.multiprocessing`: Python's `multiprocessing`, with tensors in shared memory.

A tensor that travels through a queue, a pipe or the arguments of a process is not copied: both
sides see each other's writes. `share_memory_()` does the same for what forked children inherit. A
child forked after XLA has run computes in numpy; processes that train at full speed are spawned.

Source: https://pytorch.org/docs/stable/multiprocessing.html
"""

from __future__ import annotations

import importlib
import multiprocessing
from multiprocessing import *  # noqa: F403
from typing import Any

from . import reductions as reductions
from .spawn import (
    ProcessContext,
    ProcessException,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

__all__ = [
    *multiprocessing.__all__,
    "ProcessContext", "ProcessException", "ProcessExitedException", "ProcessRaisedException",
    "SpawnContext", "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy",
    "spawn", "start_processes",
]  # fmt: skip


_strategy = "file_descriptor"


def get_all_sharing_strategies() -> set[str]:
    """How tensors can reach other processes."""
    return {"file_descriptor", "file_system"}


def get_sharing_strategy() -> str:
    """How tensors reach other processes."""
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose how tensors reach other processes.

    Differs from torch: both strategies are memory without a name, so that none is left behind;
    batches of a loader hold no descriptors under either.
    """
    global _strategy
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(
            f"invalid sharing strategy {new_strategy!r}, expected one of "
            f"{get_all_sharing_strategies()}"
        )
    _strategy = new_strategy


def __getattr__(name: str) -> Any:
    if name == "pool":
        return importlib.import_module("multiprocessing.pool")
    if name == "queue":
        return importlib.import_module("multiprocessing.queues")
    return getattr(multiprocessing, name)
