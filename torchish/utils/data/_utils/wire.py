"""How batches travel from a worker process: pickled, with the arrays beside it in shared memory.

Invariant: the memory has no name and its descriptor travels with the message, so nothing stays
behind whichever side dies. The receiver keeps no descriptor: any number of batches can be held.
A batch that was put together in shared memory (batch_memory.py) is not copied.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import struct
import weakref
from collections import ChainMap
from collections.abc import Iterator, Sequence
from multiprocessing import reduction
from typing import Any, ClassVar

import numpy as np

from ...._basics.shared_memory import Block, anonymous_file, block_of
from ...._basics.strides import dense_span
from ...._tensor import host as _host
from ...._utils import _get_obj_state, as_class, class_token
from . import batch_memory
from .batch_memory import LARGE, Arrivals, Slot, slot_of
from .channel import MOST_DESCRIPTORS, Channel

_INLINE = 1 << 14  # bytes of arrays that are cheaper to send than to map
_ALIGNED = 64  # what XLA asks of memory that it uses in place
_STEP = 16  # what numpy asks of memory
_GAP = bytes(_STEP)
# Arrays, whether some lie together in shared memory, whether the rest is a tree, bytes of it.
_HEAD = struct.Struct("<IHHQ")
# What stands for the place of an array that is a block by itself: one that this process has mapped,
# one that comes for the first time, one that the sender goes on using.
_KNOWN, _NEW, _STRANGE = -1, -2, -3


class _Pickler(pickle.Pickler):
    """Pickles tensors as arrays, without a pass through a checkpoint's format."""

    dispatch_table: ClassVar[Any] = ChainMap(  # type: ignore[misc]
        reduction.ForkingPickler._extra_reducers,  # type: ignore[attr-defined]
        copyreg.dispatch_table,
    )

    def reducer_override(self, obj: Any) -> Any:
        """Tensors on the CPU; everything else goes its own way."""
        if _host.is_tensor(obj) and obj.device.type == "cpu":
            return _reduce(obj)
        return NotImplemented


def send(channel: Channel, box: list[Any]) -> None:
    """Send the one thing in `box`, which is then empty; may block until the other side reads.

    A block of memory that nothing else here refers to is the receiver's from then on.
    """
    parts, main, is_tree = _taken_apart(box[0])
    count = len(parts)
    sizes = [p.nbytes for p in parts]
    if sum(sizes) >= _INLINE:
        message = _Shared(parts)
        del parts
        box.clear()
        try:
            channel.send(message.head(is_tree) + main, message.descriptors)
        finally:
            message.close()
        return
    table: list[Any] = [_HEAD.pack(count, 0, is_tree, 0), struct.pack(f"<{count}q", *sizes)]
    at = _HEAD.size + 8 * count
    for part in parts:
        gap = -at % _STEP
        table += [_GAP[:gap], part]
        at += gap + part.nbytes
    channel.send(b"".join([*table, main]))


def _taken_apart(message: Any) -> tuple[list[memoryview], bytes, bool]:
    """The bytes of a message's arrays, the rest of it, and whether that is a tree."""
    arrays: list[np.ndarray[Any, Any]] = []
    try:
        tree = _tree(message, arrays, set())
    except _Odd:
        buffers: list[pickle.PickleBuffer] = []
        file = io.BytesIO()
        _Pickler(file, 5, buffer_callback=buffers.append).dump(message)
        return [b.raw() for b in buffers], file.getvalue(), False
    return [memoryview(_bytes_of(a)) for a in arrays], pickle.dumps(tree, 5), True


class _Odd(Exception):
    """A message has something in it that only pickle can take."""


_ATOMS = (int, float, str, bytes, bool, type(None))


def _tree(data: Any, arrays: list[np.ndarray[Any, Any]], seen: set[int]) -> Any:
    """Data of builtin types with its tensors taken out: what most batches are.

    Raises: _Odd for anything else, and for a tensor that comes twice.
    """
    kind = type(data)
    if kind in _ATOMS:
        return (0, data)
    if kind is list or kind is tuple:
        if kind is list and set(map(type, data)) == {int}:
            return (0, data)
        return (1 if kind is list else 2, [_tree(x, arrays, seen) for x in data])
    if kind is dict and all(type(k) in _ATOMS for k in data):
        return (3, list(data), [_tree(x, arrays, seen) for x in data.values()])
    array = _host.plain_array(data)
    if array is None or id(data) in seen:
        raise _Odd
    seen.add(id(data))
    arrays.append(array)
    return (4, data._aval.dtype.name, array.shape)


def _restored(tree: Any, views: Iterator[Any]) -> Any:
    kind = tree[0]
    if kind == 4:
        return _restore(next(views), _host.dtypes.BY_NAME[tree[1]].np, tree[2])
    if kind == 0:
        return tree[1]
    if kind == 3:
        return dict(zip(tree[1], [_restored(x, views) for x in tree[2]], strict=True))
    made = [_restored(x, views) for x in tree[1]]
    return made if kind == 1 else tuple(made)


