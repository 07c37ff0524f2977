"""How tensors travel between processes by `multiprocessing`: their memory is shared, not copied.

Invariant: sending a tensor moves its storage to shared memory in the sender too, so that writes on
either side show on the other, as in PyTorch. What is sent is a descriptor of that memory.

Source: https://pytorch.org/docs/stable/multiprocessing.html#sharing-cpu-tensors
"""

from __future__ import annotations

import multiprocessing.resource_sharer  # noqa: F401  loaded before forks, whole
import os
import sys
import weakref
from multiprocessing import reduction
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from .. import _utils
from .._autograd import interop
from .._basics.dtypes import from_np
from .._basics.errors import not_supported
from .._basics.forking import in_child
from .._basics.shared_memory import Block
from .._core.storage import Storage
from .._tensor.tensor import Tensor
from ..nn.parameter import Parameter
from ..storage import TypedStorage, UntypedStorage

__all__ = ["init_reductions", "reduce_storage", "reduce_tensor"]

# Storages that came from elsewhere, by the identity of their memory: a block that arrives twice is
# one storage.
_arrived: weakref.WeakValueDictionary[tuple[int, int], Storage] = weakref.WeakValueDictionary()


def reduce_tensor(tensor: Tensor) -> Any:
    """What is sent for a tensor.

    Raises: RuntimeError for a result of autograd, NotSupportedError for memory of a GPU.
    """
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd "
            "does not support crossing process boundaries.  If you just want to transfer the "
            "data, call detach() on the tensor before serializing (e.g., putting it on the queue)."
        )
    if tensor.device.type == "meta":
        return _utils.reduce_tensor(tensor)
    if tensor.device.type != "cpu":
        raise not_supported(
            f"sending a tensor on {tensor.device} to another process", "send tensor.cpu()"
        )
    _utils.warn_of_hooks(tensor)
    source: Any = tensor.detach()
    if tensor._conjugated or source._storage.dtype is not tensor.dtype:
        source = source.clone()
    cell = source._storage
    made = (
        _utils.class_token(tensor), _sent(cell), cell.dtype.np, cell.numel,
        source.storage_offset(),
        tuple(source.shape), tuple(source.stride()), tensor.requires_grad,
        _utils._get_obj_state(tensor),
    )  # fmt: skip
    return rebuild_tensor, made


def rebuild_tensor(
    kind: Any, handle: Any, dtype: Any, numel: int, offset: int, size: Any, stride: Any,
    requires_grad: bool, attributes: Any,
) -> Any:  # fmt: skip
    """The tensor that `reduce_tensor` described, on the same memory."""
    made = interop.tensor_on(_received(handle, dtype, numel), offset, size, stride)
    return _utils.as_class(kind, made, requires_grad, attributes)


def reduce_storage(storage: UntypedStorage) -> Any:
    """What is sent for the memory of tensors."""
    if storage.device.type != "cpu":
        raise not_supported(
            f"sending a storage on {storage.device} to another process", "send storage.cpu()"
        )
    cell = storage._attached()
    return _rebuild_storage, (_sent(cell), cell.dtype.np, cell.numel)


def _rebuild_storage(handle: Any, dtype: Any, numel: int) -> UntypedStorage:
    return UntypedStorage._of_cell(_received(handle, dtype, numel))


def _reduce_typed(storage: TypedStorage) -> Any:
    return _rebuild_typed, (storage.untyped(), storage.dtype.np)


def _rebuild_typed(untyped: UntypedStorage, dtype: Any) -> TypedStorage:
    return TypedStorage(wrap_storage=untyped, dtype=from_np(dtype), _internal=True)


def _sent(cell: Storage) -> Any:
    """A handle of the storage's memory, which is shared from now on."""
    if not cell.numel:
        return None
    return reduction.DupFd(cell.share_with_processes().fd)


def _received(handle: Any, dtype: Any, numel: int) -> Storage:
    if handle is None:
        return Storage.over(np.empty(0, dtype))
    fd = handle.detach()
    status = os.fstat(fd)
    key = status.st_dev, status.st_ino
    found = _arrived.get(key)
    if found is not None and found.dtype.np == dtype:
        os.close(fd)
        return found
    block = Block(fd, numel * dtype.itemsize)
    made = _arrived[key] = Storage.over(block.array().view(dtype))
    return made


@in_child
def _forget_arrived() -> None:
    """A child keeps what it inherited; the dictionary may be in the middle of a change."""
    global _arrived
    _arrived = weakref.WeakValueDictionary(
        {key: cell for key, cell in list(_arrived.items()) if cell is not None}
    )


def is_forking_pickler(depth: int) -> bool:
    """Whether the frame `depth` levels up is `ForkingPickler.dumps` or `dump`."""
    code = sys._getframe(depth + 1).f_code
    return code in _FORKING_CODE


_FORKING_CODE = (ForkingPickler.dumps.__func__.__code__, reduction.dump.__code__)  # type: ignore[attr-defined]


def init_reductions() -> None:
    """Teach `multiprocessing` how to send tensors and storages."""
    for kind in (Tensor, Parameter):
        ForkingPickler.register(kind, reduce_tensor)
    ForkingPickler.register(UntypedStorage, reduce_storage)
    ForkingPickler.register(TypedStorage, _reduce_typed)


init_reductions()
