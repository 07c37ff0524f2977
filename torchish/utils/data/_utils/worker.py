"""What a worker does, whether it is a process or a thread, and what it knows about itself.

Invariant: a worker only ever blocks on its own inbox, and everything that it sends goes to a queue
without a bound; how much is under way is limited by the consumer, which asks for batches.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...._basics.state import process
from ...._random.generator import Generator
from ...._tensor import host as _host
from ...._utils import ExceptionWrapper
from . import pipes
from .fetch import IterableFetcher, MapFetcher


@dataclass(frozen=True, slots=True)
class _RNG:
    """Random generators of one worker's own."""

    random_generator: random.Random
    torch_generator: Generator
    numpy_generator: Any


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What `get_worker_info` returns in a worker.

    `worker_method` is "multiprocessing" or "thread"; threads find generators of their own in `rng`,
    since `random` and `numpy.random` have one state per process.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: _RNG | None = None
    worker_method: str | None = "multiprocessing"


class _Local(threading.local):
    info: WorkerInfo | None = None


_local = _Local()
_process_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Information about the data-loading worker that runs this code; None outside workers."""
    return _local.info or _process_info


@dataclass(frozen=True)
class WorkerSpec:
    """What every worker of a loader needs."""

    iterable: bool
    dataset: Any
    auto_collation: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    init_fn: Callable[[int], Any] | None
    num_workers: int
    pipe_seed: int | None = None
    """The seed of the first pass over a data pipe; None for other datasets."""
    processes: tuple[int, int] = (1, 0)
    """How many processes share a data pipe, and which of them the loader is in."""

    def fetcher(self, dataset: Any) -> MapFetcher:
        """A fetcher of samples of `dataset`."""
        kind = IterableFetcher if self.iterable else MapFetcher
        return kind(dataset, self.auto_collation, self.collate_fn, self.drop_last)


@dataclass(frozen=True)
class Task:
    """Fetch one batch."""

    epoch: int
    index: int
    keys: Any


@dataclass(frozen=True)
class Resume:
    """A new pass over the dataset begins; over a data pipe, with this seed."""

    pipe_seed: int | None = None


@dataclass(slots=True)
class Result:
    """The batch of a task: data, an `ExceptionWrapper`, or `StreamEnd`."""

    worker_id: int
    epoch: int
    index: int
    data: Any

    def forget(self) -> None:
        """Refer to the data no longer: it has been passed on."""
        self.data = None


@dataclass(frozen=True)
class StreamEnd:
    """This worker's part of an iterable dataset is exhausted."""


@dataclass(frozen=True)
class Died:
    """A worker ended: it was killed, or left with something that is not an Exception."""

    worker_id: int
    reason: str
    name: str


def numpy_seed(base_seed: int, worker_id: int) -> np.ndarray[Any, Any]:
    """The words that seed numpy in a worker, as PyTorch derives them."""
    entropy = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(entropy).generate_state(4)


def enter_worker(spec: WorkerSpec, worker_id: int, dataset: Any, method: str) -> None:
    """Set up this thread as a worker: default generator, generators of its own, worker info."""
    global _process_info
    seed = spec.base_seed + worker_id
    if method == "thread":
        # `random` and `numpy.random` have one state per process, which belongs to the main program.
        _host.set_thread_generator(Generator().manual_seed(seed))
        own = np.random.default_rng(numpy_seed(spec.base_seed, worker_id))
        rng = _RNG(random.Random(seed), Generator().manual_seed(seed), own)
        _local.info = WorkerInfo(worker_id, spec.num_workers, seed, dataset, rng, method)
        return
    random.seed(seed)
    _host.set_thread_generator(None)
    _host.default_generator.manual_seed(seed)
    np.random.seed(numpy_seed(spec.base_seed, worker_id))
    process.num_threads = 1
    _local.info = None
    _process_info = WorkerInfo(worker_id, spec.num_workers, seed, dataset)


def serve(
    spec: WorkerSpec,
    worker_id: int,
    dataset: Any,
    receive: Callable[[], Any],
    send: Callable[[Any], None],
    is_stopping: Callable[[], bool] | None = None,
) -> None:
    """Answer tasks until None comes. What is sent is referred to by nothing here any more."""
    where = f"in DataLoader worker process {worker_id}"
    failed: ExceptionWrapper | None = None
    fetcher: Any = None
    try:
        if spec.pipe_seed is not None:
            pipes.apply_seed(dataset, spec.pipe_seed)
        if pipes.is_pipe(dataset):
            size, rank = spec.processes
            pipes.apply_share(dataset, spec.num_workers * size, worker_id * size + rank)
        if spec.init_fn is not None:
            spec.init_fn(worker_id)
        fetcher = spec.fetcher(dataset)
    except Exception:
        failed = ExceptionWrapper(where=where)
    ended = False
    while (message := receive()) is not None:
        if isinstance(message, Resume):
            ended = False
            if failed is None:
                try:
                    if message.pipe_seed is not None:
                        pipes.apply_seed(dataset, message.pipe_seed)
                    fetcher = spec.fetcher(dataset)
                except Exception:
                    failed = ExceptionWrapper(where=where)
            continue
        if ended or (is_stopping is not None and is_stopping()):
            continue
        data: Any = failed
        if failed is None:
            try:
                data = fetcher.fetch(message.keys)
                _host.flush_point("a worker has fetched a batch")
            except StopIteration:
                ended = spec.iterable
                data = StreamEnd() if ended else ExceptionWrapper(where=where)
            except Exception:
                data = ExceptionWrapper(where=where)
        result = Result(worker_id, message.epoch, message.index, data)
        del data, message
        send(result)


def worker_copy(dataset: Any) -> Any:
    """The dataset that one thread works with: a shallow copy, inner datasets copied likewise.

    So attributes that a worker sets (a file opened on first use, what `worker_init_fn` assigns) are
    its own, as in a process, while arrays are shared. A class with `__del__` is shared: a copy that
    dies must not close the original's files. So is anything but plain Python objects.
    """
    from ..dataset import Dataset

    kind = type(dataset)
    if hasattr(kind, "__del__") or kind.__reduce_ex__ is not object.__reduce_ex__:
        return dataset
    try:
        copied = object.__new__(kind)
        attributes = copied.__dict__
    except (TypeError, AttributeError):
        return dataset  # built in C, or with slots
    for name, value in dataset.__dict__.items():
        if isinstance(value, Dataset):
            value = worker_copy(value)
        elif type(value) in (list, tuple) and any(isinstance(v, Dataset) for v in value):
            value = type(value)(worker_copy(v) if isinstance(v, Dataset) else v for v in value)
        attributes[name] = value
    return copied