class _Shared:
    """The arrays of a message that lie in shared memory.

    For each there are its size, its place and a number. The place is that in the one block where
    small arrays are together, or says which block the array is.
    """

    def __init__(self, parts: Sequence[memoryview]) -> None:
        self.sizes = [p.nbytes for p in parts]
        self.places = [0] * len(parts)
        self.numbers = [0] * len(parts)
        self.descriptors: list[int] = []
        self._lent: dict[int, tuple[weakref.ref[Block], Slot]] = {}
        end = 0
        together = []
        for k, part in enumerate(parts):
            block = block_of(part) if part.nbytes >= LARGE else None
            slot = slot_of(block)
            fits = block is not None and block.nbytes == part.nbytes
            if fits and slot is not None and len(self._lent) < MOST_DESCRIPTORS - 1:
                assert block is not None
                slot.is_sent = True
                self._lent[k] = weakref.ref(block), slot
            else:
                self.places[k] = end
                end += -(-part.nbytes // _ALIGNED) * _ALIGNED
                together.append((part, self.places[k]))
        self.end = end
        if end:
            self.descriptors.append(anonymous_file(end))
            for part, start in together:
                _write(self.descriptors[0], part, start)

    def head(self, is_tree: bool) -> bytes:
        """What tells the receiver where the arrays are; nobody else refers to them any more."""
        for k, (lease, slot) in self._lent.items():
            self.numbers[k] = slot.number
            if lease() is not None:  # the worker's own code does
                assert batch_memory.pool is not None
                batch_memory.pool.forget(slot)
                self.places[k] = _STRANGE
            else:
                self.places[k] = _KNOWN if slot.is_known else _NEW
                slot.is_known = True
            if self.places[k] != _KNOWN:
                self.descriptors.append(os.dup(slot.block.fd))
        count = len(self.sizes)
        table = struct.pack(f"<{3 * count}q", *self.sizes, *self.places, *self.numbers)
        return _HEAD.pack(count, bool(self.end), is_tree, max(self.end, 1)) + table

    def close(self) -> None:
        """Close this side's descriptors."""
        for fd in self.descriptors:
            os.close(fd)


def decoded(data: bytearray, descriptors: list[int], arrivals: Arrivals | None = None) -> Any:
    """What a message says; `arrivals` are the sender's blocks."""
    count, is_together, is_tree, end = _HEAD.unpack_from(data)
    at = _HEAD.size + 8 * count
    sizes = struct.unpack_from(f"<{count}q", data, _HEAD.size)
    memory = memoryview(data)
    views: list[memoryview] = []
    if not end:
        for size in sizes:
            at += -at % _STEP
            views.append(memory[at : at + size])
            at += size
    else:
        handles = iter(descriptors)
        whole = _mapped(next(handles), end, True) if is_together else None
        rest = struct.unpack_from(f"<{2 * count}q", data, at)
        at += 16 * count
        for size, place, number in zip(sizes, rest[:count], rest[count:], strict=True):
            if place >= 0:
                assert whole is not None
                views.append(whole[place : place + size])
            elif place == _STRANGE:
                views.append(_mapped(next(handles), size, False))
            else:
                assert arrivals is not None
                fd = next(handles) if place == _NEW else None
                views.append(memoryview(arrivals.lease(number, size, fd).array()))  # type: ignore[arg-type]
    if is_tree:
        return _restored(pickle.loads(memory[at:]), iter(views))
    return pickle.loads(memory[at:], buffers=views)


def _mapped(fd: int, nbytes: int, is_private: bool) -> memoryview:
    block = Block(fd, nbytes, keep_fd=False, is_private=is_private)
    return memoryview(block.array())  # type: ignore[arg-type]


def _write(fd: int, part: memoryview, start: int) -> None:
    while part.nbytes:
        written = os.pwrite(fd, part, start)  # at most 2 GiB at a time
        part, start = part[written:], start + written


# --- tensors ---


def _reduce(tensor: Any) -> Any:
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd "
            "does not support crossing process boundaries.  If you just want to transfer the "
            "data, call detach() on the tensor before serializing (e.g., putting it on the queue)."
        )
    shape = tuple(tensor.shape)
    attributes = _get_obj_state(tensor)
    exactly: Any = _host.tensor_class()
    plain = type(tensor) is exactly and not tensor.requires_grad and not attributes
    if plain and tensor.is_contiguous():
        array = np.ascontiguousarray(_host.contents(tensor))
        return _restore, (_as_bytes(array), array.dtype, shape)
    source: Any = tensor.resolve_conj().resolve_neg()
    source = source.detach()
    if _host.storage_of(source).dtype is not tensor.dtype:
        source = source.clone()
    strides, offset = tuple(source.stride()), source.storage_offset()
    memory = _host.storage_contents(_host.storage_of(source))
    reached = memory[offset : offset + dense_span(shape, strides)]
    how = (shape, strides, class_token(tensor), tensor.requires_grad, attributes)
    return _restore_view, (_as_bytes(reached), memory.dtype, *how)


def _as_bytes(array: np.ndarray[Any, Any]) -> Any:
    return pickle.PickleBuffer(_bytes_of(array))


def _bytes_of(array: np.ndarray[Any, Any]) -> Any:
    """The bytes of a contiguous array (buffers do not know the types of ml_dtypes)."""
    return array.reshape(-1).view(np.uint8)


def _restore(buffer: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    return _host.wrap(_elements(buffer, dtype).reshape(shape))


def _elements(buffer: Any, dtype: Any) -> np.ndarray[Any, Any]:
    return np.frombuffer(buffer, np.uint8).view(dtype)


def _restore_view(
    buffer: Any, dtype: Any, shape: Any, strides: Any, kind: Any, requires_grad: bool,
    attributes: Any,
) -> Any:  # fmt: skip
    cell = _host.storage_of(_host.wrap(_elements(buffer, dtype)))
    return as_class(kind, _host.tensor_on(cell, 0, shape, strides), requires_grad, attributes)
