"""Functions of one score or one place, over whole matrices of scores.

A user's function sees scalars (`score, b, h, q_idx, kv_idx`); `vmap` gives it every one of them at
once. Indices are mapped one dim each, so what depends on positions alone is computed once for all
batches and heads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from ..._basics.state import state
from ..._ops.registry import ops


class _ModificationType(Enum):
    """What a user's function is, by how many arguments it takes."""

    SCORE_MOD = 1
    MASK_MOD = 2
    UNKNOWN = 3


def _get_mod_type(fn: Callable[..., Any]) -> _ModificationType:
    """Five arguments without defaults: of a score; four: of a mask.

    Raises: AssertionError for another number.
    """
    code = getattr(fn, "__code__", None)
    if code is not None:
        count = code.co_argcount - len(getattr(fn, "__defaults__", None) or ())
    else:
        empty = inspect.Parameter.empty
        count = sum(p.default is empty for p in inspect.signature(fn).parameters.values())
    if count not in (4, 5):
        raise AssertionError(f"Expected 4 or 5 positional args, got {count}")
    return _ModificationType.SCORE_MOD if count == 5 else _ModificationType.MASK_MOD


def over_places(fn: Callable[..., Any], scores: Any, *sizes: int, device: Any = None) -> Any:
    """`fn` at every place of (batch, heads, queries, keys); `scores` is None for a mask."""
    from ...func import vmap

    lead = () if scores is None else (0,)
    for dim in (3, 2, 1, 0):
        places = tuple(0 if k == dim else None for k in range(4))
        fn = vmap(fn, in_dims=lead + places)
    given = [ops.arange(0, size, device=device) for size in sizes]
    with _indexing_by_tensors():
        return fn(*given) if scores is None else fn(scores, *given)


@contextmanager
def _indexing_by_tensors() -> Iterator[None]:
    """`table[h, q_idx]` looks up the place of each score, although one score's index is 0-dim."""
    before, state.index_by_tensors = state.index_by_tensors, True
    try:
        yield
    finally:
        state.index_by_tensors = before
