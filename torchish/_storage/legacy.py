"""`torch.FloatStorage` and its kin: constructors and instance checks of one dtype.

They make and recognise a `TypedStorage`; none has instances of its own.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from .._autograd.interop import wrap_host
from .._basics.dtypes import dtype
from ..storage import TypedStorage, UntypedStorage, class_names, dtype_of_class

_FORMS = """.__new__ received an invalid combination of arguments. Expected one of:
 * no arguments
 * (int size)
 * (Sequence data)
 * (*, UntypedStorage wrap_storage)
"""


class _LegacyMeta(type):
    """A storage is an instance of the class of its dtype and place."""

    dtype: dtype
    place: str

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, TypedStorage)
            and instance.dtype is cls.dtype
            and instance.device.type == cls.place
        )

    def __call__(cls, *args: Any, wrap_storage: Any = None, **kwargs: Any) -> Any:
        lead = f"{cls}{_FORMS}"
        for name in kwargs:
            raise RuntimeError(f"{lead}Keyword argument '{name}' cannot be specified")
        if len(args) > (wrap_storage is None):
            raise RuntimeError(lead + "Too many positional arguments")
        if wrap_storage is None:
            return TypedStorage(*args, dtype=cls.dtype, device=cls.place)
        if not isinstance(wrap_storage, UntypedStorage):
            raise TypeError(
                f"{lead}Argument 'wrap_storage' must be UntypedStorage, but got "
                f"{type(wrap_storage)}"
            )
        return TypedStorage(wrap_storage=wrap_storage, dtype=cls.dtype)


@functools.cache
def legacy_classes(place: str = "cpu") -> dict[str, Any]:
    """The legacy class of each dtype that has one, by name."""
    module = "torch" if place == "cpu" else f"torch.{place}"
    return {
        name: _LegacyMeta(
            name, (TypedStorage,),
            {"__module__": module, "dtype": dtype_of_class(name), "place": place},
        )
        for name in class_names()
    }  # fmt: skip


def read_buffer(
    buffer: Any, byte_order: str = "native", count: int = -1, offset: int = 0, *, dtype: dtype
) -> Any:
    """A tensor of the elements in a buffer.

    Raises: ValueError for an unknown byte order or a buffer that holds no whole elements.
    """
    if byte_order not in ("native", "little", "big"):
        raise ValueError(
            f"invalid byte_order '{byte_order}' (expected 'big', 'little', or 'native')"
        )
    raw = np.frombuffer(buffer, np.uint8)[offset:]
    width = dtype.itemsize
    if count < 0:
        if raw.size % width:
            raise ValueError(
                f"buffer size ({raw.size + offset}) must be a multiple of element size ({width})"
            )
        count = raw.size // width
    if count * width > raw.size:
        raise ValueError(
            f"buffer has only {raw.size // width} elements after offset {offset}, but specified a "
            f"size of {count}"
        )
    part = raw[: count * width].copy()
    if byte_order not in ("native", sys.byteorder):
        half = width // 2 if dtype.is_complex else width
        part = np.ascontiguousarray(part.reshape(-1, half)[:, ::-1]).reshape(-1)
    return wrap_host(part.view(dtype.np))
