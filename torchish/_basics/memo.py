"""What was made for a key, kept up to a number of them: the bound of what programs leave behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Memo(Generic[V]):
    """Values by key; the oldest make room. Finding one is a look into a dict."""

    __slots__ = ("capacity", "found")

    def __init__(self, capacity: int = 4096) -> None:
        self.capacity = capacity
        self.found: dict[Hashable, V] = {}

    def find(self, key: Hashable, make: Callable[[], V]) -> V:
        """What is kept under `key`, made now if nothing is."""
        value = self.found.get(key)
        if value is None:
            value = self.found[key] = make()
            while len(self.found) > self.capacity:
                with contextlib.suppress(RuntimeError, StopIteration):  # another thread was faster
                    self.found.pop(next(iter(self.found)), None)
        return value

    def __len__(self) -> int:
        return len(self.found)
