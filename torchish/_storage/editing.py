"""What storages can do besides being the memory of tensors: writing, casting, growing.

Invariant: a write goes through a tensor over the whole storage, so every tensor on it sees it.
"""

from __future__ import annotations

import builtins
from typing import Any

from .._basics import dtypes
from .._basics.later import later
from .._tensor import host as _host

_typed_storage = later("torchish.storage:typed_storage")


class StorageEditing:
    """Methods that typed and untyped storages share."""

    filename: Any = None
    is_sparse = is_sparse_csr = is_hpu = False

    def _whole(self) -> Any:
        """A 1-D tensor over all elements."""
        raise NotImplementedError

    def _replaced(self, tensor: Any) -> None:
        """Take the memory of `tensor` in place of the present one."""
        raise NotImplementedError

    def fill_(self, value: Any) -> Any:
        """Write one value everywhere."""
        self._whole().fill_(value)
        return self

    def copy_(self, source: Any, non_blocking: builtins.bool | None = None) -> Any:
        """Write the bytes of another storage; elements are not cast.

        Raises: RuntimeError for another number of bytes.
        """
        mine, other = self.untyped(), source.untyped()
        if mine.nbytes() != other.nbytes():
            raise RuntimeError(
                f"size does not match, self was {mine.nbytes()} bytes but src was "
                f"{other.nbytes()} bytes"
            )
        mine._whole().copy_(other._whole())
        return self

    def untyped(self) -> Any:
        """The memory counted in bytes."""
        return self

    def resize_(self, size: builtins.int) -> Any:
        """Grow or shrink to `size`; new elements are zero. Tensors on it keep the old memory."""
        old = self._whole()
        if size != old.numel():
            made = old.new_zeros(size)
            kept = min(size, old.numel())
            made[:kept] = old[:kept]
            self._replaced(made)
        return self

    def resizable(self) -> builtins.bool:
        """True: memory is never borrowed for good."""
        return True

    def get_device(self) -> builtins.int:
        """The index of the device, -1 on the CPU."""
        return builtins.int(self._whole().get_device())

    def is_shared(self) -> builtins.bool:
        """Whether other processes can map the memory (that of a GPU always counts)."""
        return builtins.bool(self._whole().is_shared())

    def is_pinned(self, device: Any = None) -> builtins.bool:
        """Whether the memory is page-locked (never: XLA stages its own transfers)."""
        return False

    def share_memory_(self) -> Any:
        """Move the memory to where other processes can map it; nothing happens on a GPU."""
        self._whole().share_memory_()
        return self

    def pin_memory(self, device: Any = None) -> Any:
        """The storage itself: XLA stages its own transfers."""
        return self

    def _cast(self, dtype: Any) -> Any:
        return _typed_storage(self._whole().to(dtype))

    def double(self) -> Any:
        """A copy in float64."""
        return self._cast(dtypes.float64)

    def float(self) -> Any:
        """A copy in float32."""
        return self._cast(dtypes.float32)

    def half(self) -> Any:
        """A copy in float16."""
        return self._cast(dtypes.float16)

    def bfloat16(self) -> Any:
        """A copy in bfloat16."""
        return self._cast(dtypes.bfloat16)

    def long(self) -> Any:
        """A copy in int64."""
        return self._cast(dtypes.int64)

    def int(self) -> Any:
        """A copy in int32."""
        return self._cast(dtypes.int32)

    def short(self) -> Any:
        """A copy in int16."""
        return self._cast(dtypes.int16)

    def char(self) -> Any:
        """A copy in int8."""
        return self._cast(dtypes.int8)

    def byte(self) -> Any:
        """A copy in uint8."""
        return self._cast(dtypes.uint8)

    def bool(self) -> Any:
        """A copy in bool."""
        return self._cast(dtypes.bool_)

    def complex_double(self) -> Any:
        """A copy in complex128."""
        return self._cast(dtypes.complex128)

    def complex_float(self) -> Any:
        """A copy in complex64."""
        return self._cast(dtypes.complex64)


def over(cell: Any, elements: Any = None) -> Any:
    """A 1-D tensor over all of an engine storage, as elements of another type if given."""
    dt = elements or cell.dtype
    count = cell.numel * cell.dtype.itemsize // dt.itemsize
    return _host.tensor_on(cell, 0, (count,), (1,), dt)
