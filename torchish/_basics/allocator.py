"""The C allocator's thresholds: memory that a program freed serves the next one.

XLA's CPU client allocates a program's temporary arena anew at every call. glibc maps what is larger
than 32 MiB from the system and gives it back when it is freed, so each step would touch every page
for the first time again: a page fault for 4 KiB costs as much as computing on it. With the
thresholds raised such blocks stay in the heap of the process.

The thresholds are those of the main heap alone. A thread with a heap of its own (an arena) takes at
most 64 MiB from it: what is larger is mapped from the system as before, so that a program that XLA
runs on another thread than the last one found no memory to reuse. All threads share the main heap;
small blocks come from each thread's cache, which takes no lock.

What comes once (the temporaries of a heavy interpreted step, the compiler's own memory) is given
back by `trim`: nothing of that size will ask for it soon.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
# Blocks below the first bound come from the heap; free memory at its end beyond the second goes
# back to the system.
LARGEST, KEPT = 1 << 30, (1 << 31) - 1


_trim: list[Any] = []  # glibc's malloc_trim, once the thresholds are raised


def keep_freed_memory() -> bool:
    """Raise glibc's thresholds, one heap for all threads; False where the C library is another."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    mallopt, trim = getattr(libc, "mallopt", None), getattr(libc, "malloc_trim", None)
    if mallopt is None or trim is None:
        return False
    _trim[:] = [trim]
    wanted = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: LARGEST, M_TRIM_THRESHOLD: KEPT}
    taken = [mallopt(name, value) for name, value in wanted.items()]
    return all(taken)


def trim() -> None:
    """Give the process's free memory back to the system, if it is kept at all."""
    if _trim:
        _trim[0](0)
