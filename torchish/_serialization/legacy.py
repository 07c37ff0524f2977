"""The format before PyTorch 1.6: pickles one after the other, then the storages.

The contents follow the object that refers to them. Reading therefore takes two passes: the first
builds nothing and only collects which storages there are.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
from typing import IO, Any

import numpy as np

from .._basics.errors import not_supported
from ..storage import TypedStorage, UntypedStorage
from .archive import aligned_bytes, read_into
from .locations import restorer
from .pickling import StorageTable, dump
from .unpickling import (
    Complete,
    RestrictedUnpickler,
    _Unpickler,
    allowed_operations,
    find_storage_type,
    unpickler_class,
)

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
_TAR_MAGIC = b"ustar"


def dumps(obj: Any) -> bytes:
    """The bytes of a legacy checkpoint of `obj`."""
    buffer = io.BytesIO()
    save(obj, buffer, pickle, 2)
    return buffer.getvalue()


def save(obj: Any, file: IO[bytes], pickle_module: Any, protocol: int) -> None:
    """Write `obj` to an open file."""
    table = StorageTable()
    widths: dict[str, int] = {}

    def describe(storage: Any) -> tuple[Any, ...]:
        kind, key, location, count = table.describe(storage)
        widths.setdefault(key, storage.element_size())
        return ("storage", kind, key, location, count, None)

    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": {"short": 2, "int": 4, "long": struct.calcsize("l")},
    }
    for head in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        pickle_module.dump(head, file, protocol=protocol)
    dump(obj, file, pickle_module, protocol, describe)
    keys = sorted(table.storages)
    pickle_module.dump(keys, file, protocol=protocol)
    for key in keys:
        data = table.storages[key]._bytes()
        file.write(struct.pack("<q", data.nbytes // widths[key]))
        file.write(data.data)
    flush = getattr(file, "flush", None)
    if flush is not None:
        flush()


def load(file: IO[bytes], map_location: Any, pickle_module: Any, **options: Any) -> Any:
    """Read a legacy checkpoint; `pickle_module` None means the restricted unpickler."""
    start = file.tell()
    if file.read(512)[257:262] == _TAR_MAGIC:
        raise not_supported(
            "checkpoints in the .tar format of PyTorch 0.1", "save the file anew with PyTorch"
        )
    file.seek(start)
    if _read(file, pickle_module, options) != MAGIC_NUMBER:
        raise RuntimeError("Invalid magic number; corrupt file?")
    version = _read(file, pickle_module, options)
    if version != PROTOCOL_VERSION:
        raise RuntimeError(f"Invalid protocol version: {version}")
    system = _read(file, pickle_module, options)
    at = file.tell()
    storages = _collect(file, pickle_module is None, options)
    keys = _read(file, pickle_module, options)
    swap = system.get("little_endian", True) != (sys.byteorder == "little")
    contents = {key: _read_storage(file, storages[key][0].itemsize) for key in keys}
    file.seek(at)
    return _build(file, pickle_module, options, map_location, contents, swap)


def _unpickler(file: IO[bytes], pickle_module: Any, options: dict[str, Any]) -> Any:
    if pickle_module is None:
        return RestrictedUnpickler(file, **options)
    return unpickler_class(pickle_module)(file, **options)


def _read(file: IO[bytes], pickle_module: Any, options: dict[str, Any]) -> Any:
    return _unpickler(file, pickle_module, options).load()


def _read_storage(file: IO[bytes], itemsize: int) -> np.ndarray[Any, Any]:
    head = file.read(8)
    if len(head) < 8:
        raise RuntimeError(
            f"unexpected EOF, expected {8 - len(head)} more bytes. The file might be corrupted."
        )
    size, at = struct.unpack("<q", head)[0] * itemsize, file.tell()
    left = file.seek(0, io.SEEK_END) - at
    if size < 0 or size > left:
        raise RuntimeError(
            f"unexpected EOF, expected {size - left} more bytes. The file might be corrupted."
        )
    file.seek(at)
    buffer = aligned_bytes(size)
    read_into(file, buffer)
    return buffer


class _Stub:
    """Stands for every object while storages are collected: accepts anything, does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> _Stub:
        return self

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def add(self, item: Any) -> None: ...


class _Collector(_Unpickler):  # type: ignore[misc]
    """Runs a pickle on stubs; only the persistent ids of storages come out."""

    def find_class(self, module: str, name: str) -> Any:
        storage_type = find_storage_type(module, name)
        if storage_type is not None:
            return storage_type
        if self.judge is not None:
            self.judge.find_class(module, name)  # refuses what must not be there
        return _Stub

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and _text(pid[0]) == "storage":
            _, kind, key, location, count, *_ = pid
            self.found[key] = (kind.dtype, _text(location), count)
            return _Stub()
        return _Stub


def _collect(
    file: IO[bytes], restricted: bool, options: dict[str, Any]
) -> dict[Any, tuple[Any, str, int]]:
    """What the object's pickle says of each storage: dtype, location tag, elements."""
    collector = _Collector(Complete(file), encoding=options.get("encoding", "utf-8"))
    collector.found = {}
    collector.judge = None
    if restricted:
        collector.judge = RestrictedUnpickler(io.BytesIO(), **options)
        collector.dispatch = allowed_operations()
    try:
        collector.load()
    except EOFError:
        if restricted:
            raise
        raise pickle.UnpicklingError("pickle data was truncated") from None
    return collector.found  # type: ignore[no-any-return]


def _build(
    file: IO[bytes],
    pickle_module: Any,
    options: dict[str, Any],
    map_location: Any,
    contents: dict[Any, np.ndarray[Any, Any]],
    swap: bool,
) -> Any:
    restore = restorer(map_location)
    roots: dict[Any, UntypedStorage] = {}
    views: dict[Any, UntypedStorage] = {}

    def persistent_load(pid: Any) -> Any:
        kind, *rest = pid
        if _text(kind) == "module":
            return rest[0]
        if _text(kind) != "storage":
            raise RuntimeError(f"Unknown saved id type: {kind}")
        storage_type, key, location, _, view = (*rest, None)[:5]
        if view is not None:
            return TypedStorage(
                wrap_storage=_view(contents, views, key, view, storage_type, location, restore),
                dtype=storage_type.dtype,
            )
        if key not in roots:
            raw = UntypedStorage._of_bytes(contents[key])
            if swap:
                raw.byteswap(storage_type.dtype)
            roots[key] = restore(raw, _text(location))
        return TypedStorage(wrap_storage=roots[key], dtype=storage_type.dtype)

    unpickler = _unpickler(file, pickle_module, options)
    unpickler.persistent_load = persistent_load
    return unpickler.load()


def _view(
    contents: dict[Any, Any], views: dict[Any, Any], root: Any, view: Any, kind: Any, tag: Any,
    restore: Any,
) -> UntypedStorage:  # fmt: skip
    """A storage that is part of another (PyTorch before 0.4 wrote such)."""
    key, offset, size = view
    if key not in views:
        width = kind.dtype.itemsize
        part = contents[root][offset * width : (offset + size) * width]
        views[key] = restore(UntypedStorage._of_bytes(part), _text(tag))
    return views[key]  # type: ignore[no-any-return]


def _text(name: bytes | str) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else name
