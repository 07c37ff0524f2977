"""Storage: the mutable cell behind tensors.

Invariants: `value` is the current content as one dense array of the base geometry; every write
makes a new Value and bumps `writes`. While `host` is set, memory is shared with numpy: the numpy
array is then the truth, each read takes a snapshot of it and each write goes into it, so writes on
either side show on the other. A storage whose numpy side has died goes back to plain values, unless
its address was asked for: a raw pointer is good for as long as the storage lives.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .._basics.devices import CPU, META, device
from .._basics.dtypes import dtype
from .._basics.shared_memory import Block, block_of
from .._basics.state import state
from .._basics.strides import contiguous_strides, inverse, memory_order
from .layout import Geometry
from .values import Aval, Value, aval_of_array, host_value

if TYPE_CHECKING:
    from .placement import Placement

_addresses = itertools.count(0x10000000, 0x1000)


class VersionCounter:
    """A version apart from a storage: of `.data`, whose writes torch does not count, and of tensors
    that were given other memory.
    """

    __slots__ = ("version",)

    def __init__(self) -> None:
        self.version = 0


class Storage:
    """One block of memory that tensors view. `strides` is None for a row-major base."""

    __slots__ = ("__dict__", "__weakref__", "_value", "aval")

    _value: Value
    aval: Aval
    # The other fields' defaults stand on the class, so that making a result sets only what differs.
    made_at: int  # set only once somebody asks for moments (_autograd/capture.py)
    strides: tuple[int, ...] | None = None
    version: int = 0
    counter: VersionCounter | None = None  # what counts in place of `version`
    writes: int = 0
    host: np.ndarray[Any, Any] | None = None
    pinned: bool = False  # whether the address of `host` has been given away
    _geometry: Geometry | None = None
    _address: int = 0
    placement: Placement | None = None  # how it lies over several devices

    def __init__(self, value: Value, strides: tuple[int, ...] | None = None) -> None:
        self._value = value
        self.aval = value.aval
        if strides is not None:
            self.strides = strides

    @property
    def dtype(self) -> dtype:
        """Element type of the base."""
        return self.aval.dtype

    @property
    def device(self) -> device:
        """Where the content lives."""
        return self._value.device

    @property
    def numel(self) -> int:
        """Elements of the base."""
        return self.aval.numel

    @property
    def geometry(self) -> Geometry:
        """Shape, strides and dtype of the base array."""
        if self._geometry is None:
            strides = self.strides or self.aval.strides
            self._geometry = Geometry(tuple(self.aval.shape), tuple(strides), self.aval.dtype)
        return self._geometry

    @property
    def address(self) -> int:
        """Where the memory begins (`data_ptr`); 0 for an empty one, as in torch.

        On the CPU the content lies there from now on. Elsewhere memory belongs to XLA, which never
        writes a buffer twice: the number only identifies the storage.
        """
        if not self.aval.numel or self.device is META:
            return 0
        if self.device is CPU:
            self.pinned = True
            return int(self.share().__array_interface__["data"][0])
        if self._address == 0:
            span = -(-self.aval.nbytes // 0x1000)
            self._address = next(_addresses)
            for _ in range(min(span, 4096)):  # keep addresses of large blocks apart
                next(_addresses)
        return self._address

    @property
    def value(self) -> Value:
        """The current content."""
        return self._value if self.host is None else self._snapshot()

    def set(self, value: Value) -> None:
        """Replace the content; the new value has the base's aval."""
        self.writes += 1
        if self.placement is not None:
            value = self.placement.pin(value)
        if self.host is None:
            self._value = value
        else:
            self._write_host(value)

    def reset(self, value: Value, strides: tuple[int, ...] | None = None) -> None:
        """Replace content and geometry (`resize_`, `set_data` of another size)."""
        self._value = value
        self.aval = value.aval
        self.strides = strides
        self.host = None
        self.pinned = False
        self.placement = None
        self._geometry = None
        self._address = 0
        self.writes += 1

    # --- memory shared with numpy ----------------------------------------------------------------

    def share(self) -> np.ndarray[Any, Any]:
        """The base's memory as a writable 1-D numpy array that stays shared from now on."""
        if self.host is None:
            base = self._value.host()
            if self.strides is not None:
                base = base.transpose(memory_order(tuple(self.aval.shape), self.strides))
            self.host = _aligned(base) if self.pinned else np.array(base, order="C").reshape(-1)
        shared: np.ndarray[Any, Any] = self.host
        return shared

    @property
    def block(self) -> Block | None:
        """The memory shared with other processes that holds the content, if it does."""
        held = self._value.array if self.host is None else self.host
        return block_of(held) if isinstance(held, np.ndarray) else None

    def share_with_processes(self) -> Block:
        """Move the content to memory that other processes can map; it stays there."""
        found = self.block
        if found is not None and not found.is_private:
            return found
        flat = self.share()
        made = Block.new(flat.nbytes)
        whole = made.array().view(flat.dtype)
        whole[...] = flat
        self.host = whole
        self._address = 0
        return made

    @classmethod
    def over(cls, flat: np.ndarray[Any, Any]) -> Storage:
        """A storage on a 1-D numpy array that somebody else may write to (`from_numpy`)."""
        storage = cls(Value(flat, aval_of_array(flat), CPU))
        storage.host = flat
        return storage

    def _base_view(self) -> np.ndarray[Any, Any]:
        """The shared memory in the base's logical shape."""
        assert self.host is not None
        shape = tuple(self.aval.shape)
        if self.strides is None:
            return self.host.reshape(shape)
        order = memory_order(shape, self.strides)
        return self.host.reshape([shape[d] for d in order]).transpose(inverse(order))

    def _snapshot(self) -> Value:
        host = self.host
        assert host is not None
        # References: the attribute, the local name, getrefcount's argument.
        if not self.pinned and host.base is None and sys.getrefcount(host) == 3:
            base = self._base_view()
            self.host = None
            self._value = host_value(np.ascontiguousarray(base).reshape(base.shape))
            return self._value
        self.writes += 1  # numpy may have written: memoised reads of views are stale
        made = host_value(np.array(self._base_view(), order="C"))
        if state.capture is not None:
            state.capture.note_snapshot(self, made)
        return made

    def _write_host(self, value: Value) -> None:
        self._base_view()[...] = value.host()


def _aligned(base: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A flat copy whose address is a multiple of 64, as torch's allocator gives them."""
    room = np.empty(base.nbytes + _ALIGNMENT, np.uint8)
    start = -room.__array_interface__["data"][0] % _ALIGNMENT
    flat: np.ndarray[Any, Any] = room[start : start + base.nbytes].view(base.dtype)
    flat.reshape(base.shape)[...] = base
    return flat


_ALIGNMENT = 64


def storage_for(value: Value, shape: tuple[int, ...], strides: tuple[int, ...] | None) -> Storage:
    """A storage for a fresh result; `strides` only when they are not row-major."""
    if strides is not None and tuple(strides) == contiguous_strides(tuple(shape)):
        strides = None
    return Storage(value, strides)


def share_storage(storage: Storage) -> None:
    """`share_memory_`: Raises RuntimeError for a storage without memory (meta)."""
    kind = storage.device.type
    if kind == "meta":
        raise RuntimeError("_share_fd_: only available on CPU")
    if kind == "cpu" and storage.numel:
        storage.share_with_processes()
