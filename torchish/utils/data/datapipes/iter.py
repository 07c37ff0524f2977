"""Pipes that are iterated."""

from __future__ import annotations

import copy as copying
import enum
import fnmatch
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sized
from typing import Any

from .._utils.collate import default_collate
from ..sampler import SequentialSampler
from .datapipe import DataChunk, IterDataPipe, functional_datapipe
from .shuffling import Shuffling


class IterableWrapper(IterDataPipe):
    """The items of an iterable; `deepcopy` keeps passes apart."""

    def __init__(self, iterable: Any, deepcopy: bool = True) -> None:
        self.iterable, self.deepcopy = iterable, deepcopy

    def __iter__(self) -> Iterator[Any]:
        source = copying.deepcopy(self.iterable) if self.deepcopy else self.iterable
        yield from source

    def __len__(self) -> int:
        return len(self.iterable)


def _given_length(pipe: Any) -> int:
    """The length that a pipe of files was said to have."""
    if pipe.length == -1:
        raise TypeError(f"{type(pipe).__name__} instance doesn't have valid length")
    return int(pipe.length)


class _On(IterDataPipe):
    """A pipe on another."""

    datapipe: Any

    def __len__(self) -> int:
        if isinstance(self.datapipe, Sized):
            return len(self.datapipe)
        raise TypeError(f"{type(self).__name__} instance doesn't have valid length")


@functional_datapipe("map")
class Mapper(_On):
    """`fn` of each item, or of the columns `input_col`; the result goes to `output_col`."""

    def __init__(
        self, datapipe: Any, fn: Callable[..., Any], input_col: Any = None, output_col: Any = None
    ) -> None:
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, list | tuple):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = output_col[0]
        self.datapipe, self.fn = datapipe, fn
        self.input_col, self.output_col = input_col, output_col

    def _apply(self, data: Any) -> Any:
        if self.input_col is None:
            return self.fn(data)
        columns = self.input_col
        several = isinstance(columns, list | tuple)
        found = self.fn(*(data[c] for c in columns)) if several else self.fn(data[columns])
        made = list(data) if isinstance(data, tuple) else copying.copy(data)
        if self.output_col is None:
            made[columns[0] if several else columns] = found
            for c in sorted(columns[1:], reverse=True) if several else ():
                del made[c]
        elif self.output_col == -1:
            made.append(found)
        else:
            made[self.output_col] = found
        return tuple(made) if isinstance(data, tuple) else made

    def __iter__(self) -> Iterator[Any]:
        for data in self.datapipe:
            yield self._apply(data)


@functional_datapipe("collate")
class Collator(Mapper):
    """Batches as tensors."""

    def __init__(
        self, datapipe: Any, conversion: Any = default_collate, collate_fn: Any = None
    ) -> None:
        super().__init__(datapipe, collate_fn or conversion)


@functional_datapipe("filter")
class Filter(IterDataPipe):
    """The items for which `filter_fn` holds."""

    def __init__(self, datapipe: Any, filter_fn: Callable[..., Any], input_col: Any = None) -> None:
        self.datapipe, self.filter_fn, self.input_col = datapipe, filter_fn, input_col

    def _holds(self, data: Any) -> Any:
        columns = self.input_col
        if columns is None:
            return self.filter_fn(data)
        if isinstance(columns, list | tuple):
            return self.filter_fn(*(data[c] for c in columns))
        return self.filter_fn(data[columns])

    def __iter__(self) -> Iterator[Any]:
        return (data for data in self.datapipe if self._holds(data))


@functional_datapipe("shuffle")
class Shuffler(Shuffling, _On):
    """Items in random order, drawn from a buffer."""

    def __init__(self, datapipe: Any, *, buffer_size: int = 10000, unbatch_level: int = 0) -> None:
        if buffer_size <= 0:
            raise ValueError("buffer_size should be larger than 0")
        self.datapipe = datapipe if unbatch_level == 0 else datapipe.unbatch(unbatch_level)
        self.buffer_size = buffer_size

    def __iter__(self) -> Iterator[Any]:
        if not self._enabled:
            yield from self.datapipe
            return
        rng = self._generator()
        buffer: list[Any] = []
        for x in self.datapipe:
            if len(buffer) == self.buffer_size:
                at = rng.randint(0, len(buffer) - 1)
                found, buffer[at] = buffer[at], x
                yield found
            else:
                buffer.append(x)
        while buffer:
            yield buffer.pop(rng.randint(0, len(buffer) - 1))


