"""What all data pipes share: their steps are methods of every pipe, by registered names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from ..dataset import Dataset, IterableDataset


class _Steps:
    """Finds `pipe.map(f)` among the registered pipes."""

    functions: ClassVar[dict[str, Callable[..., Any]]]

    @classmethod
    def register_function(cls, function_name: str, function: Callable[..., Any]) -> None:
        """Make `pipe.function_name(...)` call `function(pipe, ...)`."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(
        cls, function_name: str, cls_to_register: Any, enable_df_api_tracing: bool = False
    ) -> None:
        """Make `pipe.function_name(...)` a `cls_to_register(pipe, ...)`.

        Raises: Exception for a name that is taken.
        """
        if function_name in cls.functions:
            raise Exception(
                f"Unable to add DataPipe function name {function_name} as it is already taken"
            )
        cls.functions[function_name] = cls_to_register

    def __getattr__(self, name: str) -> Any:
        found = type(self).functions.get(name)
        if found is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}")
        return functools.partial(found, self)

    def __getstate__(self) -> Any:
        return self.__dict__

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return type(self).__qualname__

    __str__ = __repr__

    def reset(self) -> None:
        """Called before each pass."""


class IterDataPipe(_Steps, IterableDataset):
    """A pipe that is iterated."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __iter__(self) -> Iterator[Any]:
        return self  # type: ignore[return-value]


class DFIterDataPipe(IterDataPipe):
    """A pipe of data frames."""


class MapDataPipe(_Steps, Dataset):
    """A pipe that is indexed."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}


class functional_datapipe:
    """Decorate a pipe's class so that it is a method of all pipes of its kind."""

    def __init__(self, name: str, enable_df_api_tracing: bool = False) -> None:
        self.name = name

    def __call__(self, cls: Any) -> Any:
        kind = next((k for k in (IterDataPipe, MapDataPipe) if issubclass(cls, k)), None)
        if kind is None:
            raise TypeError("`functional_datapipe` can only decorate IterDataPipe and MapDataPipe")
        kind.register_datapipe_as_function(self.name, cls)
        return cls


class DataChunk(list):  # type: ignore[type-arg]
    """A batch."""

    def __init__(self, items: Any) -> None:
        items = list(items)
        super().__init__(items)
        self.items = items

    def as_str(self, indent: str = "") -> str:
        """As it is printed."""
        return f"{indent}[{', '.join(map(str, self))}]"

    def raw_iterator(self) -> Iterator[Any]:
        """The items."""
        yield from self.items
