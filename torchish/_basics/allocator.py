"""The C allocator's thresholds: memory that a program freed serves the next one.

XLA's CPU client allocates a program's temporary arena anew at every call. glibc maps what is larger
than 32 MiB from the system and gives it back when it is freed, so each step would touch every page
for the first time again: a page fault for 4 KiB costs as much as computing on it. With the
thresholds raised such blocks stay in the heap of the process.

What comes once (the temporaries of a heavy interpreted step, the compiler's own memory) is given
back by `trim`: nothing of that size will ask for it soon.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Blocks below the first bound come from the heap; free memory at its end beyond the second goes
# back to the system.
LARGEST, KEPT = 1 << 30, (1 << 31) - 1


_trim: list[Any] = []  # glibc's malloc_trim, once the thresholds are raised


def keep_freed_memory() -> bool:
    """Raise glibc's thresholds; False where there is another C library."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    mallopt, trim = getattr(libc, "mallopt", None), getattr(libc, "malloc_trim", None)
    if mallopt is None or trim is None:
        return False
    _trim[:] = [trim]
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))


def trim() -> None:
    """Give the process's free memory back to the system, if it is kept at all."""
    if _trim:
        _trim[0](0)
