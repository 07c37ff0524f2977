"""What was made for a key, kept up to a number of them: the bound of what programs leave behind."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from .forking import tracing

V = TypeVar("V")
Function = TypeVar("Function", bound=Callable[..., Any])


def memoised(capacity: int) -> Callable[[Function], Function]:
    """`functools.lru_cache` for what makes kernels: threads that ask at once get one object."""

    def wrap(function: Function) -> Function:
        recent: Memo[Any] = Memo(64)

        def once(*key: Any) -> Any:
            return recent.find(key, lambda: function(*key))

        return functools.lru_cache(maxsize=capacity)(functools.wraps(function)(once))  # type: ignore[return-value]

    return wrap


class Memo(Generic[V]):
    """Values by key; the oldest make room. Finding one is a look into a dict."""

    __slots__ = ("capacity", "found")

    def __init__(self, capacity: int = 4096) -> None:
        self.capacity = capacity
        self.found: dict[Hashable, V] = {}

    def find(self, key: Hashable, make: Callable[[], V]) -> V:
        """What is kept under `key`, made now if nothing is."""
        value = self.found.get(key)
        return self._made(key, make) if value is None else value

    def _made(self, key: Hashable, make: Callable[[], V]) -> V:
        # One thread at a time: programs are told apart by the kernels' identity, so two threads
        # that make the same kernel must get one object. What is made is traced under this lock.
        with tracing:
            value = self.found.get(key)
            if value is None:
                value = self.found[key] = make()
                while len(self.found) > self.capacity:
                    with contextlib.suppress(RuntimeError, StopIteration):
                        self.found.pop(next(iter(self.found)), None)
            return value

    def __len__(self) -> int:
        return len(self.found)


class Bounded(dict[Any, Any]):
    """A table that is emptied when it is full: what is asked for often is soon there again."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def keep(self, key: Any, value: Any) -> None:
        """Note a value."""
        if len(self) >= self.most:
            self.clear()
        self[key] = value
