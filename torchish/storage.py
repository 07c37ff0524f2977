"""Storages as the user sees them: the memory behind tensors, in bytes or in elements.

Invariant: an `UntypedStorage` is either still raw bytes (read from a checkpoint, dtype unknown) or
stands for one storage of the engine; two of them stand for the same memory exactly when they
share that storage.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from ._basics.devices import device
from ._basics.dtypes import dtype
from ._basics.later import later
from ._basics.memory import check_size
from ._ops.create.on_memory import mapped_bytes
from ._ops.registry import ops
from ._storage.editing import StorageEditing, over
from ._tensor import host as _host

_dumps = later("torchish._serialization.legacy:dumps")
_load = later("torchish.serialization:load")
_read_buffer = later("torchish._storage.legacy:read_buffer")

__all__ = ["TypedStorage", "UntypedStorage"]

# Legacy class names, which checkpoints use to say what the elements are.
_CLASS_BY_NP = {
    np.dtype(np.float64): "DoubleStorage",
    np.dtype(np.float32): "FloatStorage",
    np.dtype(np.float16): "HalfStorage",
    np.dtype(np.int64): "LongStorage",
    np.dtype(np.int32): "IntStorage",
    np.dtype(np.int16): "ShortStorage",
    np.dtype(np.int8): "CharStorage",
    np.dtype(np.uint8): "ByteStorage",
    np.dtype(np.bool_): "BoolStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype(np.complex128): "ComplexDoubleStorage",
    np.dtype(np.complex64): "ComplexFloatStorage",
}
_NP_BY_CLASS = {name: np_dtype for np_dtype, name in _CLASS_BY_NP.items()}


def class_name_of(dt: dtype) -> str | None:
    """The legacy storage class of a dtype; None for the newer dtypes, which have none."""
    return _CLASS_BY_NP.get(dt.np)


def class_names() -> list[str]:
    """The names of all legacy storage classes."""
    return list(_NP_BY_CLASS)


def dtype_of_class(name: str) -> dtype:
    """The dtype of a legacy storage class. Raises: KeyError for an unknown class."""
    return _host.dtypes.from_np(_NP_BY_CLASS[name])


class UntypedStorage(StorageEditing):
    """A block of memory, counted in bytes.

    Args:
        size: number of bytes, all zero at first; or the bytes themselves.
        device: where the memory is.
    """

    __module__ = "torch.storage"

    def __init__(self, size: Any = 0, *, device: Any = None) -> None:
        if isinstance(size, int):
            check_size((size,), 1)
        given = np.zeros(size, np.uint8) if isinstance(size, int) else np.array(size, np.uint8)
        self._raw: np.ndarray[Any, Any] | None = given
        self._cell: _host.Storage | None = None
        self._place = _as_device(device)
        self._exposed = False

    @classmethod
    def _of_bytes(cls, raw: np.ndarray[Any, Any]) -> UntypedStorage:
        """Takes over a uint8 array."""
        made = cls.__new__(cls)
        made._raw, made._cell, made._place = raw, None, _as_device(None)
        made._exposed = False
        return made

    @classmethod
    def _of_cell(cls, cell: _host.Storage) -> UntypedStorage:
        """Stands for a storage of the engine."""
        made = cls.__new__(cls)
        made._raw, made._cell, made._place = None, cell, cell.device
        made._exposed = False
        return made

    @classmethod
    def from_file(
        cls, filename: str | os.PathLike[str], shared: bool = False, nbytes: int = 0
    ) -> UntypedStorage:
        """A storage on the bytes of a file, which are read as they are needed.

        Args:
            filename: the file; made if it is absent and `shared`.
            shared: whether writes go to the file; it grows to `nbytes` if need be.
            nbytes: number of bytes.

        Raises: RuntimeError for a file that cannot be opened or is too small.
        """
        made = cls._of_bytes(mapped_bytes(os.fspath(filename), shared, nbytes))
        made.filename = os.fspath(filename) if shared else None
        made._exposed = shared
        return made

    def _attach(self, dt: dtype, shape: Sequence[int] | None = None) -> _host.Storage:
        """The engine's storage; raw bytes become elements of `dt` the first time.

        Raw bytes whose address somebody knows stay where they are.
        `shape` is that of a row-major tensor that covers it: the base then has this shape too, and
        the tensor is not a view.
        """
        if self._cell is None:
            raw = self._raw
            assert raw is not None
            if raw.nbytes % dt.itemsize:
                dt = _host.dtypes.uint8  # no byte may be lost
            whole = raw
            if whole.ctypes.data % dt.itemsize and not self._exposed:
                whole = whole.copy()
            elements = whole.view(dt.np)
            if self._exposed:
                self._cell = _host.shared_storage(elements)
            else:
                self._cell = _host.storage_on(
                    elements if shape is None else elements.reshape(shape), self._place
                )
            self._raw = None
        return self._cell

    def _bytes(self) -> np.ndarray[Any, Any]:
        """The contents, as read-only bytes."""
        if self._cell is None:
            assert self._raw is not None
            return self._raw
        return np.ascontiguousarray(_host.storage_contents(self._cell)).view(np.uint8)

    def _whole(self) -> Any:
        if self._cell is None:
            return over(self._attach(_host.dtypes.uint8))
        whole = over(self._cell)
        return whole if self._cell.dtype.itemsize == 1 else whole.view(_host.dtypes.uint8)

    def _replaced(self, tensor: Any) -> None:
        self._cell, self._raw = _host.storage_of(tensor), None

    def _attached(self) -> _host.Storage:
        """The engine's storage; raw bytes become a storage of bytes."""
        return self._attach(_host.dtypes.uint8) if self._cell is None else self._cell

    @property
    def device(self) -> device:
        """Where the memory is."""
        return self._place if self._cell is None else self._cell.device

    @property
    def is_cuda(self) -> bool:
        """Whether the memory is on a GPU."""
        return self.device.type == "cuda"

    def nbytes(self) -> int:
        """Number of bytes."""
        if self._cell is None:
            return int(self._raw.nbytes)  # type: ignore[union-attr]
        return int(self._cell.numel) * self._cell.dtype.itemsize

    size = nbytes
    __len__ = nbytes

    def element_size(self) -> int:
        """1: an untyped storage counts in bytes."""
        return 1

    def data_ptr(self) -> int:
        """The address of the memory (see `Tensor.data_ptr`); 0 when it is empty."""
        if self._cell is not None:
            return self._cell.address
        self._exposed = True
        return int(self._raw.ctypes.data) if self.nbytes() else 0  # type: ignore[union-attr]

    @property
    def _cdata(self) -> int:
        return id(self._cell if self._cell is not None else self._raw)

    def to(self, *, device: Any, non_blocking: bool = False) -> UntypedStorage:
        """This storage on another device; itself when it is there already."""
        place = _as_device(device)
        if place == self.device:
            return self
        if place.type == "meta":
            return _MetaStorage(self.nbytes())
        if self._cell is not None:
            return UntypedStorage._of_cell(_moved(self._cell, place))
        assert self._raw is not None
        moved = UntypedStorage._of_bytes(self._raw)
        moved._place = place
        return moved

    def cpu(self) -> UntypedStorage:
        """This storage in host memory."""
        return self.to(device="cpu")

    def cuda(self, device: Any = None, non_blocking: bool = False) -> UntypedStorage:
        """This storage on a GPU."""
        if device is None or isinstance(device, int):
            device = f"cuda:{_host.devices.current_cuda() if device is None else device}"
        return self.to(device=device)

    def clone(self) -> UntypedStorage:
        """A copy."""
        copied = UntypedStorage._of_bytes(self._bytes().copy())
        copied._place = self.device
        return (
            copied
            if self._cell is None
            else UntypedStorage._of_cell(copied._attach(self._cell.dtype))
        )

    def byteswap(self, dt: dtype) -> None:
        """Reverse the bytes of each element (each half of a complex one)."""
        assert self._raw is not None
        width = dt.itemsize // 2 if dt.is_complex else dt.itemsize
        if width > 1:
            self._raw = self._raw.reshape(-1, width)[:, ::-1].reshape(-1).copy()

    def type(self) -> str:
        """`torch.storage.UntypedStorage`."""
        return f"torch.{'cuda.' if self.is_cuda else 'storage.'}UntypedStorage"

    def tolist(self) -> list[int]:
        """The bytes as Python numbers."""
        return self._bytes().tolist()  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: int) -> None:
        self._whole()[index] = value

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            if not -self.nbytes() <= index < self.nbytes():
                raise IndexError(f"index {index} out of range for storage of size {self.nbytes()}")
            return int(self._bytes()[index])
        found = self._bytes()[index]
        part = UntypedStorage._of_bytes(found)
        part._exposed = self._exposed
        return part

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __copy__(self) -> UntypedStorage:
        return self.clone()

    def __deepcopy__(self, memo: dict[Any, Any]) -> UntypedStorage:
        return memo.setdefault(id(self), self.clone())  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        return _load_from_bytes, (_dumps(self),)

    def __repr__(self) -> str:
        lines = "\n".join(f" {b}" for b in self.tolist())
        size = self.nbytes()
        return f"{lines}\n[torch.storage.UntypedStorage(device={self.device}) of size {size}]"


