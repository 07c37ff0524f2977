"""Fetchers: from the indices of a batch to the collated batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._tensor import host as _host
from ..dataset import Subset, TensorDataset
from .batch_memory import rows
from .collate import default_collate


class MapFetcher:
    """Fetches by index."""

    def __init__(
        self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool
    ) -> None:
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last

    def fetch(self, index: Any) -> Any:
        """The batch of a list of indices, or the sample of one."""
        if not self.auto_collation:
            return self.collate_fn(self.dataset[index])
        if self.collate_fn is default_collate:
            batch = _rows(self.dataset, index)
            if batch is not None:
                return batch
        if getattr(self.dataset, "__getitems__", None):
            return self.collate_fn(self.dataset.__getitems__(index))
        return self.collate_fn([self.dataset[i] for i in index])


class IterableFetcher(MapFetcher):
    """Fetches the next samples of a stream; indices only say how many."""

    def __init__(
        self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool
    ) -> None:
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.samples = iter(dataset)
        self.ended = False

    def fetch(self, index: Any) -> Any:
        """The next batch. Raises: StopIteration at the end of the stream."""
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.samples))
        batch = []
        for _ in index:
            try:
                batch.append(next(self.samples))
            except StopIteration:
                self.ended = True
                break
        if not batch or (self.drop_last and len(batch) < len(index)):
            raise StopIteration
        return self.collate_fn(batch)


def are_rows(index: Any, count: int) -> bool:
    """Whether `index` is a list of plain numbers of rows."""
    return bool(index) and set(map(type, index)) == {int} and 0 <= min(index) <= max(index) < count


def _rows(dataset: Any, index: Any) -> list[Any] | None:
    """The batch of a plain TensorDataset on the CPU by one numpy gather for each tensor.

    It is what collating the samples one by one gives, 20 times as fast; None where that is not so.
    """
    while type(dataset) is Subset and type(dataset.indices) is list:
        if not are_rows(index, len(dataset.indices)):
            return None
        index = [dataset.indices[i] for i in index]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or not are_rows(index, len(dataset)):
        return None
    if not are_plain_rows(dataset):
        return None
    chosen = np.array(index)
    return [_host.wrap(rows(_host.peek(t), chosen)) for t in dataset.tensors]


def are_plain_rows(dataset: TensorDataset) -> bool:
    """Whether the tensors are nothing but numbers in the CPU's memory."""
    kind: Any = _host.tensor_class()
    return all(
        type(tensor) is kind and not tensor.requires_grad and _host.on_cpu(tensor)
        for tensor in dataset.tensors
    )
