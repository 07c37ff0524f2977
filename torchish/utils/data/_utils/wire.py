"""How batches travel from a worker process: pickled, with the arrays beside it in shared memory.

Invariant: the memory has no name and its descriptor travels with the message, so nothing stays
behind whichever side dies. The receiver keeps no descriptor: any number of batches can be held.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
from multiprocessing import reduction
from typing import Any

import numpy as np

from ...._basics.shared_memory import Block, anonymous_file
from ...._core.storage import dense_span
from ...._tensor import host as _host
from ...._utils import _get_obj_state, as_class, class_token

_INLINE = 1 << 14  # bytes of arrays that are cheaper to send than to map
_ALIGNED = 64  # what XLA asks of memory that it uses in place
_HEAD = struct.Struct("<QQ")


class _Pickler(reduction.ForkingPickler):
    """Pickles tensors as arrays, without a pass through a checkpoint's format."""

    def reducer_override(self, obj: Any) -> Any:
        """Tensors on the CPU; everything else goes its own way."""
        if _host.is_tensor(obj) and obj.device.type == "cpu":
            return _reduce(obj)
        return NotImplemented


def send(pipe: Any, message: Any) -> None:
    """Send a message; may block until the other side reads."""
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    _Pickler(file, 5, True, buffers.append).dump(message)
    parts = [b.raw() for b in buffers]
    sizes = [p.nbytes for p in parts]
    main = file.getbuffer()
    table = np.array(sizes, np.int64).tobytes()
    total = sum(sizes)
    if total < _INLINE:
        head = _HEAD.pack(len(parts), 0)
        pipe.send_bytes(b"".join([head, table, *parts, main]))
        return
    starts, end = _places(sizes)
    fd = anonymous_file(end)
    try:
        for part, start in zip(parts, starts, strict=True):
            _write(fd, part, start)
        pipe.send_bytes(b"".join([_HEAD.pack(len(parts), end), table, main]))
        reduction.send_handle(pipe, fd, None)
    finally:
        os.close(fd)


def receive(pipe: Any) -> Any:
    """The next message. Raises: EOFError when the other side has gone."""
    data = pipe.recv_bytes()
    count, end = _HEAD.unpack_from(data)
    at = _HEAD.size
    sizes = np.frombuffer(data, np.int64, count, at).tolist()
    at += 8 * count
    if end:
        block = Block(reduction.recv_handle(pipe), end, keep_fd=False, is_private=True)
        memory = memoryview(block.array())  # type: ignore[arg-type]
        starts = _places(sizes)[0]
    else:
        memory = memoryview(bytearray(data[at : at + sum(sizes)]))
        starts = [0] if sizes else []
        for size in sizes[:-1]:
            starts.append(starts[-1] + size)
        at += sum(sizes)
    views = [memory[s : s + n] for s, n in zip(starts, sizes, strict=True)]
    return pickle.loads(memoryview(data)[at:], buffers=views)


def _places(sizes: list[int]) -> tuple[list[int], int]:
    starts, end = [], 0
    for size in sizes:
        starts.append(end)
        end += -(-size // _ALIGNED) * _ALIGNED
    return starts, max(end, 1)


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
    source: Any = tensor.resolve_conj() if tensor.is_conj() else tensor
    source = source.detach()
    if _host.storage_of(source).dtype is not tensor.dtype:
        source = source.clone()
    strides, offset = tuple(source.stride()), source.storage_offset()
    memory = _host.storage_contents(_host.storage_of(source))
    reached = memory[offset : offset + dense_span(shape, strides)]
    how = (shape, strides, class_token(tensor), tensor.requires_grad, attributes)
    return _restore_view, (_as_bytes(reached), memory.dtype, *how)


def _as_bytes(array: np.ndarray[Any, Any]) -> Any:
    """The bytes of a contiguous array (buffers do not know the types of ml_dtypes)."""
    flat: Any = array.reshape(-1).view(np.uint8)
    return pickle.PickleBuffer(flat)


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