class _MetaStorage(UntypedStorage):
    """A storage without memory: it knows its size."""

    def __init__(self, size: int) -> None:
        super().__init__(0, device="meta")
        self._size = size

    def nbytes(self) -> int:
        return self._size


class TypedStorage(StorageEditing):
    """A storage counted in elements of one dtype.

    Args:
        wrap_storage: the memory.
        dtype: what its elements are.
    """

    __module__ = "torch.storage"

    def __init__(
        self,
        *args: Any,
        wrap_storage: Any = None,
        dtype: dtype | None = None,
        device: Any = None,
        _internal: bool = False,
    ) -> None:
        if wrap_storage is not None and not isinstance(wrap_storage, UntypedStorage):
            raise TypeError(
                "TypedStorage.__init__ received an invalid combination of arguments. "
                "Argument 'wrap_storage' must be UntypedStorage, but got "
                f"{type(wrap_storage)}"
            )
        if len(args) > 1 or (wrap_storage is not None and args):
            raise RuntimeError(
                "TypedStorage.__init__ received an invalid combination of arguments. Expected one "
                "of:" + FORMS + "\nToo many positional arguments"
            )
        self.dtype = _host.default_dtype() if dtype is None else dtype
        if wrap_storage is None:
            wrap_storage = _memory_of(args[0] if args else 0, self.dtype, device)
        self._untyped_storage = wrap_storage

    def _whole(self) -> Any:
        return over(self._untyped_storage._attach(self.dtype), self.dtype)

    def _replaced(self, tensor: Any) -> None:
        self._untyped_storage._replaced(tensor)

    @classmethod
    def from_file(
        cls, filename: str | os.PathLike[str], shared: bool = False, size: int = 0,
        *, dtype: Any = None,
    ) -> TypedStorage:  # fmt: skip
        """A storage on the `size` elements that a file holds (see `UntypedStorage.from_file`)."""
        chosen = getattr(cls, "dtype", None) or dtype or _host.default_dtype()
        memory = UntypedStorage.from_file(filename, shared, size * chosen.itemsize)
        return TypedStorage(wrap_storage=memory, dtype=chosen)

    @classmethod
    def from_buffer(cls, *args: Any, dtype: Any = None, **kwargs: Any) -> TypedStorage:
        """A copy of the elements of anything with a buffer.

        Args: buffer, byte_order ("native", "little", "big"), count, offset (in bytes).
        """
        chosen = getattr(cls, "dtype", None) or dtype or _host.default_dtype()
        return typed_storage(_read_buffer(*args, dtype=chosen, **kwargs))

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The name of the legacy class, or a copy in the dtype of another one."""
        if dtype is None:
            place = "torch.cuda." if self.is_cuda else "torch."
            return place + self._pickle_storage_type()
        named = dtype if isinstance(dtype, str) else dtype.__name__
        wanted = dtype_of_class(named.rsplit(".", 1)[-1])
        return self if wanted is self.dtype else self._cast(wanted)

    def pickle_storage_type(self) -> str:
        """The name of the legacy class of this dtype."""
        return self._pickle_storage_type()

    def to(self, *, device: Any, non_blocking: bool = False) -> TypedStorage:
        """This storage on another device."""
        return self._on(self._untyped_storage.to(device=device))

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(index, int | slice):
            raise RuntimeError(f"can't index a {_class_of(self)} with {_class_of(index)}")
        self._whole()[index] = value

    def untyped(self) -> UntypedStorage:
        """The same memory, counted in bytes."""
        return self._untyped_storage

    @property
    def device(self) -> device:
        """Where the memory is."""
        return self._untyped_storage.device

    @property
    def is_cuda(self) -> bool:
        """Whether the memory is on a GPU."""
        return self._untyped_storage.is_cuda

    def nbytes(self) -> int:
        """Number of bytes."""
        return self._untyped_storage.nbytes()

    def size(self) -> int:
        """Number of elements."""
        return self.nbytes() // self.dtype.itemsize

    __len__ = size

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def data_ptr(self) -> int:
        """The address of the memory (see `Tensor.data_ptr`); 0 when it is empty."""
        return self._untyped_storage.data_ptr()

    def _array(self) -> np.ndarray[Any, Any]:
        return self._untyped_storage._bytes().view(self.dtype.np)

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        return self._array().tolist()  # type: ignore[no-any-return]

    def __getitem__(self, index: int) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        if not isinstance(index, int):
            raise RuntimeError(f"can't index a {_class_of(self)} with {_class_of(index)}")
        size = self.size()
        if not -size <= index < size:
            raise IndexError(f"index {index} out of range for storage of size {size}")
        return self._array()[index].item()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def _on(self, untyped: UntypedStorage) -> TypedStorage:
        return TypedStorage(wrap_storage=untyped, dtype=self.dtype)

    def cpu(self) -> TypedStorage:
        """This storage in host memory."""
        return self._on(self._untyped_storage.cpu())

    def cuda(self, device: Any = None, non_blocking: bool = False) -> TypedStorage:
        """This storage on a GPU."""
        return self._on(self._untyped_storage.cuda(device))

    def clone(self) -> TypedStorage:
        """A copy."""
        return self._on(self._untyped_storage.clone())

    def _pickle_storage_type(self) -> str:
        name = class_name_of(self.dtype)
        if name is None:
            raise KeyError(f"dtype {self.dtype} is not recognized")
        return name

    def __deepcopy__(self, memo: dict[Any, Any]) -> TypedStorage:
        return self._on(self._untyped_storage.__deepcopy__(memo))

    def __reduce__(self) -> Any:
        return _load_from_bytes, (_dumps(self),)

    def __repr__(self) -> str:
        lines = "\n".join(f" {x}" for x in self.tolist())
        return (
            f"{lines}\n[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) "
            f"of size {self.size()}]"
        )


FORMS = """
 * (*, torch.device device, torch.dtype dtype)
 * (int size, *, torch.device device, torch.dtype dtype)
 * (Sequence data, *, torch.device device, torch.dtype dtype)
 * (*, UntypedStorage wrap_storage, torch.dtype dtype)"""
_class_of: Any = builtins.type  # `type` is a method in the classes above


def _memory_of(given: Any, dt: dtype, place: Any) -> UntypedStorage:
    """Memory for so many elements (zero), or holding the given ones."""
    if isinstance(given, int):
        return untyped_storage(ops.zeros(given, dtype=dt, device=place))
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"new(): invalid data type '{_class_of(given).__name__}'")
    return untyped_storage(ops.tensor(list(given), dtype=dt, device=place))


def untyped_storage(tensor: Any) -> UntypedStorage:
    """The memory behind a tensor, in bytes."""
    return UntypedStorage._of_cell(_host.storage_of(tensor))


def typed_storage(tensor: Any) -> TypedStorage:
    """The memory behind a tensor, in elements of its dtype."""
    return TypedStorage(wrap_storage=untyped_storage(tensor), dtype=tensor.dtype)


def is_storage(obj: Any) -> bool:
    """Whether `obj` is a storage."""
    return isinstance(obj, (TypedStorage, UntypedStorage))


def _moved(cell: _host.Storage, place: device) -> _host.Storage:
    whole = _host.tensor_on(cell, 0, (cell.numel,), (1,))
    return _host.storage_of(whole.to(place))


def _as_device(spec: Any) -> device:
    return device("cpu") if spec is None else device(spec)


def _load_from_bytes(data: bytes) -> Any:
    """Read a storage that plain pickle wrote."""
    import io

    return _load(io.BytesIO(data), weights_only=False)
