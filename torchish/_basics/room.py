"""How much of what tracing found is kept: a loop over thousands of shapes must not fill the memory.

Every kernel is listed here, weakly. When there are more than LIMIT, those that were not run for
longest forget their jaxprs, plans and gradients, and leave the memo of their operator. All of it is
made anew when it is asked for. Kernels of compiled programs stay: a program is found by them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

from .forking import new_lock

LIMIT = 1500
RECENT = 16  # flushes whose kernels stay in any case
STEP = 256  # kernels made between two looks at their number

_all: weakref.WeakSet[Any] = weakref.WeakSet()
_lock = new_lock()
# Functions that give the kernels which must stay.
holders: list[Callable[[], Iterable[Any]]] = []


class Clock:
    """Counts runs; a kernel remembers the last one that it was part of."""

    __slots__ = ("made", "now")

    def __init__(self) -> None:
        self.now = 0
        self.made = 0


clock = Clock()


def enlist(kernel: Any) -> None:
    """Count a new kernel, and make room if there are too many."""
    _all.add(kernel)
    clock.made += 1
    if clock.made % STEP == 0 and len(_all) > LIMIT and _lock.acquire(blocking=False):
        try:
            make_room()
        finally:
            _lock.release()


def make_room(limit: int | None = None) -> None:
    """Let the kernels that were not run for longest go, so that half of LIMIT stay."""
    staying = set()
    for kernel in [k for held in holders for k in held()]:
        staying |= {id(kernel), id(_primal(kernel))}
    every = list(_all)
    for kernel in every:  # a gradient is found by way of its kernel
        primal = _primal(kernel)
        primal.used = max(primal.used, kernel.used)
    loose = [k for k in every if id(k) not in staying]
    loose.sort(key=lambda k: k.used)
    if limit is None:  # a step of many kernels must find its own again
        loose = [k for k in loose if k.used < clock.now - RECENT]
        limit = LIMIT // 2
    for kernel in loose[: max(len(loose) - limit, 0)]:
        kernel.lighten()
        _all.discard(kernel)
        if kernel.origin is not None:
            operator, key = kernel.origin
            if operator.kernels.get(key) is kernel:
                del operator.kernels[key]


def _primal(kernel: Any) -> Any:
    found = getattr(kernel, "primal", None)
    return kernel if found is None else found[0]
