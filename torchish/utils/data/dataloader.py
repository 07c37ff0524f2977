"""DataLoader: batches from a dataset, fetched by the caller or by workers.

Invariant: the consumer asks for at most `prefetch_factor * num_workers` batches ahead and waits
with a time limit, so neither side can block the other for ever.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import queue
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from ..._tensor import host as _host
from ..._utils import ExceptionWrapper
from . import _draws, _utils
from ._utils import pipes
from ._utils.collate import default_collate, default_convert
from ._utils.fetch import IterableFetcher, MapFetcher
from ._utils.worker import (
    Died,
    Result,
    Resume,
    StreamEnd,
    Task,
    WorkerInfo,
    WorkerSpec,
    get_worker_info,
)
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

__all__ = [
    "DataLoader",
    "WorkerInfo",
    "default_collate",
    "default_convert",
    "get_worker_info",
]

_T_co = TypeVar("_T_co", covariant=True)


class _DatasetKind:
    Map = 0
    Iterable = 1

    @staticmethod
    def create_fetcher(
        kind: int, dataset: Any, auto_collation: bool, collate_fn: Any, drop_last: bool
    ) -> MapFetcher:
        """The fetcher of a kind of dataset."""
        made = MapFetcher if kind == _DatasetKind.Map else IterableFetcher
        return made(dataset, auto_collation, collate_fn, drop_last)


class _InfiniteConstantSampler(Sampler[None]):
    """The sampler of a stream: None for ever."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[_T_co]):
    """An iterable over the batches of a dataset.

    Args:
        dataset: by index or a stream.
        batch_size: samples of a batch; None turns batching off.
        shuffle: reshuffle at every pass; the order is PyTorch's for a seed.
        sampler: where indices come from, instead of `shuffle`.
        batch_sampler: where lists of indices come from, instead of the options above.
        num_workers: workers that fetch ahead; 0 fetches in the caller.
        collate_fn: list of samples -> batch.
        pin_memory: ask batches to pin their memory, if there is an accelerator.
        drop_last: leave out a last, smaller batch.
        timeout: seconds to wait for a batch of a worker; 0 is no limit.
        worker_init_fn: called with the worker's id before it fetches.
        multiprocessing_context: how worker processes start: "fork", "forkserver", "spawn" or a
            context of `multiprocessing`; its default if None. "thread" makes workers threads.
        generator: source of the shuffle and of the workers' seeds.
        prefetch_factor: batches fetched ahead by each worker (2).
        persistent_workers: keep the workers between passes.
        in_order: yield batches in the order of the sampler.

    Raises: ValueError for options that exclude each other, as PyTorch.

    Worker processes compute in numpy and leave XLA alone; batches come back in shared memory. Small
    batches of a plain `TensorDataset` are gathered by the caller, which is quicker than a message;
    naming a context, or a `worker_init_fn`, has processes started for them too.

    Differs from torch: `multiprocessing_context="thread"`, for datasets that wait or compute in
    numpy rather than in Python. A thread has a shallow copy of the dataset, torch's seed
    `base_seed + id` for `torch` random functions and generators of its own in
    `get_worker_info().rng`; `random` and `numpy.random`, which have one state per process, are not
    reseeded.

    Example:
        >>> [batch.tolist() for batch in DataLoader(range(5), batch_size=2)]
        [[0, 1], [2, 3], [4]]
    """

    _iterator: Any = None
    _is_set_up = False
    _FIXED = frozenset(
        {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}
    )

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_numbers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        iterable = isinstance(dataset, IterableDataset)
        self._dataset_kind = _DatasetKind.Iterable if iterable else _DatasetKind.Map
        if iterable and pipes.is_pipe(dataset):
            # PyTorch, too, goes on with the pipe that it was given, not with a shuffler on it.
            pipes.switch_shuffling(dataset, shuffle)
            shuffle = None
        if iterable:
            _check_stream(shuffle, sampler, batch_sampler)
        _check_samplers(batch_size, bool(shuffle), sampler, batch_sampler, drop_last)
        if sampler is None:
            if iterable:
                sampler = _InfiniteConstantSampler()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self._IterableDataset_len_called: int | None = None
        self._is_set_up = True
        self.check_worker_number_rationality()

    @property
    def multiprocessing_context(self) -> Any:
        """What worker processes are started from: a context, None (the default) or "thread"."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        self._context = _checked_context(context, self.num_workers)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_set_up and name in self._FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    def _get_iterator(self) -> _BaseDataLoaderIter:
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        self.check_worker_number_rationality()
        return _MultiProcessingDataLoaderIter(self)

    def __iter__(self) -> Any:
        if not (self.persistent_workers and self.num_workers):
            return self._get_iterator()
        if self._iterator is None:
            self._iterator = self._get_iterator()
        else:
            self._iterator._reset(self)
        return self._iterator

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self) -> int:
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        length = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else math.ceil(length / self.batch_size)

    def check_worker_number_rationality(self) -> None:
        """Warn when there are more workers than processors."""
        has_affinity = hasattr(os, "sched_getaffinity")
        limit = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
        if not self.num_workers or (limit is not None and self.num_workers <= limit):
            return
        note = "" if has_affinity else " (`cpuset` is not taken into account)"
        warnings.warn(
            f"This DataLoader will create {self.num_workers} worker processes in total. Our "
            f"suggested max number of worker in current system is {limit}{note}, which is smaller "
            "than what this DataLoader is going to create. Please be aware that excessive worker "
            "creation might get DataLoader running slow or even freeze, lower the worker number "
            "to avoid potential slowness/freeze if necessary.",
            stacklevel=3,
        )


# --- checks of the options ---


def _check_numbers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            "multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing."
            "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    options = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                f"{name}={value}"
            )


def _check_samplers(
    batch_size: Any, shuffle: bool, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
                "drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )


def _checked_context(context: Any, num_workers: int) -> Any:
    if context is None:
        return None
    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > "
            f"0), but got num_workers={num_workers}"
        )
    if context == "thread":
        return context
    if isinstance(context, str):
        valid = multiprocessing.get_all_start_methods()
        if context not in valid:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {valid!r}, "
                f"but got multiprocessing_context={context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={context}"
        )
    return context


# --- iterators ---


class _BaseDataLoaderIter:
    """One pass over a loader."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._dataset = loader.dataset
        self._dataset_kind = loader._dataset_kind
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._auto_collation = loader._auto_collation
        self._drop_last = loader.drop_last
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        self._pin_memory = loader.pin_memory and _check_pinning(loader.pin_memory_device)
        self._timeout = loader.timeout
        self._collate_fn = loader.collate_fn
        self._sampler_iter = iter(self._index_sampler)
        self._pipe_seed: int | None = None
        self._seed_pipe(loader)
        # Drawn before the sampler draws its own, with or without workers: the order is PyTorch's.
        self._base_seed = _draws.seed(loader.generator)
        self._num_yielded = 0

    def __iter__(self) -> Any:
        return self

    def _reset(self, loader: DataLoader[Any], first_iter: bool = False) -> None:
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._seed_pipe(loader)

    def _seed_pipe(self, loader: DataLoader[Any]) -> None:
        """Draw the seed of a pass over a data pipe that is iterated."""
        if self._dataset_kind == _DatasetKind.Iterable and pipes.is_pipe(self._dataset):
            self._pipe_seed = pipes.draw_seed(loader.generator)
            pipes.apply_seed(self._dataset, self._pipe_seed)

    def _next_index(self) -> Any:
        return next(self._sampler_iter)

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        # The programs of a training loop end here, at the same place in every iteration.
        _host.flush_point("the next batch is asked for")
        data = self._next_data()
        self._num_yielded += 1
        expected = self._IterableDataset_len_called
        if (
            self._dataset_kind == _DatasetKind.Iterable
            and expected is not None
            and self._num_yielded > expected
        ):
            self._warn_length(expected)
        return _utils.pin_memory.pin_memory(data) if self._pin_memory else data

    def _warn_length(self, expected: int) -> None:
        text = (
            f"Length of IterableDataset {self._dataset} was reported to be {expected}"
            f"(when accessing len(dataloader)), but {self._num_yielded} samples have been fetched. "
        )
        if self._num_workers > 0:
            text += (
                "For multiprocessing data-loading, this could be caused by not properly "
                "configuring the IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for "
                "examples."
            )
        warnings.warn(text, stacklevel=3)

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


