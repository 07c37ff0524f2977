"""Batches that are gathered sooner here than received: small ones of a plain TensorDataset.

Telling a process what to fetch and taking what it sends costs the receiver some 100 us, gathering a
few rows a tenth of that. No code of the user's would run in the workers, so nothing there can tell
that they are not started.

Invariant: batches, their order, how far the sampler is read ahead and errors are those of workers,
which hold the rows as they were when they were started.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from typing import Any

from ...._tensor import host as _host
from ...._utils import ExceptionWrapper
from ..dataset import Subset, TensorDataset
from .collate import default_collate
from .fetch import are_plain_rows, are_rows
from .worker import Result, Task, WorkerSpec

SMALL = 1 << 17  # bytes of a batch that is not worth a message
_COPIED = 1 << 25  # bytes of a dataset that are copied sooner than workers are started


class InlinePool:
    """Fetches when a result is asked for; what a pool of workers offers otherwise."""

    def __init__(self, spec: WorkerSpec, rows: Any) -> None:
        self._fetcher = spec.fetcher(rows)
        self._rows = _Rows(rows)
        self._tasks: deque[tuple[int, Task]] = deque()
        self.processes: list[Any] = []

    def send(self, worker_id: int, message: Any) -> None:
        """Note a task."""
        if isinstance(message, Task):
            self._tasks.append((worker_id, message))

    def receive(self, timeout: float) -> Result:
        """The result of the first task."""
        worker_id, task = self._tasks.popleft()
        data: Any = self._rows.batch(task.keys)
        if data is None:
            try:
                data = self._fetcher.fetch(task.keys)
            except Exception:
                data = ExceptionWrapper(where=f"in DataLoader worker process {worker_id}")
        return Result(worker_id, task.epoch, task.index, data)

    def stop(self) -> None:
        """Forget what was not fetched."""
        self._tasks.clear()


class _Rows:
    """The arrays of a dataset that nobody else can write to: looked at once, then only indexed."""

    def __init__(self, dataset: Any) -> None:
        self._map: list[int] | None = None
        self._count, inner = len(dataset), dataset
        while type(inner) is Subset:
            if not are_rows(inner.indices, len(inner.dataset)):  # type: ignore[arg-type]
                self._count = 0  # errors and odd indices are the fetcher's
                break
            chosen: Any = inner.indices
            self._map = chosen if self._map is None else [chosen[k] for k in self._map]
            inner = inner.dataset
        self._tables = [_host.peek(t) for t in inner.tensors] if self._count else []

    def batch(self, keys: Any) -> list[Any] | None:
        """The batch of a list of indices; None for what the fetcher has to look at."""
        if not are_rows(keys, self._count):
            return None
        if self._map is not None:
            keys = [self._map[k] for k in keys]
        return [_host.wrap(table.take(keys, 0)) for table in self._tables]


def rows_of(spec: WorkerSpec, batch_size: int | None) -> Any:
    """The dataset as workers started now would hold it; None if it takes workers."""
    if spec.iterable or batch_size is None or spec.init_fn is not None:
        return None
    if spec.collate_fn is not default_collate or _may_have_no_children():
        return None
    return _copied(spec.dataset, batch_size)


def _may_have_no_children() -> bool:
    """Whether this is a daemon, in which starting workers is an error."""
    return bool(multiprocessing.current_process().daemon)


def _copied(dataset: Any, batch_size: int) -> Any:
    if type(dataset) is Subset and type(dataset.indices) is list:
        inner = _copied(dataset.dataset, batch_size)
        return None if inner is None else Subset(inner, list(dataset.indices))
    if type(dataset) is not TensorDataset or not are_plain_rows(dataset):
        return None
    count, tensors = max(len(dataset), 1), dataset.tensors
    total = sum(t.numel() * t.element_size() for t in tensors)
    if total > _COPIED or total // count * batch_size > SMALL:
        return None
    if any(t.is_shared() for t in tensors):
        return None  # workers see what is written to them later
    return TensorDataset(*[_host.wrap(_host.peek(t).copy()) for t in tensors])
