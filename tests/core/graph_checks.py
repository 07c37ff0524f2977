"""The rules of a recorded graph, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchish._core.graph import COMPLEXES, FLOATS, INTS
from torchish._core.kernels import Kernel


def verify(entries: Sequence[Any], inputs: int, numbers: tuple[int, int, int]) -> None:
    """Raise AssertionError where a record breaks the rules of `_core/graph.py`.

    Every kernel is followed by as many slots as it has operands; a slot is a result of an earlier
    node, one of the `inputs`, or one of the `numbers` (floats, ints, complexes), and numbers stand
    only where the kernel takes one.
    """
    made = position = 0
    starts = dict(zip((FLOATS, INTS, COMPLEXES), numbers, strict=True))
    while position < len(entries):
        kernel = entries[position]
        assert isinstance(kernel, Kernel), f"a kernel is expected at {position}, not {kernel!r}"
        slots = entries[position + 1 : position + 1 + kernel.n_in]
        assert len(slots) == kernel.n_in, f"{kernel.name} lacks operands"
        for slot, kind in zip(slots, kernel.in_avals, strict=True):
            assert type(slot) is int, f"{kernel.name} has {slot!r} for a slot"
            if slot < FLOATS:
                assert -inputs <= slot < made, f"{kernel.name} reads slot {slot} too early"
                assert not isinstance(kind, type), f"{kernel.name} takes a number, not {slot}"
            else:
                start = max(s for s in starts if s <= slot)
                assert slot - start < starts[start], f"{kernel.name} reads a number too many"
                assert isinstance(kind, type), f"{kernel.name} takes an array, not a number"
        made += kernel.n_out
        position += 1 + kernel.n_in
