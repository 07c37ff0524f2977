"""Forked children: what is made ready before a fork, and what a child starts from.

Invariants: a child of a process whose XLA has run never touches XLA again, because the threads that
would do the work were not copied; it reads arrays that were finished before the fork and interprets
everything else in numpy (`process.interpret_only`). No lock that the child can reach is held by a
thread that the child lacks: whoever traces holds `tracing`, which a fork waits for, and every other
lock of the engine is made anew by a function given to `in_child`.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from .state import process

# Seconds that a fork waits for another thread's trace to become a program.
_PATIENCE = 60.0

_before: list[Callable[[], None]] = []
_in_child: list[Callable[[], None]] = []
# XLA's clients besides JAX's own.
_clients: list[Any] = []


class _Tracing:
    """Held while JAX traces: its caches make other threads wait for a trace that is under way."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_held_for_fork = False

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self.lock.release()


tracing = _Tracing()


def before_fork(function: Callable[[], None]) -> Callable[[], None]:
    """Have `function` called in the parent before each fork."""
    _before.append(function)
    return function


def in_child(function: Callable[[], None]) -> Callable[[], None]:
    """Have `function` called in each child at its birth."""
    _in_child.append(function)
    return function


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
    tracing.is_held_for_fork = tracing.lock.acquire(timeout=_PATIENCE)
    if xla_has_started() and not process.interpret_only:
        _finish_arrays()


def _finish_arrays() -> None:
    """Wait for what XLA is computing: in the child it would never be finished."""
    from jax._src import xla_bridge

    for client in list(xla_bridge._backends.values()):
        for array in client.live_arrays():
            try:
                array.block_until_ready()
            except Exception:
                continue  # given away, or failed: reading it raises there as it does here


def _release() -> None:
    if tracing.is_held_for_fork:
        tracing.is_held_for_fork = False
        tracing.lock.release()


def _begin_child() -> None:
    tracing.lock = threading.RLock()
    tracing.is_held_for_fork = False
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
