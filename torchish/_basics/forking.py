"""Forked children: what is made ready before a fork, and what a child starts from.

Invariants: a child of a process whose XLA has run never touches XLA again, because the threads that
would do the work were not copied; it reads arrays that were finished before the fork and interprets
everything else in numpy (`process.interpret_only`). No lock that the child can reach is held by a
thread that the child lacks: a fork waits until it holds the locks made by `new_fork_lock` itself
(of what other threads run, and of JAX's tracing: a child goes on with both), for modules that are
being imported and for what `before_fork_wait` names; every other lock of the engine is made by
`new_lock` or `new_rlock`, and a child finds those free.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from .state import process

# Seconds that a fork waits for what other threads trace and run, and for the rest.
_PATIENCE = 60.0
_QUIET = 5.0

_before: list[Callable[[], None]] = []
_in_child: list[Callable[[], None]] = []
_quiet: list[Callable[[], bool]] = []
# XLA's clients besides JAX's own.
_clients: list[Any] = []
_locks: weakref.WeakSet[Any] = weakref.WeakSet()
_fork_locks: weakref.WeakSet[Any] = weakref.WeakSet()
# A number for each thread that waits for the locks of its fork.
_waiting: list[int] = []


class _Held(threading.local):
    """The locks that this thread has taken for its fork."""

    def __init__(self) -> None:
        self.locks: list[Any] = []


_held = _Held()


def new_lock() -> Any:
    """A `threading.Lock` that a child finds free, whichever thread held it at the fork."""
    return free_in_children(threading.Lock())


def new_rlock() -> Any:
    """A `threading.RLock` that a child finds free unless the thread that forked holds it."""
    return free_in_children(threading.RLock())


def new_fork_lock() -> Any:
    """A `threading.RLock` of state that a child needs whole: a fork waits until nobody holds it."""
    made = new_rlock()
    _fork_locks.add(made)
    return made


def free_in_children(lock: Any) -> Any:
    """Have a lock made by somebody else released in children; gives the lock."""
    _locks.add(lock)
    return lock


def _free_locks() -> None:
    """In the child: release what threads hold that were not copied."""
    for lock in list(_locks):
        is_owned = getattr(lock, "_is_owned", None)  # of an RLock
        if is_owned is None or not is_owned():
            lock._at_fork_reinit()  # what the standard library does to its own locks


class _Tracing:
    """Held while JAX traces: its caches make other threads wait for a trace that is under way."""

    def __init__(self) -> None:
        self.lock = new_fork_lock()

    def __enter__(self) -> None:
        give_way()
        self.lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self.lock.release()


tracing = _Tracing()


def give_way() -> None:
    """Let waiting forks go first, where this thread holds none of the locks that they wait for.

    A thread that runs program after program is nearly always seen with a lock: without this it
    keeps a fork waiting for half a minute and more on a busy machine.
    """
    if not _waiting:
        return
    end = time.monotonic() + _QUIET
    while _waiting and time.monotonic() < end:
        if any(lock._is_owned() for lock in list(_fork_locks)):
            return  # the fork waits for this thread
        time.sleep(0.0005)


def before_fork(function: Callable[[], None]) -> Callable[[], None]:
    """Have `function` called in the parent before each fork."""
    _before.append(function)
    return function


def in_child(function: Callable[[], None]) -> Callable[[], None]:
    """Have `function` called in each child at its birth."""
    _in_child.append(function)
    return function


def before_fork_wait(is_quiet: Callable[[], bool]) -> Callable[[], bool]:
    """Have each fork wait, for some seconds, until `is_quiet()`; it is asked last of all."""
    _quiet.append(is_quiet)
    return is_quiet


def xla_has_started() -> bool:
    """Whether this process has an XLA client, and so threads that a fork does not copy."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bool(bridge.backends_are_initialized())


def note_client(client: Any) -> None:
    """Have children spare a client of XLA that JAX does not know of."""
    _clients.append(client)


def interpret_only() -> None:
    """From now on run everything in numpy; XLA is neither started nor asked."""
    process.interpret_only = True


def _prepare() -> None:
    for function in _before:
        try:
            function()
        except RuntimeError:
            # The values that a failed program should have filled say so when they are read.
            continue
    _hold()
    if xla_has_started() and not process.interpret_only:
        _finish_arrays()
    end = time.monotonic() + _QUIET
    while not all(is_quiet() for is_quiet in _quiet) and time.monotonic() < end:
        time.sleep(0.0005)


@before_fork_wait
def _nothing_is_imported() -> bool:
    """Whether no other thread is in the middle of an import: a child could never finish that."""
    held = getattr(sys.modules.get("importlib._bootstrap"), "_module_locks", None)
    if not held or threading.active_count() == 1:
        return True
    locks = [lock for lock in (ref() for ref in list(held.values())) if lock is not None]
    return {lock.owner for lock in locks} <= {None, threading.get_ident()}


def _finish_arrays() -> None:
    """Wait for what XLA is computing: in the child it would never be finished."""
    from jax._src import xla_bridge

    for client in list(xla_bridge._backends.values()):
        for array in client.live_arrays():
            try:
                array.block_until_ready()
            except Exception:
                continue  # given away, or failed: reading it raises there as it does here


def _hold() -> None:
    """Take the locks all at once: who holds one of them may be waiting for another."""
    _waiting.append(threading.get_ident())
    try:
        _take_all(time.monotonic() + _PATIENCE)
    finally:
        _waiting.remove(threading.get_ident())


def _take_all(end: float) -> None:
    while True:
        for lock in list(_fork_locks):
            if not lock.acquire(blocking=False):
                break
            _held.locks.append(lock)
        else:
            return
        if time.monotonic() > end:
            return
        _release()
        time.sleep(0.0005)


def _release() -> None:
    while _held.locks:
        _held.locks.pop().release()


def _begin_child() -> None:
    _waiting.clear()
    _release()
    _free_locks()
    if xla_has_started():
        interpret_only()
        _keep_xla()
    for function in _in_child:
        function()


def _keep_xla() -> None:
    """Let XLA's clients outlive the child: their destructors wait for threads that it lacks."""
    import ctypes

    from jax._src import xla_bridge

    for client in (*getattr(xla_bridge, "_backends", {}).values(), *_clients):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))
    for name, hooks in (
        ("jax._src.api", ("clean_up",)),
        ("jax._src.dispatch", ("wait_for_tokens",)),
    ):
        module = sys.modules.get(name)
        for hook in hooks:
            function = getattr(module, hook, None)
            if function is not None:
                atexit.unregister(function)


def install() -> None:
    """Make forks of this process safe; called once, when torchish is imported."""
    if not hasattr(os, "register_at_fork"):
        return
    os.register_at_fork(before=_prepare, after_in_parent=_release, after_in_child=_begin_child)
    # JAX warns that a forked child deadlocks. Children of this package do not touch XLA.
    warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)


install()
