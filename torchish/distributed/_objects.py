"""Collectives of Python objects, and messages between two ranks.

Objects travel as pickles. A message between two ranks goes through the group's store: sending does
not wait for the receiver.
"""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import numpy as np

from .._basics.dtypes import from_np
from .._tensor.tensor import Tensor
from ._collectives import Work, _array, _outside, _put, _root, _start, _tensor
from ._errors import DistBackendError, DistStoreError
from ._group import ProcessGroup, resolve, world

_STEP = 1 << 10


def _padded(blob: bytes, size: int) -> Any:
    room = -(-max(size, 1) // _STEP) * _STEP
    room = 1 << (room - 1).bit_length()  # few sizes: few programs
    found = np.zeros(room, np.uint8)
    found[: len(blob)] = np.frombuffer(blob, np.uint8)
    return found


def _everybody(pg: ProcessGroup, blob: bytes) -> list[bytes]:
    """All ranks' blobs (in the group's thread)."""
    sizes = pg.wire.move(np.array([len(blob)], np.int64))[:, 0]
    rows = pg.wire.move(_padded(blob, int(sizes.max())))
    return [row[:n].tobytes() for row, n in zip(rows, sizes, strict=True)]


def _swap_objects(pg: ProcessGroup, what: str, blob: bytes) -> list[bytes]:
    found: list[list[bytes]] = []
    _start(pg, what, lambda: _everybody(pg, blob), found.append, False)
    return found[0]


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """Fill the list with the objects of all ranks."""
    if _outside(group):
        return
    pg = resolve(group)
    blobs = _swap_objects(pg, "all_gather_object", pickle.dumps(obj))
    for k, blob in enumerate(blobs):
        object_list[k] = pickle.loads(blob)


def gather_object(
    obj: Any, object_gather_list: list[Any] | None = None, dst: int | None = None,
    group: Any = None, group_dst: int | None = None,
) -> None:  # fmt: skip
    """Fill the list of rank `dst` with the objects of all ranks."""
    if _outside(group):
        return
    pg = resolve(group)
    root = _root(pg, dst, group_dst, "dst")
    if pg.rank() == root and not object_gather_list:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    if pg.rank() != root and object_gather_list:
        raise ValueError("Argument ``gather_list`` must NOT be specified on non-destination ranks.")
    blobs = _swap_objects(pg, "gather_object", pickle.dumps(obj))
    if object_gather_list is not None and pg.rank() == root:
        for k, blob in enumerate(blobs):
            object_gather_list[k] = pickle.loads(blob)


def broadcast_object_list(
    object_list: list[Any], src: int | None = None, group: Any = None, device: Any = None,
    group_src: int | None = None,
) -> None:  # fmt: skip
    """Replace the list's objects by those of rank `src`."""
    if _outside(group):
        return
    pg = resolve(group)
    root = _root(pg, src, group_src, "src")
    mine = pg.rank() == root
    blob = pickle.dumps(list(object_list)) if mine else b""

    def job() -> bytes:
        size = int(pg.wire.broadcast(np.array([len(blob)], np.int64), root)[0])
        return pg.wire.broadcast(_padded(blob, size), root)[:size].tobytes()  # type: ignore[no-any-return]

    found: list[bytes] = []
    _start(pg, "broadcast_object_list", job, found.append, False, f"from {root}")
    if not mine:
        got = pickle.loads(found[0])
        if len(got) != len(object_list):
            raise RuntimeError(f"rank {root} sent {len(got)} objects, {len(object_list)} expected")
        object_list[:] = got


def scatter_object_list(
    scatter_object_output_list: list[Any], scatter_object_input_list: list[Any] | None = None,
    src: int | None = None, group: Any = None, group_src: int | None = None,
) -> None:  # fmt: skip
    """The first output becomes this rank's entry of the list of rank `src`."""
    if _outside(group):
        return
    pg = resolve(group)
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError(
            "Expected argument scatter_object_output_list to be a list of size at least 1."
        )
    root = _root(pg, src, group_src, "src")
    mine = pg.rank() == root
    if mine and (scatter_object_input_list is None or len(scatter_object_input_list) != pg.size()):
        raise ValueError("scatter_object_input_list must have one entry for each rank of the group")
    holder: list[Any] = [scatter_object_input_list if mine else None]
    broadcast_object_list(holder, group=group, group_src=root)
    scatter_object_output_list[0] = holder[0][pg.rank()]


# --- two ranks ------------------------------------------------------------------------------------


def _peer(pg: ProcessGroup, rank: int | None, group_rank: int | None, what: str) -> int:
    peer = _root(pg, rank, group_rank, what)
    if peer == pg.rank():
        raise ValueError(
            f"Invalid {'destination' if what == 'dst' else 'source'} rank: "
            f"{'destination' if what == 'dst' else 'source'} rank should not be the same as the "
            "rank of the current process."
        )
    if not 0 <= peer < pg.size():
        raise RuntimeError(f"ProcessGroupGloo: invalid peer rank: {peer}")
    return peer


def _box(pg: ProcessGroup, sender: int, receiver: int, tag: Any) -> str:
    """The store key of the next message of this kind."""
    kind = (sender, receiver, tag)
    number = pg.tags.get(kind, 0)
    pg.tags[kind] = number + 1
    return f"{pg.group_name}/mail/{sender}/{receiver}/{tag}/{number}"


def _post(pg: ProcessGroup, box: str, payload: Any) -> None:
    assert world.store is not None
    world.store.set(box, pickle.dumps(payload))


def _fetch(pg: ProcessGroup, box: str, timeout: timedelta | None = None) -> Any:
    assert world.store is not None
    limit = timeout or pg.timeout
    try:
        return pickle.loads(world.store.take(box, limit))
    except DistStoreError:
        millis = int(limit.total_seconds() * 1000)
        raise DistBackendError(
            f"[Rank {pg.rank()}] Timed out waiting {millis}ms for recv operation to complete"
        ) from None


def send(
    tensor: Any, dst: int | None = None, group: Any = None, tag: int = 0,
    group_dst: int | None = None,
) -> None:  # fmt: skip
    """Send a tensor to rank `dst`."""
    isend(tensor, dst, group, tag, group_dst)


def isend(
    tensor: Any, dst: int | None = None, group: Any = None, tag: int = 0,
    group_dst: int | None = None,
) -> Any:  # fmt: skip
    """Send a tensor to rank `dst`; returns a handle."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    pg = resolve(group)
    peer = _peer(pg, dst, group_dst, "dst")
    array = _array(tensor)
    payload = (tuple(array.shape), from_np(array.dtype).name, np.ascontiguousarray(array).tobytes())
    _post(pg, _box(pg, pg.rank(), peer, tag), payload)
    done: Future[Any] = Future()
    done.set_result(None)
    return Work(pg, "send", done, lambda _: None)


def recv(
    tensor: Any, src: int | None = None, group: Any = None, tag: int = 0,
    group_src: int | None = None,
) -> int:  # fmt: skip
    """Fill a tensor with what rank `src` (any if None) sends; returns the sender's rank."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return -1
    pg = resolve(group)
    if src is None and group_src is None:
        return _from_anybody(pg, tensor, tag)
    peer = _peer(pg, src, group_src, "src")
    _unpack(tensor, _fetch(pg, _box(pg, peer, pg.rank(), tag)))
    return pg.ranks[peer]


def _from_anybody(pg: ProcessGroup, tensor: Tensor, tag: int) -> int:
    import time

    assert world.store is not None
    end = time.monotonic() + pg.timeout.total_seconds()
    while time.monotonic() < end:
        for peer in range(pg.size()):
            number = pg.tags.get((peer, pg.rank(), tag), 0)
            box = f"{pg.group_name}/mail/{peer}/{pg.rank()}/{tag}/{number}"
            if peer != pg.rank() and world.store.check([box]):
                _unpack(tensor, _fetch(pg, _box(pg, peer, pg.rank(), tag)))
                return pg.ranks[peer]
        time.sleep(0.005)
    millis = int(pg.timeout.total_seconds() * 1000)
    raise DistBackendError(
        f"[Rank {pg.rank()}] Timed out waiting {millis}ms for recv operation to complete"
    )


def irecv(
    tensor: Any, src: int | None = None, group: Any = None, tag: int = 0,
    group_src: int | None = None,
) -> Any:  # fmt: skip
    """`recv` in the background; the tensor is filled when the handle is waited for."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    pg = resolve(group)
    box = _box(pg, _peer(pg, src, group_src, "src"), pg.rank(), tag)
    future: Future[Any] = Future()

    def job() -> None:
        try:
            future.set_result(_fetch(pg, box))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=job, name="irecv", daemon=True).start()
    return Work(pg, "recv", future, lambda payload: _unpack(tensor, payload))


def _unpack(tensor: Tensor, payload: Any) -> None:
    from .._basics import dtypes
    from ..autograd import no_grad

    shape, name, blob = payload
    dt = getattr(dtypes, name if name != "bool" else "bool_")
    if int(np.prod(shape)) != tensor.numel() or dt is not tensor.dtype:
        raise RuntimeError(
            f"recv: a tensor of {shape} {name} arrived for one of {tuple(tensor.shape)} "
            f"{tensor.dtype}"
        )
    with no_grad():
        _put(tensor, np.frombuffer(blob, dt.np).reshape(shape))


def send_object_list(
    object_list: list[Any], dst: int | None = None, group: Any = None, device: Any = None,
    group_dst: int | None = None, use_batch: bool = False,
) -> None:  # fmt: skip
    """Send objects to rank `dst`."""
    pg = resolve(group)
    _post(pg, _box(pg, pg.rank(), _peer(pg, dst, group_dst, "dst"), "objects"), list(object_list))


def recv_object_list(
    object_list: list[Any], src: int | None = None, group: Any = None, device: Any = None,
    group_src: int | None = None, use_batch: bool = False,
) -> int:  # fmt: skip
    """Replace the list's objects by those that rank `src` sends; returns its rank."""
    pg = resolve(group)
    peer = _peer(pg, src, group_src, "src")
    object_list[:] = _fetch(pg, _box(pg, peer, pg.rank(), "objects"))
    return pg.ranks[peer]


class P2POp:
    """One `isend` or `irecv` of a batch."""

    __module__ = "torch.distributed"

    def __init__(
        self, op: Any, tensor: Tensor, peer: int | None = None, group: Any = None, tag: int = 0,
        group_peer: int | None = None,
    ) -> None:  # fmt: skip
        if op not in (isend, irecv):
            raise ValueError(
                "Invalid ``op``. Expected ``op`` to be of type ``torch.distributed.isend`` or "
                "``torch.distributed.irecv``."
            )
        self.op, self.tensor, self.group, self.tag = op, tensor, group, tag
        self.peer, self.group_peer = peer, group_peer


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Any]:
    """Start several `isend` and `irecv`; returns their handles."""
    return [o.op(o.tensor, o.peer, o.group, o.tag, o.group_peer) for o in p2p_op_list]
