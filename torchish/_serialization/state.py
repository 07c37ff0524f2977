"""What save and load keep per thread, and their settings."""

from __future__ import annotations

import mmap
import threading
from typing import Any

from .._basics.devices import device


class _State(threading.local):
    """`skip_data`: contents are left out; `map_location`: that of the load under way."""

    skip_data: bool = False
    map_location: Any = None


state = _State()


class _Config:
    """`torch.utils.serialization.config`."""

    class save:
        compute_crc32 = True
        storage_alignment = 64
        use_pinned_memory_for_d2h = False

    class load:
        mmap = False
        endianness: Any = None
        mmap_flags: int | None = None
        calculate_storage_offsets = False


config = _Config


def mapped_device(tag: Any) -> Any:
    """Where a tensor that was on `tag` goes, for tensors without a pickled storage."""
    where = state.map_location
    if where is None:
        return tag
    if isinstance(where, dict):
        return where.get(tag, tag)
    if isinstance(where, (str, device)):
        return where
    raise RuntimeError(
        "Callable map_location not supported with _rebuild_wrapper_subclass "
        "or _rebuild_device_tensor_from_numpy"
    )


def get_default_mmap_options() -> int | None:
    """`mmap.MAP_PRIVATE` (default) or `mmap.MAP_SHARED`, for `load(mmap=True)`."""
    return mmap.MAP_PRIVATE if config.load.mmap_flags is None else config.load.mmap_flags