class Sampler(_On):
    """Items in the order of a sampler."""

    def __init__(
        self, datapipe: Any, sampler: Any = SequentialSampler, sampler_args: Any = None,
        sampler_kwargs: Any = None,
    ) -> None:  # fmt: skip
        self.datapipe = datapipe
        kwargs = {**(sampler_kwargs or {}), "data_source": datapipe}
        self.sampler = sampler(*(sampler_args or ()), **kwargs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.sampler)


class _OnSeveral(IterDataPipe):
    def __init__(self, *datapipes: Any) -> None:
        if not datapipes:
            raise ValueError(f"Expected at least one DataPipe, but got {len(datapipes)}")
        if not all(isinstance(d, IterDataPipe) for d in datapipes):
            raise TypeError("Expected all inputs to be `IterDataPipe`")
        self.datapipes = datapipes

    def _lengths(self) -> list[int]:
        if all(isinstance(d, Sized) for d in self.datapipes):
            return [len(d) for d in self.datapipes]
        raise TypeError(f"{type(self).__name__} instance doesn't have valid length")


@functional_datapipe("concat")
class Concater(_OnSeveral):
    """One pipe after the other."""

    def __iter__(self) -> Iterator[Any]:
        for datapipe in self.datapipes:
            yield from datapipe

    def __len__(self) -> int:
        return sum(self._lengths())


@functional_datapipe("zip")
class Zipper(_OnSeveral):
    """Tuples of one item of each."""

    def __iter__(self) -> Iterator[Any]:
        return zip(*self.datapipes, strict=False)

    def __len__(self) -> int:
        return min(self._lengths())


@functional_datapipe("mux")
class Multiplexer(_OnSeveral):
    """One item of each in turn, until the shortest ends."""

    def __iter__(self) -> Iterator[Any]:
        for row in zip(*self.datapipes, strict=False):
            yield from row

    def __len__(self) -> int:
        return min(self._lengths()) * len(self.datapipes)


class _Branch(IterDataPipe):
    def __init__(self, parent: Any, index: int) -> None:
        self.parent, self.index = parent, index

    def __iter__(self) -> Iterator[Any]:
        return self.parent.branch(self.index)

    def __len__(self) -> int:
        return len(self.parent.datapipe)


class _Split:
    """A pipe whose items go to several, each with a queue of what it has not taken yet."""

    def __init__(self, datapipe: Any, count: int, buffer_size: int, choose: Any) -> None:
        self.datapipe, self.count = datapipe, count
        self.buffer_size, self.choose = buffer_size, choose
        self._start()

    def _start(self) -> None:
        self.source: Iterator[Any] | None = None
        self.queues: list[deque[Any]] = [deque() for _ in range(self.count)]
        self.finished: set[int] = set()

    def branch(self, index: int) -> Iterator[Any]:
        if index in self.finished:
            self._start()
        if self.source is None:
            self.source = iter(self.datapipe)
        queue = self.queues[index]
        while True:
            while not queue:
                try:
                    item = next(self.source)
                except StopIteration:
                    self.finished.add(index)
                    return
                for k in self.choose(item):
                    self.queues[k].append(item)
                if 0 <= self.buffer_size < sum(map(len, self.queues)) - 1:
                    raise BufferError(
                        "DemultiplexerIterDataPipe buffer overflow,"
                        f" buffer size {self.buffer_size} is insufficient."
                    )
            yield queue.popleft()


_COPIES = {"shallow": copying.copy, "deep": copying.deepcopy}


@functional_datapipe("fork")
class Forker(IterDataPipe):
    """The same pipe several times."""

    def __new__(
        cls, datapipe: Any, num_instances: int, buffer_size: int = 1000, copy: str | None = None
    ) -> Any:
        if num_instances < 1:
            raise ValueError(f"Expected `num_instances` larger than 0, but {num_instances} is "
                             "found")  # fmt: skip
        if num_instances == 1:
            return [datapipe]
        if copy not in (None, "shallow", "deep"):
            raise ValueError(
                f"Unknown copy method `{copy}` requested, choose one of None, `shallow` or `deep`."
            )
        parent = _Split(datapipe, num_instances, buffer_size, lambda x: range(num_instances))
        branches = [_Branch(parent, k) for k in range(num_instances)]
        return branches if copy is None else [Mapper(b, _COPIES[copy]) for b in branches]


