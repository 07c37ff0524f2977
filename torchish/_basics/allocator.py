"""The C allocator's thresholds: memory that a program freed serves the next one.

XLA's CPU client allocates a program's temporary arena anew at every call. glibc maps what is larger
than 32 MiB from the system and gives it back when it is freed, so each step would touch every page
for the first time again: a page fault for 4 KiB costs as much as computing on it. With the
thresholds raised such blocks stay in the heap of the process.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Blocks below the first bound come from the heap; free memory at its end beyond the second goes
# back to the system.
LARGEST, KEPT = 1 << 30, (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Raise glibc's thresholds; False where there is another C library."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))
