"""Reading a zip checkpoint: storages by key, then the object that refers to them."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np

from .._basics.dtypes import dtype
from ..storage import TypedStorage, UntypedStorage, _MetaStorage
from .archive import ArchiveReader
from .locations import restorer
from .state import config, get_default_mmap_options, state
from .unpickling import RestrictedUnpickler, unpickler_class


def load_archive(
    archive: ArchiveReader,
    map_location: Any,
    pickle_module: Any,
    mapped_path: str | None = None,
    **options: Any,
) -> Any:
    """Read the object of a checkpoint; `pickle_module` None means the restricted unpickler."""
    reader = _StorageReader(archive, map_location, mapped_path)
    data = io.BytesIO(archive.get_record("data.pkl"))
    if pickle_module is None:
        unpickler: Any = RestrictedUnpickler(data, **options)
    else:
        unpickler = unpickler_class(pickle_module)(data, **options)
    unpickler.persistent_load = reader.persistent_load
    before, state.map_location = state.map_location, map_location
    try:
        return unpickler.load()
    finally:
        state.map_location = before


class _StorageReader:
    """Makes each storage of a checkpoint once, where `map_location` wants it."""

    def __init__(self, archive: ArchiveReader, map_location: Any, mapped_path: str | None) -> None:
        self._archive = archive
        self._restore = restorer(map_location)
        self._to_meta = str(map_location) == "meta"
        self._swap = _byteorder(archive) != sys.byteorder
        self._map = None if mapped_path is None else _map_file(mapped_path)
        self._storages: dict[str, UntypedStorage] = {}

    def persistent_load(self, pid: Any) -> TypedStorage:
        if not isinstance(pid, tuple) or len(pid) != 5 or _text(pid[0]) != "storage":
            raise RuntimeError(f"Unknown persistent id in the checkpoint: {pid!r}")
        _, kind, key, location, count = pid
        if key not in self._storages:
            self._storages[key] = self._make(kind.dtype, count, key, _text(location))
        return TypedStorage(wrap_storage=self._storages[key], dtype=kind.dtype)

    def _make(self, dt: dtype, count: int, key: str, location: str) -> UntypedStorage:
        size = count * dt.itemsize
        if self._to_meta:
            return _MetaStorage(size)
        raw = UntypedStorage._of_bytes(self._contents(f"data/{key}", size))
        if self._swap:
            raw.byteswap(dt)
        restored = self._restore(raw, location)
        return restored.untyped() if isinstance(restored, TypedStorage) else restored

    def _contents(self, name: str, size: int) -> np.ndarray[Any, Any]:
        if state.skip_data:
            return np.zeros(size, np.uint8)
        found = self._archive.record_size(name)
        if found != size:
            raise RuntimeError(
                f"record size ({found} bytes) does not match expected size ({size} bytes = {size} "
                "elements * 1 bytes/element) for dtype Byte"
            )
        if self._map is None or not size:
            return self._archive.read_array(name)
        start = self._archive.record_offset(name)
        return self._map[start : start + size]


def _map_file(path: str) -> np.ndarray[Any, Any]:
    import mmap

    # Private: writes go to copies of the pages, never to the file.
    mode = "r+" if get_default_mmap_options() == mmap.MAP_SHARED else "c"
    return np.asarray(np.memmap(path, np.uint8, mode=mode))  # type: ignore[call-overload,no-any-return]


def _byteorder(archive: ArchiveReader) -> str:
    if archive.has_record("byteorder"):
        order = archive.get_record("byteorder").decode()
        if order not in ("little", "big"):
            raise ValueError(f"Unknown endianness type: {order}")
        return order
    assumed = config.load.endianness
    if assumed is None:
        return "little"
    return {"LITTLE": "little", "BIG": "big", "NATIVE": sys.byteorder}[assumed.name]


def _text(name: bytes | str) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else name
