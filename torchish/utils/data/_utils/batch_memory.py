"""Memory that batches go through from a worker process to the main one, used again and again.

Fresh shared memory costs several times what copying into it does. So a worker keeps the blocks that
its large batches lie in, and the main process their mappings; the main process says with the next
task which of them nothing refers to any more.

Invariants: a block is in use by one side at a time: a worker fills it, passes it on and does not
touch it until it is given back. One that a worker's own code still refers to when it is sent is not
taken back, nor is one that the main process held when it forked: the child reads it too.
"""

from __future__ import annotations

import functools
import math
import os
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...._basics.forking import before_fork
from ...._basics.shared_memory import Block

LARGE = 1 << 16  # bytes of an array that are worth a block of their own
_MOST = 16  # blocks that a worker keeps


class Slot:
    """A block that a worker uses again and again; `is_free` between two batches."""

    def __init__(self, number: int, nbytes: int) -> None:
        self.number = number
        self.block = Block.new(nbytes)
        self.is_free = True
        self.is_sent = False  # whether the main process has it now
        self.is_known = False  # whether it has mapped it before

    def take(self, nbytes: int) -> Block:
        """Its first bytes, in use until nothing refers to them."""
        self.is_free = False
        lease = self.block.lease(nbytes, self._end)
        _slots[lease] = self
        return lease

    def _end(self) -> None:
        self.is_free = not self.is_sent

    def give_back(self) -> None:
        """The main process needs it no more."""
        self.is_sent, self.is_free = False, True


_slots: weakref.WeakKeyDictionary[Block, Slot] = weakref.WeakKeyDictionary()


class Pool:
    """The blocks of a worker."""

    def __init__(self) -> None:
        self._kept: dict[int, Slot] = {}
        self._made = 0

    def array(self, nbytes: int) -> np.ndarray[Any, Any]:
        """Bytes in a free block, or in one of its own when all are in use."""
        for slot in self._kept.values():
            if slot.is_free and nbytes <= slot.block.nbytes <= 2 * nbytes:
                return slot.take(nbytes).array()
        if len(self._kept) == _MOST:
            free = next((n for n, slot in self._kept.items() if slot.is_free), None)
            if free is None:
                return Block.new(nbytes).array()
            del self._kept[free]  # of another size
        self._made += 1
        made = self._kept[self._made] = Slot(self._made, nbytes)
        return made.take(nbytes).array()

    def give_back(self, numbers: Sequence[int]) -> None:
        """Blocks that the main process needs no more."""
        for number in numbers:
            if number in self._kept:
                self._kept[number].give_back()

    def forget(self, slot: Slot) -> None:
        """Do not use a block again."""
        self._kept.pop(slot.number, None)


pool: Pool | None = None


def share_batches() -> None:
    """From now on large batches of this process are made in shared memory."""
    global pool
    pool = Pool()


def slot_of(block: Block | None) -> Slot | None:
    """The slot that a block is lent from, if it is."""
    return None if block is None else _slots.get(block)


def is_small(nbytes: int) -> bool:
    """Whether a batch of this size is made in memory of this process alone."""
    return pool is None or nbytes < LARGE


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """An array to put a batch in."""
    made: np.ndarray[Any, Any] = np.empty(shape, dtype) if pool is None else _shared(shape, dtype)
    return made


def _shared(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    assert pool is not None
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < LARGE:
        return np.empty(shape, dtype)
    return pool.array(nbytes).view(dtype).reshape(shape)


def stacked(arrays: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Arrays of one shape and dtype along a new first dimension."""
    out = empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for at, array in enumerate(arrays):
        out[at] = array
    return out


def rows(table: np.ndarray[Any, Any], index: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The rows of a table that `index`, one-dimensional and in range, names."""
    if pool is None or not table.flags.c_contiguous or table.strides[0] * len(index) < LARGE:
        return table.take(index, 0) if table.flags.c_contiguous else table[index]
    out = empty((len(index), *table.shape[1:]), table.dtype)
    return table.take(index, 0, out, "clip")  # the other modes use a buffer


class Arrivals:
    """The blocks of one worker that this process has mapped."""

    def __init__(self) -> None:
        self._blocks: dict[int, Block] = {}
        self._lent: dict[int, weakref.ref[Block]] = {}
        self._kept: set[int] = set()
        self._freed: deque[int] = deque()
        _arrivals.add(self)

    def lease(self, number: int, nbytes: int, fd: int | None) -> Block:
        """The first bytes of a block; `fd` is its file when it comes for the first time."""
        if fd is not None:
            self._blocks[number] = Block(fd, os.fstat(fd).st_size, keep_fd=False)
        lease = self._blocks[number].lease(nbytes, functools.partial(self._end, number))
        self._lent[number] = weakref.ref(lease)
        return lease

    def _end(self, number: int) -> None:
        if number not in self._kept:
            self._freed.append(number)

    def freed(self) -> list[int]:
        """The blocks that nothing has referred to since the last call."""
        return [self._freed.popleft() for _ in range(len(self._freed))]

    def keep(self) -> None:
        """Never give back what is in use now."""
        self._kept.update(n for n, ref in self._lent.items() if ref() is not None)


_arrivals: weakref.WeakSet[Arrivals] = weakref.WeakSet()


@before_fork
def _keep_what_a_child_reads() -> None:
    for arrivals in list(_arrivals):
        arrivals.keep()
