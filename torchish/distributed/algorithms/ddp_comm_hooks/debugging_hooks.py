"""Hooks that help to measure."""

from __future__ import annotations

from typing import Any

from ....futures import Future

__all__ = ["noop_hook"]


def noop_hook(_: Any, bucket: Any) -> Any:
    """Exchanges nothing: the gradients of each process stay its own."""
    made: Future[Any] = Future()
    made.set_result(bucket.buffer())
    return made
