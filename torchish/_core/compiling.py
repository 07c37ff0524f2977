"""Compilations that run while the script goes on.

One background thread traces, lowers and compiles; XLA's compiler does not hold the interpreter's
lock. The thread is joined when the process ends: XLA must not be torn down under it. A compilation
that fails is reported once, and its structure stays interpreted.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from .._basics import forking
from .._basics.allocator import trim
from .._basics.forking import before_fork_wait, in_child, new_lock
from .._basics.notices import notice
from .._basics.settings import settings
from .._basics.stats import stats
from .structures import Structure, structures

# A wait of this many seconds is announced on a terminal.
PATIENCE = 2.0

_lock = new_lock()
_pool: list[ThreadPoolExecutor] = []
_pending: dict[Any, Future[Any]] = {}
_inherited: list[Any] = []
_working: list[int] = []  # the compiling thread, while it does


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
    _working.append(threading.get_ident())
    try:
        made = compile()
    finally:
        _working.clear()
    took = time.perf_counter() - began
    trim()  # the compiler's memory: hundreds of megabytes for a large program
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


@before_fork_wait
def _is_inside_xla() -> bool:
    """Whether the compiling thread is in XLA itself, or waits: then it holds none of the locks of
    JAX's Python code, all of which a child inherits as they are."""
    if not _working:
        return True
    frame = sys._current_frames().get(_working[0])
    return frame is None or frame.f_code.co_filename in _harmless()


@functools.cache
def _harmless() -> tuple[str, ...]:
    """The files whose functions call XLA's compiler, and wait for `tracing`."""
    from jax._src import compiler

    return str(compiler.__file__), forking.__file__


@in_child
def _forget() -> None:
    """The compiling thread does not exist here; what it has made is not taken apart without XLA."""
    _inherited.extend([*_pool, *_pending.values()])
    _pool.clear()
    _pending.clear()
    _working.clear()
