"""Nested samples as flat lists, and back.

Order is that of the containers (dictionaries as they were filled); anything that is not one of
Python's containers is a leaf.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

Rebuild = Callable[[Iterator[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """Leaves, and a function that puts as many others in their places."""
    leaves: list[Any] = []
    return leaves, _visit(tree, leaves)


def _visit(tree: Any, leaves: list[Any]) -> Rebuild:
    kind: Any = type(tree)
    if kind in (dict, OrderedDict, defaultdict):
        keys = list(tree)
        parts = [_visit(tree[key], leaves) for key in keys]

        def mapping(values: Iterator[Any]) -> Any:
            items = [(key, part(values)) for key, part in zip(keys, parts, strict=True)]
            return kind(tree.default_factory, items) if kind is defaultdict else kind(items)

        return mapping
    named = isinstance(tree, tuple) and hasattr(tree, "_fields")
    if kind in (list, tuple, deque) or named:
        parts = [_visit(item, leaves) for item in tree]

        def sequence(values: Iterator[Any]) -> Any:
            items = [part(values) for part in parts]
            if named:
                return kind(*items)
            return deque(items, tree.maxlen) if kind is deque else kind(items)

        return sequence
    leaves.append(tree)
    return next


def unflatten(leaves: list[Any], rebuild: Rebuild) -> Any:
    """The sample that `flatten` took apart, with other leaves."""
    return rebuild(iter(leaves))
