"""What a trace recorded, as data: kernels and the slots of their operands.

Entries are one flat list, `kernel, slot, slot, ...` for each node. A slot is an integer: 0, 1, ...
are results of nodes in order, -1, -2, ... are inputs from outside, and from FLOATS, INTS and
COMPLEXES on count the numbers of the trace, which are operands and no part of its structure
(`verify` of the tests checks all this).

`evaluate` is the one place that walks such a list: it serves the interpreter, single kernels,
whole programs while JAX traces them, and the mapped bodies of `vmap` and `shard_map`. (A linked
structure, `interpreted.py`, is made from the list once and does not walk it.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .kernels import Kernel

FLOATS, INTS, COMPLEXES = 1 << 40, 2 << 40, 3 << 40

Numbers = tuple[list[float], list[int], list[complex]]
Nodes = Sequence[tuple[Kernel, tuple[int, ...]]]
# For each node the slots that it is the last to use; None for a node that nobody needs.
LastUses = Sequence[Sequence[int] | None]


class NodeError(RuntimeError):
    """A node failed while it ran: its position, so that the trace can name the user's line."""

    def __init__(self, position: int, kernel: Kernel) -> None:
        super().__init__(position, kernel)
        self.position = position
        self.kernel = kernel


def steps(entries: Sequence[Any]) -> list[tuple[Kernel, tuple[int, ...]]]:
    """Split the flat record of a trace into (kernel, input slots)."""
    found = []
    position = 0
    while position < len(entries):
        kernel = entries[position]
        end = position + 1 + kernel.n_in
        found.append((kernel, tuple(entries[position + 1 : end])))
        position = end
    return found


class Scalars:
    """The numbers of a trace by slot, out of a vector for each type (numpy's or traced ones)."""

    __slots__ = ("complexes", "floats", "ints")

    def __init__(self, floats: Any, ints: Any, complexes: Any) -> None:
        self.floats = floats
        self.ints = ints
        self.complexes = complexes

    def fetch(self, slot: int, kind: Any) -> Any:
        """The number at `slot`, 0-d; `kind` is the Python type that the kernel was made for."""
        if slot < INTS:
            return self.floats[slot - FLOATS, ...]
        if slot < COMPLEXES:
            numbers = self.ints != 0 if kind is bool else self.ints
            return numbers[slot - INTS, ...]
        return self.complexes[slot - COMPLEXES, ...]


def scalars(numbers: Numbers) -> Scalars:
    """The numbers of a trace on the host."""
    floats, ints, complexes = numbers
    return Scalars(
        np.array(floats, np.float64), np.array(ints, np.int64), np.array(complexes, np.complex128)
    )


def evaluate(
    nodes: Nodes,
    run: Callable[[int, Kernel, list[Any]], Sequence[Any]],
    outside: list[Any],
    number: Callable[[int, Any], Any],
    last_uses: LastUses | None = None,
) -> list[Any]:
    """Run every node in order; returns the results by slot.

    Args:
        run: (position, kernel, arrays) -> results; it may keep the list.
        outside: the inputs; number: (slot, kind) -> a number.
        last_uses: what may be dropped after which node; unneeded nodes do not run then.
    """
    made: list[Any] = []
    for k, (kernel, slots) in enumerate(nodes):
        dead: Sequence[int] | None = () if last_uses is None else last_uses[k]
        if dead is None:
            made.extend([None] * kernel.n_out)
            continue
        arrays = []
        for s, kind in zip(slots, kernel.in_avals, strict=True):
            if s < 0:
                arrays.append(outside[-1 - s])
            elif s < FLOATS:
                arrays.append(made[s])
            else:
                arrays.append(number(s, kind))
        for s in dead:
            if s >= 0:
                made[s] = None
        made.extend(run(k, kernel, arrays))
    return made


def last_uses(nodes: Nodes, live: Sequence[int]) -> LastUses:
    """Which node uses which slot last, where only the slots `live` are wanted in the end."""
    ends = sum(kernel.n_out for kernel, _ in nodes)
    seen = set(live)
    found: list[list[int] | None] = [None] * len(nodes)
    for k in range(len(nodes) - 1, -1, -1):
        kernel, slots = nodes[k]
        starts = ends - kernel.n_out
        if kernel.n_out == 1:
            needed = starts in seen
        else:
            needed = any(s in seen for s in range(starts, ends))
        ends = starts
        if not needed:
            continue
        dead = []
        for s in slots:
            if s < FLOATS and s not in seen:
                seen.add(s)
                dead.append(s)
        found[k] = dead
    return found
