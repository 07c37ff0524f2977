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
from pathlib import Path

from .notices import notice

LIMIT = 4 << 30  # bytes of a folder
SWEEP = 256  # writes after which its size is looked at
FRESH = 86400.0  # seconds after which reading a file counts as using it anew
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
        temporary = None
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(".part", "", self._path)
            with os.fdopen(handle, "wb") as file:
                file.write(_checksum(contents))
                file.write(contents)
            os.replace(temporary, self._path / (key + self.suffix))
        except OSError as error:
            self._give_up(temporary, error)
            return
        self.writes += 1
        if self.writes % SWEEP == 1:
            self.sweep()

    def _give_up(self, temporary: str | None, error: OSError) -> None:
        self.is_off = True
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        notice(
            f"the cache folder {self._path} cannot be written ({error}): what this process "
            "compiles, the next one compiles again. TORCHISH_CACHE names another folder."
        )

    def sweep(self) -> None:
        """Drop the files that were not used for longest until the folder is within its limit."""
        try:
            found = []
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        status = entry.stat()
                        found.append((status.st_mtime, status.st_size, entry.path))
            total = sum(size for _, size, _ in found)
            for modified, size, path in sorted(found):
                stale = path.endswith(".part") and time.time() - modified > FRESH
                if total <= self.limit and not stale:
                    continue
                os.unlink(path)
                total -= size
        except OSError:
            return  # another process sweeps, or the folder is gone


def _checksum(contents: bytes) -> bytes:
    return hashlib.blake2b(contents, digest_size=_CHECK).digest()
