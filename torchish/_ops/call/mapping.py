"""Operators over lists of tensors whose body treats each position alike.

The body is traced once for each distinct combination of shapes, not once for each position: the
update rule of a network with a hundred layers of ten shapes is ten traces, called a hundred times.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from .binding import Parameter


def each_position(body: Callable[..., Any], params: Sequence[Parameter]) -> Callable[..., Any]:
    """`body` applied to each position of its lists; results come list by list, as from `body`.

    Lists are of one length or empty. `body` returns one array a list, for lists of one element.
    """
    kinds = {p.name: p.kind for p in params}

    def mapped(**kwargs: Any) -> tuple[Any, ...]:
        lists = {k: v for k, v in kwargs.items() if kinds[k] == "tensors"}
        static = {k: v for k, v in kwargs.items() if kinds[k] == "static"}
        shared = {k: v for k, v in kwargs.items() if k not in lists and k not in static}
        one = _one(body, tuple(static.items()))
        count = max(map(len, lists.values()), default=0)
        results = [one({k: v[i : i + 1] for k, v in lists.items()}, shared) for i in range(count)]
        return tuple(array for column in zip(*results, strict=True) for array in column)

    return mapped


@functools.lru_cache(maxsize=256)
def _one(body: Callable[..., Any], static: tuple[tuple[str, Any], ...]) -> Any:
    return jax.jit(lambda lists, shared: body(**lists, **shared, **dict(static)))
