"""Compilations that run while the script goes on.

One background thread traces, lowers and compiles; XLA's compiler does not hold the interpreter's
lock. The thread is joined when the process ends: XLA must not be torn down under it. A compilation
that fails is reported once, and its structure stays interpreted.
"""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from .._basics.settings import settings
from .._basics.stats import stats

# A wait of this many seconds is announced on a terminal.
PATIENCE = 2.0

_lock = threading.Lock()
_pool: list[ThreadPoolExecutor] = []
_pending: dict[Any, Future[Any]] = {}


def start(key: Any, compile: Callable[[], Any], what: str) -> None:
    """Begin to make the program of `key`, unless that is under way."""
    with _lock:
        if key in _pending:
            return
        if not _pool:
            _pool.append(ThreadPoolExecutor(1, "torchish-compiler"))
        _pending[key] = _pool[0].submit(_timed, compile, what)


def finish(key: Any, compile: Callable[[], Any], what: str) -> Any:
    """The program of `key`, waited for; `what` names it while the user waits."""
    start(key, compile, what)
    with _lock:
        future = _pending[key]
    try:
        _wait(future, what)
        return future.result()
    finally:
        if future.done():
            with _lock:
                _pending.pop(key, None)


def _timed(compile: Callable[[], Any], what: str) -> Any:
    began = time.perf_counter()
    made = compile()
    took = time.perf_counter() - began
    stats.compilations.append((what, took))
    if settings.log_compiles:
        print(f"torchish: compiled {what} in {took:.2f} s", file=sys.stderr)
    return made


def _wait(future: Future[Any], what: str) -> None:
    """Wait; after a while, and only on a terminal, say for what (one line, rewritten)."""
    began = time.perf_counter()
    said = False
    while not wait([future], PATIENCE if not said else 0.5).done:
        if sys.stderr is None or not sys.stderr.isatty():
            continue
        said = True
        seconds = time.perf_counter() - began
        sys.stderr.write(f"\rtorchish: compiling {what}, {seconds:.0f} s")
        sys.stderr.flush()
    if said:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def failed(error: BaseException) -> None:
    """Say that a structure could not be compiled and runs interpreted."""
    warnings.warn(
        f"XLA could not compile a program ({type(error).__name__}: {error}); "
        "it goes on being interpreted, which is slower.",
        RuntimeWarning,
        stacklevel=2,
    )


def forget() -> None:
    """Drop what a forked child inherited: the compiling thread does not exist there."""
    _pool.clear()
    _pending.clear()
