"""Memory that several processes map: anonymous files, known by their descriptors alone.

Invariant: no block ever has a name, so nothing can be left behind: the kernel frees it with the
last mapping and the last descriptor, however the processes end.
"""

from __future__ import annotations

import functools
import mmap
import os
import tempfile
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

_PAGE = mmap.PAGESIZE
_PROTECTION, _SHARED = 3, 1  # PROT_READ | PROT_WRITE, MAP_SHARED


class Block:
    """One mapping of a block of shared memory. numpy arrays over it keep it alive.

    `is_private` says that no other process writes to it any more.
    """

    __slots__ = (
        "__array_interface__", "__weakref__", "_whole", "address", "fd", "is_private", "nbytes",
    )  # fmt: skip

    _whole: Block  # what a lease is a part of

    def __init__(
        self, fd: int, nbytes: int, keep_fd: bool = True, is_private: bool = False
    ) -> None:
        """Maps the file `fd`, which the block then owns; without `keep_fd` it is closed."""
        address = _map(fd, nbytes)
        self._describe(address, nbytes)
        self.is_private = is_private
        self.fd = fd if keep_fd else -1
        ended = weakref.finalize(self, _unmap, address, nbytes, self.fd)
        ended.atexit = False  # arrays may be read until the very end
        if not keep_fd:
            os.close(fd)

    def _describe(self, address: int, nbytes: int) -> None:
        self.nbytes, self.address = nbytes, address
        self.__array_interface__ = {
            "version": 3, "shape": (nbytes,), "typestr": "|u1", "data": (address, False),
        }  # fmt: skip

    def lease(self, nbytes: int, release: Callable[[], None]) -> Block:
        """The first bytes, as a block that no other process writes to while anything refers to it.

        `release` is called when nothing does any more.
        """
        made = object.__new__(Block)
        made._describe(self.address, nbytes)
        made.fd, made.is_private, made._whole = -1, True, self
        weakref.finalize(made, release).atexit = False
        return made

    @classmethod
    def new(cls, nbytes: int) -> Block:
        """A block of zeros."""
        return cls(anonymous_file(nbytes), nbytes)

    def array(self) -> np.ndarray[Any, Any]:
        """The bytes."""
        return np.asarray(self)


def anonymous_file(nbytes: int) -> int:
    """The descriptor of a nameless file in memory.

    Raises: OSError when the system has no memory or no descriptor left.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("torchish", os.MFD_CLOEXEC)
    else:
        fd, path = tempfile.mkstemp(prefix="torchish-")
        os.unlink(path)
    try:
        os.ftruncate(fd, nbytes)
    except BaseException:
        os.close(fd)
        raise
    return fd


def block_of(array: Any) -> Block | None:
    """The block that a numpy array's memory is part of, if it is."""
    while array is not None and type(array) is not Block:
        array = array.obj if type(array) is memoryview else getattr(array, "base", None)
    return array


# Python's own mmap keeps a second descriptor for each mapping; models have hundreds of storages.
@functools.cache
def _libc() -> Any:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
        ctypes.c_long,
    ]  # fmt: skip
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


def _map(fd: int, nbytes: int) -> int:
    import ctypes

    address = _libc().mmap(None, max(nbytes, 1), _PROTECTION, _SHARED, fd, 0)
    if address == ctypes.c_void_p(-1).value:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(address)


def _unmap(address: int, nbytes: int, fd: int) -> None:
    _libc().munmap(address, max(nbytes, 1))
    if fd >= 0:
        os.close(fd)
