"""Folders of what other processes should find: compiled programs, plans of kernels.

Invariants: a file is written whole or not at all (a temporary file that is renamed), and is checked
when it is read, so that neither a full disk, a crash nor a second process leaves anything that a
reader could take for good. A folder that cannot be written is said once and does no harm. The
oldest files go when a folder has grown beyond its limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .notices import notice

LIMIT = 4 << 30  # bytes of a folder
SWEEP = 256  # writes after which its size is looked at
FRESH = 86400.0  # seconds after which reading a file counts as using it anew
_PART = ".part"  # how the name of a file that is being written ends
_CHECK = 16  # bytes of the checksum in front of the contents


class Folder:
    """Files by key, shared by processes."""

    def __init__(self, path: str, limit: int = LIMIT, suffix: str = "") -> None:
        self._path = Path(path)
        self.limit = limit
        self.suffix = suffix
        self.writes = 0
        self.is_off = False

    def get(self, key: str) -> bytes | None:
        """The contents; None where there are none, or not those that were written."""
        path = self._path / (key + self.suffix)
        try:
            with open(path, "rb") as file:
                data = file.read()
                if time.time() - os.fstat(file.fileno()).st_mtime > FRESH:
                    os.utime(path)
        except OSError:
            return None
        contents = data[_CHECK:]
        if data[:_CHECK] == _checksum(contents):
            return contents
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def put(self, key: str, contents: bytes) -> None:
        """Write a file; where that fails, nothing is left and nothing more is tried."""
        if self.is_off:
            return
        try:
            try:
                self._write(key, contents)
            except FileNotFoundError:  # somebody emptied or removed the folder meanwhile
                self._write(key, contents)
        except OSError as error:
            self._give_up(error)
            return
        self.writes += 1
        if self.writes % SWEEP == 1:
            self.sweep()

    def _write(self, key: str, contents: bytes) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(_PART, "", self._path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_checksum(contents))
                file.write(contents)
            os.replace(temporary, self._path / (key + self.suffix))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _give_up(self, error: OSError) -> None:
        self.is_off = True
        notice(
            f"the cache folder {self._path} cannot be written ({error}): what this process "
            "compiles, the next one compiles again. TORCHISH_CACHE names another folder."
        )

    def sweep(self) -> None:
        """Drop the files that were not used for longest until the folder is within its limit.

        What somebody writes at this moment is nobody's to drop; a `.part` file that was left by a
        process that died goes after a day.
        """
        found = []
        for modified, size, path in self._files():
            if not path.endswith(_PART):
                found.append((modified, size, path))
            elif time.time() - modified > FRESH:
                _drop(path)
        excess = sum(size for _, size, _ in found) - self.limit
        for _, size, path in sorted(found):
            if excess <= 0:
                return
            _drop(path)
            excess -= size

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """When each file was last used, its bytes and its path."""
        try:
            entries = list(os.scandir(self._path))
        except OSError:
            return  # the folder is gone
        for entry in entries:
            with contextlib.suppress(OSError):  # another process sweeps
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat()
                    yield status.st_mtime, status.st_size, entry.path


def _drop(path: str) -> None:
    """Remove a file that another process may have removed already."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _checksum(contents: bytes) -> bytes:
    return hashlib.blake2b(contents, digest_size=_CHECK).digest()
