"""``torch.multiprocessing``: Python's `multiprocessing`, and `spawn` for the ranks of a job.

Start methods: "spawn" is right wherever tensors are computed in children; a child forked after JAX
has run cannot compute. Tensors that travel through queues are copied.

Source: https://pytorch.org/docs/stable/multiprocessing.html
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import *  # noqa: F403
from typing import Any

from .._core.errors import not_supported
from ._spawn import (
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


def get_all_sharing_strategies() -> set[str]:
    """How tensors reach other processes: copied, through files in memory."""
    return {"file_system"}


def get_sharing_strategy() -> str:
    """How tensors reach other processes."""
    return "file_system"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepts the one strategy there is, and torch's default, which differs in speed only."""
    if new_strategy not in ("file_system", "file_descriptor"):
        raise AssertionError(f"unknown sharing strategy {new_strategy!r}")


def __getattr__(name: str) -> Any:
    if name in ("reductions", "pool", "queue"):
        raise not_supported(f"torch.multiprocessing.{name}", "Python's multiprocessing")
    return getattr(multiprocessing, name)
