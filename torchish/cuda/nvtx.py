"""`torch.cuda.nvtx`: named ranges, which JAX's profiler shows.

Raises: RuntimeError without a GPU, as PyTorch does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._which import is_available

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]


class _Open(threading.local):
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.started: dict[int, Any] = {}


_open = _Open()


def _annotation(msg: str) -> Any:
    import jax

    if not is_available():
        raise RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?")
    made = jax.profiler.TraceAnnotation(msg)
    made.__enter__()
    return made


def range_push(msg: str) -> int:
    """Open a range inside the last one; returns how deep it is."""
    _open.stack.append(_annotation(msg))
    return len(_open.stack) - 1


def range_pop() -> int:
    """Close the last range; returns how deep it was, or -2 where none is open."""
    if not _open.stack:
        return -2
    _open.stack.pop().__exit__(None, None, None)
    return len(_open.stack)


def range_start(msg: str) -> int:
    """Open a range that is closed by its number."""
    made = _annotation(msg)
    _open.started[id(made)] = made
    return id(made)


def range_end(range_id: int) -> None:
    """Close the range of that number."""
    found = _open.started.pop(range_id, None)
    if found is not None:
        found.__exit__(None, None, None)


def mark(msg: str) -> None:
    """A point in time."""
    _annotation(msg).__exit__(None, None, None)


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range around a block, or a decorated function."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
