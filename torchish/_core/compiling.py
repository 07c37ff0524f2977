"""Compilations that run while the script goes on.

One background thread traces, lowers and compiles; XLA's compiler does not hold the interpreter's
lock. The thread is joined when the process ends: XLA must not be torn down under it. A compilation
that fails is reported once, and its structure stays interpreted.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from .._basics.notices import notice
from .._basics.settings import settings
from .._basics.stats import stats
from .structures import Structure, structures

# A wait of this many seconds is announced on a terminal.
PATIENCE = 2.0

_lock = threading.Lock()
_pool: list[ThreadPoolExecutor] = []
_pending: dict[Any, Future[Any]] = {}


def start(key: Any, compile: Callable[[], Any], structure: Structure) -> None:
    """Begin to make the program of `key`, unless that is under way."""
    with _lock:
        if key in _pending:
            return
        if not _pool:
            _pool.append(ThreadPoolExecutor(1, "torchish-compiler"))
        _pending[key] = _pool[0].submit(_timed, compile, structure)


def finish(
    key: Any, compile: Callable[[], Any], structure: Structure, keep: Callable[[Any], None]
) -> Any:
    """The program of `key`, waited for, and given to `keep` before anybody could make it again."""
    start(key, compile, structure)
    with _lock:
        future = _pending[key]
    try:
        _wait(future, structure)
        program = future.result()
        keep(program)
        return program
    finally:
        if future.done():
            with _lock:
                if _pending.get(key) is future:
                    del _pending[key]


def _timed(compile: Callable[[], Any], structure: Structure) -> Any:
    began = time.perf_counter()
    made = compile()
    took = time.perf_counter() - began
    what = structure.described()
    stats.compilations.append((what, took))
    structures.note_compilation(structure, took)
    if settings.log_compiles:
        print(f"torchish: compiled {what} in {took:.2f} s", file=sys.stderr)
    return made


def _wait(future: Future[Any], structure: Structure) -> None:
    """Wait; after a while, and only on a terminal, say for what (one line, rewritten)."""
    began = time.perf_counter()
    said = False
    while not wait([future], PATIENCE if not said else 0.5).done:
        if sys.stderr is None or not sys.stderr.isatty():
            continue
        said = True
        seconds = time.perf_counter() - began
        sys.stderr.write(f"\rtorchish: compiling {structure.described()}, {seconds:.0f} s")
        sys.stderr.flush()
    if said:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def failed(error: BaseException, structure: Structure) -> None:
    """Have the user told that a structure could not be compiled and goes on as it runs now."""
    slow = "interpreted" if structure.tier == "interpreted" else "run kernel by kernel"
    text = (
        f"XLA could not compile a program ({type(error).__name__}: {error}); "
        f"it goes on being {slow}, which is slower."
    )
    notice(text, structure.file, structure.line)


def forget() -> None:
    """Drop what a forked child inherited: the compiling thread does not exist there."""
    global _lock
    _lock = threading.Lock()
    _pool.clear()
    _pending.clear()
    structures.lock = threading.Lock()
