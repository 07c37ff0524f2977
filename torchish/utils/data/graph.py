"""Which data pipes a pipe is made of: found in the attributes of each, and in their collections."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from .datapipes.datapipe import IterDataPipe, MapDataPipe

__all__ = ["traverse", "traverse_dps"]

DataPipe = IterDataPipe | MapDataPipe
DataPipeGraph = dict[int, tuple[DataPipe, Any]]


def traverse_dps(datapipe: DataPipe) -> DataPipeGraph:
    """`{id: (pipe, the same of the pipes that it reads)}`.

    Raises: RuntimeError for anything but a pipe.
    """
    return _graph(datapipe, frozenset())


def traverse(datapipe: DataPipe, only_datapipe: bool | None = None) -> DataPipeGraph:
    """The old name of `traverse_dps`; warns.

    Args:
        only_datapipe: whether other objects' attributes are left out; they always are.
    """
    del only_datapipe
    warnings.warn(
        "`traverse` function is deprecated and will be removed after 1.13. "
        "Please use `traverse_dps` instead.",
        FutureWarning,
        stacklevel=2,
    )
    return traverse_dps(datapipe)


def _graph(datapipe: Any, path: frozenset[int]) -> DataPipeGraph:
    if not isinstance(datapipe, IterDataPipe | MapDataPipe):
        raise RuntimeError(
            f"Expected `IterDataPipe` or `MapDataPipe`, but {type(datapipe)} is found"
        )
    if id(datapipe) in path:
        return {}  # pipes that hold each other
    path |= {id(datapipe)}
    inner: DataPipeGraph = {}
    for value in vars(datapipe).values():
        for pipe in _pipes_in(value):
            if id(pipe) not in inner:
                inner.update(_graph(pipe, path))
    return {id(datapipe): (datapipe, inner)}


def _pipes_in(value: Any) -> Iterator[DataPipe]:
    """The pipes that an attribute is or holds."""
    if isinstance(value, IterDataPipe | MapDataPipe):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _pipes_in(pair)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _pipes_in(item)
