"""The pickler of checkpoints: storages go out of line, our objects get PyTorch's names."""

from __future__ import annotations

import functools
import pickle
import struct
import sys
from collections.abc import Callable
from types import FunctionType
from typing import IO, Any

from .._basics.dtypes import dtype
from .._basics.errors import not_supported
from .._tensor import host as _host
from ..storage import TypedStorage, UntypedStorage, class_name_of, is_storage
from .locations import location_tag
from .names import TORCH_NAMES, public_name, torch_name


class StorageGlobal:
    """Pickles as the name of a storage class, such as `torch.FloatStorage`."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


@functools.cache
def storage_global(name: str) -> StorageGlobal:
    """The one object for each class name (pickle then writes the name once)."""
    return StorageGlobal("torch.storage" if name == "UntypedStorage" else "torch", name)


class StorageTable:
    """The storages of a checkpoint in the order in which pickling met them."""

    def __init__(self) -> None:
        self.storages: dict[str, UntypedStorage] = {}
        self._keys: dict[int, str] = {}
        self._dtypes: dict[int, Any] = {}

    def describe(self, storage: TypedStorage | UntypedStorage) -> tuple[Any, ...]:
        """(class, key, location tag, elements); the persistent id of a storage.

        Raises: RuntimeError when one storage is saved under two dtypes.
        """
        if isinstance(storage, TypedStorage):
            untyped, dt = storage._untyped_storage, storage.dtype
            kind, count = storage_global(str(class_name_of(dt))), storage.size()
        else:
            untyped, dt = storage, None
            kind, count = storage_global("UntypedStorage"), storage.nbytes()
        if untyped.nbytes() and self._dtypes.setdefault(untyped._cdata, dt) is not dt:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different "
                "types"
            )
        key = self._keys.setdefault(untyped._cdata, str(len(self._keys)))
        self.storages.setdefault(key, untyped)
        return kind, key, location_tag(untyped), count


class _TorchNames:
    """Mixed in front of a Python-level Pickler: persistent ids for storages, torch's names."""

    proto: int
    write: Callable[[bytes], Any]
    memoize: Callable[[Any], None]
    save: Callable[..., None]
    describe: Callable[[Any], Any]

    def persistent_id(self, obj: Any) -> Any:
        return self.describe(obj) if is_storage(obj) else None

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is dtype or type(obj) is StorageGlobal:
            return obj.name
        if type(obj) is _host.Generator:
            cls, args, (seed, offset, words) = obj.__reduce__()
            return cls, args, (seed, offset, _host.wrap(words))
        # Plain pickles rebuild these two through functions of ours; checkpoints name the classes.
        if type(obj) is _host.Size:
            return _host.Size, (tuple(obj),)
        if type(obj) is _host.devices.device:
            place = (obj.type,) if obj.index is None else (obj.type, obj.index)
            return _host.devices.device, place
        return NotImplemented

    def save_global(self, obj: Any, name: str | None = None) -> None:
        found = _name_of(obj, name)
        if found is None:
            super().save_global(obj, name)  # type: ignore[misc]
            return
        module, qualname = found
        if self.proto >= 4:
            self.save(sys.intern(module))  # one object each, so pickle writes it once
            self.save(sys.intern(qualname))
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{qualname}\n".encode())
        self.memoize(obj)


def _name_of(obj: Any, name: str | None) -> tuple[str, str] | None:
    if type(obj) is dtype:
        return "torch", obj.name
    if type(obj) is StorageGlobal:
        return obj.module, obj.name
    qualname = name or getattr(obj, "__qualname__", None) or obj.__name__
    module = getattr(obj, "__module__", None)
    if not isinstance(module, str) or "." in qualname:
        return None
    if hasattr(obj, "operator") or (
        module.startswith("torchish._ops.") and f"{module}.{qualname}" not in TORCH_NAMES
    ):
        return public_name(obj)
    return torch_name(module, qualname)


@functools.cache
def pickler_class(pickle_module: Any) -> type:
    """The checkpoint pickler on top of `pickle_module`'s.

    Raises: NotSupportedError for a module whose Pickler is written in C (but `pickle` itself).
    """
    base = pickle._Pickler if pickle_module is pickle else pickle_module.Pickler  # type: ignore[attr-defined]
    if not issubclass(base, pickle._Pickler):  # type: ignore[attr-defined]
        raise not_supported(
            f"pickle_module={pickle_module.__name__} in torch.save", "pickle_module=pickle"
        )
    made = type("CheckpointPickler", (_TorchNames, base), {})
    # The dispatch table holds plain functions, so it needs telling about the override.
    made.dispatch = {**base.dispatch, FunctionType: made.save_global}  # type: ignore[attr-defined]
    return made


def dump(
    obj: Any, file: IO[bytes], pickle_module: Any, protocol: int, describe: Callable[[Any], Any]
) -> None:
    """Pickle `obj` into `file`; `describe` gives the persistent id of a storage."""
    pickler = pickler_class(pickle_module)(file, protocol=protocol)
    pickler.describe = describe
    pickler.dump(obj)


def pack_int64(number: int) -> bytes:
    """The little-endian 8 bytes of a number."""
    return struct.pack("<q", number)