@functional_datapipe("demux")
class Demultiplexer(IterDataPipe):
    """Several pipes; `classifier_fn` says which an item goes to."""

    def __new__(
        cls, datapipe: Any, num_instances: int, classifier_fn: Callable[[Any], Any],
        drop_none: bool = False, buffer_size: int = 1000,
    ) -> Any:  # fmt: skip
        if num_instances < 1:
            raise ValueError(f"Expected `num_instances` larger than 0, but {num_instances} is "
                             "found")  # fmt: skip

        def choose(item: Any) -> Any:
            found = classifier_fn(item)
            if found is None and drop_none:
                return ()
            if found is None or not 0 <= found < num_instances:
                raise ValueError(
                    f"Output of the classification fn should be between 0 and {num_instances - 1}."
                    f" {found} is returned."
                )
            return (int(found),)

        parent = _Split(datapipe, num_instances, buffer_size, choose)
        return [_Branch(parent, k) for k in range(num_instances)]


@functional_datapipe("batch")
class Batcher(IterDataPipe):
    """`batch_size` items as one."""

    def __init__(
        self,
        datapipe: Any,
        batch_size: int,
        drop_last: bool = False,
        wrapper_class: Any = DataChunk,
    ) -> None:
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe, self.batch_size = datapipe, batch_size
        self.drop_last, self.wrapper_class = drop_last, wrapper_class

    def __iter__(self) -> Iterator[Any]:
        batch: list[Any] = []
        for x in self.datapipe:
            batch.append(x)
            if len(batch) == self.batch_size:
                yield self.wrapper_class(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.wrapper_class(batch)

    def __len__(self) -> int:
        if not isinstance(self.datapipe, Sized):
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        whole, rest = divmod(len(self.datapipe), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


@functional_datapipe("unbatch")
class UnBatcher(IterDataPipe):
    """The items of batches, `unbatch_level` deep (-1: all the way)."""

    def __init__(self, datapipe: Any, unbatch_level: int = 1) -> None:
        self.datapipe, self.unbatch_level = datapipe, unbatch_level

    def __iter__(self) -> Iterator[Any]:
        if self.unbatch_level < -1:
            raise ValueError("unbatch_level must be -1 or >= 0")
        for element in self.datapipe:
            yield from self._dive(element, self.unbatch_level)

    def _dive(self, element: Any, level: int) -> Iterator[Any]:
        lists = isinstance(element, list | DataChunk)
        if level == 0 or (level == -1 and not lists):
            yield element
            return
        if not lists:
            raise IndexError(
                f"unbatch_level {self.unbatch_level} exceeds the depth of the DataPipe"
            )
        for item in element:
            yield from self._dive(item, level if level == -1 else level - 1)


@functional_datapipe("groupby")
class Grouper(IterDataPipe):
    """Items with the same key together, from a buffer."""

    def __init__(
        self, datapipe: Any, group_key_fn: Callable[[Any], Any], *, keep_key: bool = False,
        buffer_size: int = 10000, group_size: int | None = None,
        guaranteed_group_size: int | None = None, drop_remaining: bool = False,
    ) -> None:  # fmt: skip
        self.datapipe, self.group_key_fn, self.keep_key = datapipe, group_key_fn, keep_key
        self.max_buffer_size, self.group_size = buffer_size, group_size
        self.guaranteed_group_size = guaranteed_group_size or group_size
        self.drop_remaining = drop_remaining

    def _made(self, key: Any, items: list[Any]) -> Any:
        return (key, DataChunk(items)) if self.keep_key else DataChunk(items)

    def __iter__(self) -> Iterator[Any]:
        groups: dict[Any, list[Any]] = defaultdict(list)
        held = 0
        for x in self.datapipe:
            key = self.group_key_fn(x)
            groups[key].append(x)
            held += 1
            if self.group_size is not None and len(groups[key]) == self.group_size:
                held -= self.group_size
                yield self._made(key, groups.pop(key))
            if held == self.max_buffer_size:
                largest = max(groups, key=lambda k: len(groups[k]))
                items = groups.pop(largest)
                held -= len(items)
                least = self.guaranteed_group_size
                if least is not None and len(items) < least and not self.drop_remaining:
                    raise RuntimeError("Failed to group items", str(items))
                if least is None or len(items) >= least:
                    yield self._made(largest, items)
        for key in list(groups):
            yield self._made(key, groups.pop(key))


class SHARDING_PRIORITIES(enum.IntEnum):
    """Who shares the data: items go to distributed processes first, then to their workers."""

    DEFAULT = 1
    DISTRIBUTED = 2
    MULTIPROCESSING = 3


@functional_datapipe("sharding_filter")
class ShardingFilter(IterDataPipe):
    """Every n-th item, once `apply_sharding` has said which.

    Args:
        sharding_group_filter: the group that counts here; every one if None.
    """

    def __init__(self, source_datapipe: Any, sharding_group_filter: Any = None) -> None:
        self.source_datapipe = source_datapipe
        self.sharding_group_filter = sharding_group_filter
        self.groups: dict[int, tuple[int, int]] = {}
        self.num_of_instances, self.instance_id = 1, 0

    def apply_sharding(
        self, num_of_instances: int, instance_id: int,
        sharding_group: Any = SHARDING_PRIORITIES.DEFAULT,
    ) -> None:  # fmt: skip
        """Keep items `instance_id`, `instance_id + num_of_instances` ... among those of a group.

        Raises: RuntimeError for the default group beside others.
        """
        if instance_id >= num_of_instances:
            raise ValueError(f"instance_id({instance_id}) should be smaller than "
                             f"num_of_instances({num_of_instances})")  # fmt: skip
        is_default = sharding_group == SHARDING_PRIORITIES.DEFAULT
        if self.groups and is_default != (SHARDING_PRIORITIES.DEFAULT in self.groups):
            raise RuntimeError("ShardingFilter cannot mix DEFAULT and non DEFAULT groups")
        self.groups[sharding_group] = (num_of_instances, instance_id)
        self._count_instances()

    def _count_instances(self) -> None:
        only = self.sharding_group_filter
        self.num_of_instances, self.instance_id = 1, 0
        for group in sorted(self.groups, reverse=True):
            if only is None or group == only:
                count, place = self.groups[group]
                self.instance_id += self.num_of_instances * place
                self.num_of_instances *= count

    def is_shardable(self) -> bool:
        """True."""
        return True

    def __iter__(self) -> Iterator[Any]:
        for k, item in enumerate(self.source_datapipe):
            if k % self.num_of_instances == self.instance_id:
                yield item

    def __len__(self) -> int:
        if not isinstance(self.source_datapipe, Sized):
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        whole = len(self.source_datapipe)
        more = self.instance_id < whole % self.num_of_instances
        return whole // self.num_of_instances + more


@functional_datapipe("list_files")
class FileLister(IterDataPipe):
    """The paths of files in folders, by patterns of their names."""

    def __init__(
        self, root: Any = ".", masks: Any = "", *, recursive: bool = False, abspath: bool = False,
        non_deterministic: bool = False, length: int = -1,
    ) -> None:  # fmt: skip
        self.datapipe = IterableWrapper([root]) if isinstance(root, str) else root
        self.masks = [masks] if isinstance(masks, str) else list(masks)
        self.recursive, self.abspath, self.length = recursive, abspath, length

    def __len__(self) -> int:
        return _given_length(self)

    def _fits(self, name: str) -> bool:
        return self.masks == [""] or any(fnmatch.fnmatch(name, m) for m in self.masks)

    def __iter__(self) -> Iterator[Any]:
        for root in self.datapipe:
            top = os.path.abspath(root) if self.abspath else root
            for folder, folders, files in os.walk(top):
                folders.sort()
                yield from (os.path.join(folder, f) for f in sorted(files) if self._fits(f))
                if not self.recursive:
                    break


@functional_datapipe("open_files")
class FileOpener(_On):
    """(path, open file) of paths."""

    def __init__(
        self, datapipe: Any, mode: str = "r", encoding: str | None = None, length: int = -1
    ) -> None:
        self.datapipe, self.mode, self.encoding = datapipe, mode, encoding
        self.length = length

    def __len__(self) -> int:
        return _given_length(self)

    def __iter__(self) -> Iterator[Any]:
        mode = "r" if self.mode == "t" else self.mode
        for path in self.datapipe:
            yield path, open(path, mode, encoding=self.encoding)


@functional_datapipe("read_from_stream")
class StreamReader(IterDataPipe):
    """(name, bytes) of (name, file), in pieces of `chunk` bytes where it is given."""

    def __init__(self, datapipe: Any, chunk: int | None = None) -> None:
        self.datapipe, self.chunk = datapipe, chunk

    def __iter__(self) -> Iterator[Any]:
        for name, stream in self.datapipe:
            while piece := stream.read(-1 if self.chunk is None else self.chunk):
                yield name, piece


__all__ = [
    "Batcher", "Collator", "Concater", "Demultiplexer", "FileLister", "FileOpener", "Filter",
    "Forker", "Grouper", "IterableWrapper", "Mapper", "Multiplexer", "Sampler", "ShardingFilter",
    "Shuffler", "StreamReader", "UnBatcher", "Zipper",
]  # fmt: skip
