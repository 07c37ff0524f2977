"""Compilations that run while the script goes on.

One background thread traces, lowers and compiles; XLA's compiler does not hold the interpreter's
lock. The thread is joined when the process ends: XLA must not be torn down under it. A compilation
that fails is reported once, and its structure stays interpreted.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_lock = threading.Lock()
_pool: list[ThreadPoolExecutor] = []
_pending: dict[Any, Future[Any]] = {}


def start(key: Any, compile: Callable[[], Any]) -> None:
    """Begin to make the program of `key`, unless that is under way."""
    with _lock:
        if key in _pending:
            return
        if not _pool:
            _pool.append(ThreadPoolExecutor(1, "torchish-compiler"))
        _pending[key] = _pool[0].submit(compile)


def finish(key: Any, compile: Callable[[], Any]) -> Any:
    """The program of `key`: waited for if it is under way, else made here."""
    with _lock:
        future = _pending.pop(key, None)
    if future is None:
        return compile()
    return future.result()


def failed(error: BaseException) -> None:
    """Say that a structure could not be compiled and runs interpreted."""
    warnings.warn(
        f"XLA could not compile a program ({type(error).__name__}: {error}); "
        "it goes on being interpreted, which is slower.",
        RuntimeWarning,
        stacklevel=2,
    )


def forget() -> None:
    """Drop what a forked child inherited: its thread does not exist there."""
    _pool.clear()
    _pending.clear()