def _check_pinning(device: str) -> bool:
    """Whether there is an accelerator to pin memory for; warns when not."""
    if device:
        warnings.warn(
            "pin_memory_device is deprecated, the current accelerator will be used as the device,"
            f"ignore pin_memory_device='{device}'.",
            stacklevel=5,
        )
    if any(_host.devices.jax_devices(kind) for kind in ("cuda", "xla")):
        return True
    warnings.warn(
        "'pin_memory' argument is set as true but no accelerator is found, then device pinned "
        "memory won't be used.",
        stacklevel=5,
    )
    return False


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Fetches in the caller's thread."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if self._timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        if pipes.is_pipe(self._dataset):
            pipes.apply_share(self._dataset, *pipes.processes())
        self._fetcher = _DatasetKind.create_fetcher(
            self._dataset_kind,
            self._dataset,
            self._auto_collation,
            self._collate_fn,
            self._drop_last,
        )

    def _next_data(self) -> Any:
        return self._fetcher.fetch(self._next_index())


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Hands out batches to workers in turn and yields what comes back, in order."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._prefetch_factor = int(loader.prefetch_factor or 0)
        if self._prefetch_factor <= 0:
            raise AssertionError(
                "prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter"
            )
        self._persistent_workers = loader.persistent_workers
        self._in_order = loader.in_order
        spec = WorkerSpec(
            iterable=self._dataset_kind == _DatasetKind.Iterable,
            dataset=loader.dataset,
            auto_collation=self._auto_collation,
            collate_fn=self._collate_fn,
            drop_last=self._drop_last,
            base_seed=self._base_seed,
            init_fn=loader.worker_init_fn,
            num_workers=loader.num_workers,
            pipe_seed=self._pipe_seed,
            processes=pipes.processes() if pipes.is_pipe(self._dataset) else (1, 0),
        )
        self._pool = _make_pool(spec, loader.multiprocessing_context, loader.batch_size)
        # Runs when the loop is left early, when the iterator is collected, and at exit.
        self._shutdown_workers = weakref.finalize(self, self._pool.stop)
        self._epoch = 0
        self._reset(loader, first_iter=True)

    def _reset(self, loader: DataLoader[Any], first_iter: bool = False) -> None:
        super()._reset(loader, first_iter)
        self._epoch += 1
        self._sent = 0  # number of the next task
        self._wanted = 0  # number of the task whose batch is yielded next
        self._owner: dict[int, int] = {}  # task -> worker, until its batch is yielded
        self._arrived: dict[int, Any] = {}  # task -> batch that came before its turn
        self._load = [0] * self._num_workers  # tasks under way, by worker
        self._is_open = [True] * self._num_workers  # whether a worker's stream goes on
        self._turn = itertools.cycle(range(self._num_workers))
        if not first_iter:
            for worker_id in range(self._num_workers):
                self._pool.send(worker_id, Resume(self._pipe_seed))
        for _ in range(self._prefetch_factor * self._num_workers):
            self._send_task()

    def _send_task(self) -> None:
        """Give the next batch to the next worker that can take it."""
        try:
            keys = self._next_index()
        except StopIteration:
            return
        worker_id = self._next_worker()
        if worker_id is None:
            return
        self._pool.send(worker_id, Task(self._epoch, self._sent, keys))
        self._owner[self._sent] = worker_id
        self._load[worker_id] += 1
        self._sent += 1

    def _next_worker(self) -> int | None:
        limit = self._prefetch_factor * self._num_workers
        for _ in range(self._num_workers):
            worker_id = next(self._turn)
            if not self._is_open[worker_id]:
                continue
            if self._in_order or self._load[worker_id] < limit // sum(self._is_open):
                return worker_id
        return None

    def _next_data(self) -> Any:
        while True:
            if not self._find_wanted():
                if not self._persistent_workers:
                    self._shutdown_workers()
                raise StopIteration
            if self._wanted in self._arrived:
                return self._deliver(self._wanted, self._arrived.pop(self._wanted))
            result = self._receive()
            if result.epoch != self._epoch:
                continue  # left over from a pass that was given up
            if isinstance(result.data, StreamEnd):
                self._load[result.worker_id] -= 1
                self._is_open[result.worker_id] = False
                self._send_task()
            elif result.index == self._wanted or not self._in_order:
                return self._deliver(result.index, result.data)
            else:
                self._arrived[result.index] = result.data

    def _find_wanted(self) -> bool:
        """Skip the tasks that no batch will come for; False when there is none left."""
        while self._wanted < self._sent:
            owner = self._owner.get(self._wanted)
            if owner is not None:
                if self._wanted in self._arrived or self._is_open[owner]:
                    return True
                del self._owner[self._wanted]
            self._wanted += 1
        return False

    def _deliver(self, index: int, data: Any) -> Any:
        self._load[self._owner.pop(index)] -= 1
        if index == self._wanted:
            self._wanted += 1
        self._send_task()
        if isinstance(data, ExceptionWrapper):
            data.reraise()
        return data

    def _receive(self) -> Result:
        limit = self._timeout if self._timeout > 0 else _utils.MP_STATUS_CHECK_INTERVAL
        while True:
            try:
                result = self._pool.receive(limit)
            except queue.Empty:
                if self._timeout > 0:
                    raise RuntimeError(
                        f"DataLoader timed out after {self._timeout} seconds"
                    ) from None
                continue
            if isinstance(result, Died):
                self._shutdown_workers()
                raise RuntimeError(
                    f"DataLoader worker (pid(s) {result.name}) exited unexpectedly"
                ) from RuntimeError(result.reason)
            return result  # type: ignore[no-any-return]

    @property
    def _workers(self) -> list[Any]:
        """The processes, or threads, of the workers."""
        return self._pool.processes  # type: ignore[no-any-return]


def _make_pool(spec: WorkerSpec, context: Any, batch_size: int | None) -> Any:
    if context == "thread":
        from ._utils.threads import ThreadPool

        return ThreadPool(spec)
    from ._utils.inline import InlinePool, rows_of
    from ._utils.processes import ProcessPool

    if context is not None:
        return ProcessPool(spec, context)
    rows = rows_of(spec, batch_size)
    if rows is not None:
        return InlinePool(spec, rows)
    return ProcessPool(spec, multiprocessing.get_context())
