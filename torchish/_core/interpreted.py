"""Running a recorded trace in numpy: node by node, or linked where its structure comes often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._basics import room
from .._basics.stats import stats
from .._interpret.price import saved_by_linking
from .._interpret.table import Array
from .graph import FLOATS, NodeError, Numbers, evaluate, last_uses, scalars, steps
from .kernels import Kernel


def run_trace(
    entries: Sequence[Any], live: Sequence[int], externals: list[Any], numbers: Numbers
) -> list[Array]:
    """The arrays of the slots `live`. `externals`: numpy or CPU arrays; the list is taken over."""
    nodes = steps(entries)
    arrays: list[Any] = [x if type(x) is np.ndarray else np.asarray(x) for x in externals]
    externals.clear()
    with np.errstate(all="ignore"):
        made = evaluate(nodes, _run, arrays, scalars(numbers).fetch, last_uses(nodes, live))
    stats.nodes_interpreted += len(nodes)
    return [_kept(made[s]) for s in live]


class LinkedTrace:
    """A structure whose plans are linked (`_interpret/linking.py`)."""

    def __init__(self, entries: Sequence[Any], live: Sequence[int], n_outside: int) -> None:
        from .._interpret.linking import Linker  # as the rules (`Kernel.plan`)

        nodes = steps(entries)
        # A number is an operand by slot and type: what is an int here may be a bool there.
        wanted = [
            (s, kind) for kernel, slots in nodes
            for s, kind in zip(slots, kernel.in_avals, strict=True) if s >= FLOATS
        ]  # fmt: skip
        self.numbers = list(dict.fromkeys(wanted))
        self.kernels = [kernel for kernel, _ in nodes]
        self.distinct = set(self.kernels)
        linker = Linker([*range(-1, -1 - n_outside, -1), *self.numbers])
        made = 0
        for (kernel, slots), dead in zip(nodes, last_uses(nodes, live), strict=True):
            outs = range(made, made + kernel.n_out)
            made += kernel.n_out
            if dead is None:
                linker.skip()
                continue
            ins = [
                s if s < FLOATS else (s, kind)
                for s, kind in zip(slots, kernel.in_avals, strict=True)
            ]
            linker.add(kernel.plan, ins, outs)
        self.linked = linker.linked(live)
        self.saved = saved_by_linking([kernel.plan for kernel in self.kernels], len(self))

    def __len__(self) -> int:
        return len(self.linked.steps)

    def run(self, externals: list[Any], numbers: Numbers) -> list[Array]:
        """As `run_trace`."""
        now, fetch = room.clock.now, scalars(numbers).fetch
        for kernel in self.distinct:
            kernel.used = now
        arrays = [x if type(x) is np.ndarray else np.asarray(x) for x in externals]
        externals.clear()
        arrays += [fetch(s, kind) for s, kind in self.numbers]
        with np.errstate(all="ignore"):
            made = self.linked.run(arrays, lambda k: NodeError(k, self.kernels[k]))
        stats.nodes_interpreted += len(self.kernels)
        return list(map(_kept, made))


def _run(position: int, kernel: Kernel, arrays: list[Any]) -> list[Any]:
    try:
        return kernel.plan.run(arrays)
    except Exception as error:
        raise NodeError(position, kernel) from error


def _kept(array: Any) -> Array:
    """A result as a Value may hold it: contiguous, and no view of much larger or foreign memory."""
    if type(array) is not np.ndarray:
        array = np.asarray(array)
    base = array.base
    if not array.flags.c_contiguous:
        return np.array(array, order="C")
    if base is None:
        return array  # type: ignore[no-any-return]
    if type(base) is not np.ndarray or base.base is not None or base.nbytes > 2 * array.nbytes:
        return np.array(array, order="C")
    return array  # type: ignore[no-any-return]
