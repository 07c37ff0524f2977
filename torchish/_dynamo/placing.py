"""Where a replay finds what a call takes, and puts what it makes.

A place is a tuple: ("arg", which leaf of the arguments), ("held", storage), ("grad", tensor) for
the memory of a gradient that is there, ("newgrad", tensor, strides) for one that is made,
("nograd", tensor), ("draw", which draw), ("count", storage, step, dtype) for a number that Python
counts up, ("slot", slot) for a result, ("constant", value).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._autograd.nodes import FREED, Node, Var, node_class
from .._autograd.tensor_base import from_value
from .._core.values import Value, host_value

Place = tuple[Any, ...]


class SpentNode(Node):
    """The history of a replayed result, whose graph was used up inside the call."""

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Refuse, as a graph that was freed."""
        raise RuntimeError(FREED)


def find(place: Place, leaves: Sequence[Any], draws: Sequence[Value]) -> Value:
    """The value at a place."""
    kind, what = place[0], place[1]
    if kind in ("arg", "held", "grad"):
        return storage_at(place, leaves).value  # type: ignore[no-any-return]
    if kind == "draw":
        return draws[what]
    if kind == "count":
        return host_value(add_up(what._value.array, place[2], place[3]))
    return what  # type: ignore[no-any-return]


def storage_at(place: Place, leaves: Sequence[Any]) -> Any:
    """The storage of a place that is one."""
    kind, what = place[0], place[1]
    if kind == "arg":
        return leaves[what]._storage
    return what._grad._storage if kind == "grad" else what


def drawn(draw: tuple[Callable[[], Any], Any]) -> Value:
    """Random numbers, drawn again."""
    return host_value(draw[0]())


def add_up(old: Any, step: float, dtype: Any) -> Any:
    """A number that grows evenly, as a 0-dim array."""
    return np.asarray(old + step, dtype)


def mark(storage: Any, count: int) -> None:
    """Note that a storage has been written to, `count` times by torch's reckoning."""
    storage.writes += 1
    bump(storage, count)


def bump(storage: Any, count: int) -> None:
    """Raise a storage's version."""
    if storage.counter is None:
        storage.version += count
    else:
        storage.counter.version += count


def put_gradient(place: Place, value: Value | None) -> None:
    """Give a tensor a gradient of its own, or none."""
    place[1]._grad = None if value is None else from_value(value, place[2])


def result(made: Place, value_of: Callable[[int], Value], leaves: Sequence[Any]) -> Any:
    """A leaf of the call's result."""
    kind, what = made[0], made[1]
    if kind == "arg":
        return leaves[what]
    if kind != "new":
        return what
    tensor = from_value(value_of(what), made[2])
    if made[3] is not None:
        tensor._grad_fn = node_class(made[3], SpentNode)((), (tensor._aval,))
    return tensor


def quoting(error: Callable[..., Exception], values: list[Value]) -> Exception:
    """The error of a check, with the numbers that it quotes."""
    return error(*[v.host() for v in values])
