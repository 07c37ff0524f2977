"""The zip container of checkpoints: a writer with PyTorch's layout and a reader for it.

Invariant: a written archive is byte for byte what PyTorch 2.13 writes for the same records
(but for the digits of `.data/serialization_id`), so code that computes record offsets works on it.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from typing import IO, Any

import numpy as np

VERSION = b"3\n"
ALIGNMENT = 64
_MIN_READ, _MAX_READ = 1, 10
_LIMIT32 = 0xFFFFFFFF
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_UNREADABLE = (ValueError, OSError, NotImplementedError, RuntimeError)
_UTF8, _DESCRIPTOR = 1 << 11, 1 << 3


class ArchiveWriter:
    """Writes records one after the other, uncompressed, each payload aligned to `alignment`."""

    def __init__(
        self,
        file: IO[bytes],
        name: str = "archive",
        *,
        alignment: int = ALIGNMENT,
        compute_crc32: bool = True,
    ) -> None:
        self._file = file
        self._name = name
        self._alignment = alignment
        self._compute_crc32 = compute_crc32
        self._cursor = 0
        self._central: list[bytes] = []
        self._names: list[str] = []
        self._combined_crc = 0

    def write_record(self, name: str, data: Any, *, skip_data: bool = False) -> None:
        """Append the record `name`; `skip_data` leaves its bytes as a hole of zeros."""
        view = memoryview(data).cast("B") if memoryview(data).nbytes else memoryview(b"")
        crc = zlib.crc32(view) if self._compute_crc32 and not skip_data else 0
        path = f"{self._name}/{name}".encode()
        flags = _UTF8 | (_DESCRIPTOR if view.nbytes else 0)
        start, size = self._cursor, view.nbytes
        self._write_header(path, flags, size)
        if skip_data:
            self._write_zeros(size)
        else:
            self._write(view)
        if size:
            self._write_descriptor(crc, size, start)
        self._central.append(_central_entry(path, flags, crc, size, start))
        self._names.append(name)
        self._combined_crc = zlib.crc32(struct.pack("<I", crc), self._combined_crc)

    def finish(self) -> None:
        """Write the trailing records (`version`, `.data/serialization_id`) and the directory."""
        self.write_record("version", VERSION)
        if "byteorder" not in self._names:
            self.write_record("byteorder", sys.byteorder.encode())
        names = zlib.crc32("\n".join(self._names).encode())
        self.write_record(".data/serialization_id", b"%020d%020d" % (names, self._combined_crc))
        start = self._cursor
        for entry in self._central:
            self._write(entry)
        self._write(_end_of_directory(len(self._central), self._cursor - start, start))

    def _write(self, data: Any) -> None:
        self._file.write(data)
        self._cursor += len(data)

    def _write_zeros(self, count: int) -> None:
        block = bytes(min(count, 1 << 20))
        while count:
            step = min(count, len(block))
            self._write(block[:step])
            count -= step

    def _write_header(self, path: bytes, flags: int, size: int) -> None:
        zip64 = _zip64_extra(size, self._cursor)
        fixed = _LOCAL.size + len(path) + len(zip64) + 4
        padding = -(self._cursor + fixed) % self._alignment
        # A private extra field fills the gap in front of the payload.
        extra = zip64 + b"FB" + struct.pack("<H", padding) + b"Z" * padding
        self._write(_LOCAL.pack(b"PK\3\4", 0, flags, 0, 0, 0, 0, 0, 0, len(path), len(extra)))
        self._write(path)
        self._write(extra)

    def _write_descriptor(self, crc: int, size: int, start: int) -> None:
        wide = size >= _LIMIT32 or start >= _LIMIT32
        self._write(struct.pack("<4sIQQ" if wide else "<4sIII", b"PK\7\10", crc, size, size))


def _zip64_extra(size: int, offset: int) -> bytes:
    fields = b""
    if size >= _LIMIT32:
        fields += struct.pack("<QQ", size, size)
    if offset >= _LIMIT32:
        fields += struct.pack("<Q", offset)
    if not fields:
        return b""
    return struct.pack("<HH", 1, len(fields)) + fields


def _central_entry(path: bytes, flags: int, crc: int, size: int, offset: int) -> bytes:
    extra = _zip64_extra(size, offset)
    small, at = min(size, _LIMIT32), min(offset, _LIMIT32)
    head = _CENTRAL.pack(
        *(b"PK\1\2", 0, 0, flags, 0, 0, 0, crc, small, small),
        *(len(path), len(extra), 0, 0, 0, 0, at),
    )
    return head + path + extra


def _end_of_directory(count: int, size: int, start: int) -> bytes:
    # PyTorch's writer always adds the 64-bit form.
    tail = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 0x031E, 0x002D, 0, 0, count, count, size, start)
    tail += struct.pack("<4sIQI", b"PK\6\7", 0, start + size, 1)
    few = min(count, 0xFFFF)
    tail += struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, few, few, min(size, _LIMIT32), min(start, _LIMIT32), 0
    )
    return tail


class ArchiveReader:
    """Gives access to the records of a checkpoint.

    Raises: RuntimeError, in PyTorch's words, where the file is truncated or not a checkpoint.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._start = file.tell()
        try:
            window = _Window(file, self._start)
            self._size = window.seek(0, io.SEEK_END)
            self._zip = zipfile.ZipFile(window)  # type: ignore[arg-type]
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, struct.error, ValueError, EOFError, NotImplementedError) as e:
            reason = "failed finding central directory" if self._size >= 22 else "not a ZIP archive"
            raise _broken(f"failed reading zip archive: {reason}") from e
        first = entries[0].filename if entries else ""
        if "/" not in first:
            raise RuntimeError(f"file in archive is not in a subdirectory: {first}")
        self._prefix = first.split("/", 1)[0] + "/"
        self._entries = {e.filename: e for e in entries}
        self._check_version()

    def names(self) -> list[str]:
        """The names of all records."""
        skip = len(self._prefix)
        return [n[skip:] for n in self._entries if n.startswith(self._prefix)]

    def has_record(self, name: str) -> bool:
        """Whether the archive holds the record `name`."""
        return self._prefix + name in self._entries

    def get_record(self, name: str) -> bytes:
        """The contents of a small record."""
        return bytes(self.read_array(name))

    def record_size(self, name: str) -> int:
        """Number of bytes of a record's contents."""
        return self._entry(name).file_size

    def record_offset(self, name: str) -> int:
        """Where a record's contents begin, counted from the start of the archive."""
        entry = self._entry(name)
        if not 0 <= entry.header_offset < self._size:
            raise _broken(f"failed reading file {name}: invalid header or archive is corrupted")
        self._file.seek(self._start + entry.header_offset)
        head = self._file.read(_LOCAL.size)
        if len(head) < _LOCAL.size or head[:4] != b"PK\3\4":
            raise _broken(f"failed reading file {name}: invalid header or archive is corrupted")
        name_length, extra_length = struct.unpack_from("<HH", head, 26)
        return entry.header_offset + _LOCAL.size + name_length + extra_length

    def read_array(self, name: str) -> np.ndarray:
        """A record's contents as a writable uint8 array that starts on a 64-byte boundary."""
        entry = self._entry(name)
        stored = entry.compress_type == zipfile.ZIP_STORED
        if stored and entry.file_size > self._size:
            raise _broken(f"failed reading file {name}: file read failed")
        buffer = aligned_bytes(entry.file_size)
        if not stored:
            try:
                buffer[:] = np.frombuffer(self._zip.read(entry), np.uint8)
            except (zipfile.BadZipFile, zlib.error, EOFError, *_UNREADABLE) as e:
                raise _broken(f"failed reading file {name}: decompression failed") from e
            return buffer
        self._file.seek(self._start + self.record_offset(name))
        if read_into(self._file, buffer) != entry.file_size:
            raise _broken(f"failed reading file {name}: file read failed")
        return buffer

    def _entry(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._entries[self._prefix + name]
        except KeyError:
            raise _broken(f"failed locating file {name}: file not found") from None

    def _check_version(self) -> None:
        name = next((n for n in (".data/version", "version") if self.has_record(n)), None)
        if name is None:
            raise RuntimeError(
                'Expected hasRecord("version") to be true, but got false.  '
                "(the zip archive is not a checkpoint, or its end was lost)"
            )
        text = self.get_record(name).decode("latin1")
        try:
            version = int(text)
        except ValueError:
            raise RuntimeError(f"Couldn't parse the version {text} as Long Long.") from None
        if version < _MIN_READ or version > _MAX_READ:
            bound = (
                f"minimum supported version for reading is {_MIN_READ}. Your PyTorch script module "
                "file is too old. Please regenerate it with latest version of PyTorch"
                if version < _MIN_READ
                else f"maximum supported version for reading is {_MAX_READ}. The version of your "
                "PyTorch installation may be too old, please upgrade PyTorch to latest version"
            )
            raise RuntimeError(
                f"Attempted to read a PyTorch file with version {version}, but the {bound} "
                "to mitigate this issue."
            )


class _Window(io.RawIOBase):
    """The part of `file` from `start` on, as a file of its own."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file, self._start, self._position = file, start, 0
        self._size = file.seek(0, io.SEEK_END) - start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, self._size)[whence]
        if base + offset < 0:
            raise OSError(22, "Invalid argument")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        self._file.seek(self._start + self._position)
        data = self._file.read() if size is None or size < 0 else self._file.read(size)
        self._position += len(data)
        return data


def aligned_bytes(count: int) -> np.ndarray:
    """An uninitialised uint8 array of `count` bytes that starts on a 64-byte boundary."""
    spare = np.empty(count + ALIGNMENT, np.uint8)
    skip = -spare.ctypes.data % ALIGNMENT
    return spare[skip : skip + count]


def read_into(file: IO[bytes], buffer: np.ndarray) -> int:
    """Fill `buffer` from `file`; returns how many bytes there were."""
    view = memoryview(buffer)  # type: ignore[arg-type]
    done = 0
    readinto = getattr(file, "readinto", None)
    while done < view.nbytes:
        if readinto is not None:
            count = readinto(view[done:])
        else:
            data = file.read(view.nbytes - done)
            count = len(data)
            view[done : done + count] = data
        if not count:
            break
        done += count
    return done


def _broken(what: str) -> RuntimeError:
    return RuntimeError(
        f"PytorchStreamReader {what}. This is an internal miniz error. If you are seeing this "
        "error, there is a high likelihood that your checkpoint file is corrupted. This can happen "
        "if the checkpoint was not saved properly, was transferred incorrectly, or the file was "
        "modified after saving."
    )
