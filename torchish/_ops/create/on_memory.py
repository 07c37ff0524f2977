"""Tensors on given memory: any layout that a storage has room for, and the bytes of a file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._autograd.interop import tensor_on, wrap_host
from ..._basics.dtypes import dtype
from ..._basics.state import process
from ..._basics.strides import contiguous_strides
from ..registry import composite, ops


def is_storage(obj: Any) -> bool:
    """Whether `obj` is a typed or untyped storage."""
    return hasattr(obj, "untyped") and hasattr(obj, "nbytes")


def on_storage(
    storage: Any, dt: dtype, offset: int = 0, size: Sequence[int] | None = None,
    stride: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """A tensor that views a storage: all of it, row-major, by default.

    Raises: RuntimeError for a layout that the storage is too small for.
    """
    untyped = storage.untyped()
    shape = (untyped.nbytes() // dt.itemsize,) if size is None else tuple(size)
    strides = contiguous_strides(shape) if stride is None else tuple(stride)
    _check_room(untyped.nbytes(), dt.itemsize, offset, shape, strides)
    is_whole = (
        offset == 0
        and strides == contiguous_strides(shape)
        and math.prod(shape) * dt.itemsize == untyped.nbytes()
    )
    cell = untyped._attach(dt, shape if is_whole else None)
    return tensor_on(cell, offset, shape, strides, dt)


def _check_room(
    room: int, width: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    if offset < 0 or any(n < 0 for n in (*size, *stride)):
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)} and storage offset {offset} "
            "must not be negative"
        )
    last = sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    need = (offset + last + 1) * width
    if 0 not in size and need > room:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and "
            f"itemsize {width} requiring a storage size of {need} are out of bounds for storage of "
            f"size {room}"
        )


def mapped_bytes(path: str, shared: bool, nbytes: int) -> Any:
    """The first bytes of a file as a memory map; writes to it reach the file only if `shared`.

    Raises: RuntimeError for a file that cannot be opened or is too small.
    """
    try:
        with open(path, "r+b" if shared and os.path.exists(path) else "w+b" if shared else "rb"):
            size = os.path.getsize(path)
            if shared and size < nbytes:
                os.truncate(path, nbytes)
                size = nbytes
    except OSError as error:
        mode = "read-write" if shared else "read-only"
        raise RuntimeError(
            f"unable to open file <{path}> in {mode} mode: {error.strerror} ({error.errno})"
        ) from None
    if size < nbytes:
        raise RuntimeError(
            f"file <{path}> size <{size}> is smaller than the required mapping size <{nbytes}>"
        )
    if nbytes == 0:
        return np.zeros(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, "r+" if shared else "c", 0, (nbytes,)))


@composite(into=("torch",))
def from_file(
    filename: str, shared: bool | None = None, size: int = 0, *, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """A tensor on the memory of a file; with `shared`, writes reach the file.

    Raises: RuntimeError for a file that cannot be opened or is too short.
    """
    kind = dtype or process.default_dtype
    mapped = mapped_bytes(filename, bool(shared), size * kind.itemsize).view(kind.np)
    made = ops.from_numpy(mapped) if shared else wrap_host(mapped)
    return made if device is None else made.to(device)
