"""Memory that a device does not have: torch's errors, raised before anything is tried.

A system that overcommits grants memory that it lacks and kills the process when it is used; what is
larger than all memory and swap together is refused here instead, as a C allocator refuses it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .devices import META, device
from .errors import shown_as


@shown_as("torch")
class OutOfMemoryError(RuntimeError):
    """A device has no memory left."""


@functools.cache
def all_memory() -> int:
    """Bytes of memory and swap of this machine; without bound where it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = dict(line.split(":") for line in lines)
        kilobytes = [int(sizes[name].split()[0]) for name in ("MemTotal", "SwapTotal")]
    except (OSError, KeyError, ValueError):
        return 1 << 62
    return 1024 * sum(kilobytes)


def check_size(size: Sequence[int], itemsize: int, dev: device | None = None) -> None:
    """Raise where a tensor of this size could not be made on the host or on `dev`.

    Raises: RuntimeError for a size that overflows, and for more bytes than there are.
    """
    numel = math.prod(size)
    if numel * itemsize >= 1 << 63:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(size)}")
    if numel * itemsize > all_memory() and dev is not META:
        raise out_of_memory(numel * itemsize, dev)


def out_of_memory(nbytes: int, dev: device | None = None) -> RuntimeError:
    """torch's error for an allocation that failed."""
    if dev is None or dev.type == "cpu":
        return RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            f"memory: you tried to allocate {nbytes} bytes. Error code 12 (Cannot allocate memory)"
        )
    return OutOfMemoryError(
        f"{dev.type.upper()} out of memory. Tried to allocate {_in_words(nbytes)}. "
        f"GPU {dev.index or 0} has no block of that size left."
    )


def as_out_of_memory(error: BaseException, dev: device) -> RuntimeError | None:
    """torch's error where XLA or numpy ran out of memory; None for other errors."""
    if isinstance(error, MemoryError):
        shape, dtype = getattr(error, "shape", ()), getattr(error, "dtype", None)
        return out_of_memory(math.prod(shape) * getattr(dtype, "itemsize", 0), dev)
    text = str(error)
    if "RESOURCE_EXHAUSTED" not in text:
        return None
    found = re.search(r"allocat\w* (\d+)", text) or re.search(r"(\d+) bytes", text)
    return out_of_memory(int(found[1]) if found else 0, dev)


def _in_words(nbytes: int) -> str:
    amount = float(nbytes)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.2f} {unit}"
        amount /= 1024
    return f"{amount:.2f} GiB"


__all__: list[Any] = ["OutOfMemoryError", "as_out_of_memory", "check_size", "out_of_memory"]
