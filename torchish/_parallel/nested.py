"""Tensors in tuples, lists and dicts: what parallel calls take and give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .._autograd.interop import is_host
from .._autograd.tensor_base import TensorBase, from_value
from .._basics.devices import device
from .._core.values import Value


def map_tensors(fn: Callable[[Any], Any], tree: Any) -> Any:
    """The nested structure with `fn` applied to its tensors, in order."""
    if isinstance(tree, TensorBase):
        return fn(tree)
    return _rebuilt(tree, lambda item: map_tensors(fn, item))


def tensors_of(tree: Any) -> list[Any]:
    """The tensors of a nested structure, in order, each as often as it occurs."""
    found: list[Any] = []
    map_tensors(found.append, tree)
    return found


def replaced(tree: Any, tensors: list[Any]) -> Any:
    """The structure with other tensors in the places of its own, in order."""
    stream = iter(tensors)
    return map_tensors(lambda _: next(stream), tree)


class _Place:
    """Marks where a tensor was."""


def outline(tree: Any) -> Any:
    """The structure without its tensors; see `filled`."""
    return map_tensors(lambda _: _Place, tree)


def filled(tree: Any, tensors: Iterator[Any]) -> Any:
    """An outline with tensors in its places, in order."""
    return next(tensors) if tree is _Place else _rebuilt(tree, lambda item: filled(item, tensors))


def _rebuilt(tree: Any, part: Callable[[Any], Any]) -> Any:
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(part, tree))
    if isinstance(tree, tuple | list) and tree:
        return type(tree)(map(part, tree))
    if isinstance(tree, dict) and tree:
        return type(tree)((key, part(item)) for key, item in tree.items())
    return tree


def at_home(tensor: Any, home: device) -> Any:
    """The tensor on the first device; host data is not sent there whole before it is cut."""
    on_host = tensor._storage.device.type == "cpu" and is_host(tensor)
    if on_host and not tensor.requires_grad:
        value = tensor._value()
        return from_value(Value(value.host(), value.aval, home))
    return tensor.to(home)
