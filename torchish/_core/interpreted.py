"""Running a recorded trace in numpy, node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._basics.stats import stats
from .._interpret.table import Array
from .kernels import Kernel
from .program import COMPLEXES, FLOATS, INTS, NodeError, Numbers, steps


def run_trace(
    entries: Sequence[Any],
    live: Sequence[int],
    externals: list[Any],
    numbers: Numbers,
    given: Sequence[int] = (),
) -> list[Array]:
    """The arrays of the slots `live`.

    `externals` are numpy or CPU arrays; those at the positions `given` are nobody else's, so that
    they may be overwritten. The list is taken over.
    """
    plan = steps(entries)
    dying = _last_uses(plan, live)
    env: list[Any] = []
    arrays: list[Any] = [x if type(x) is np.ndarray else np.asarray(x) for x in externals]
    externals.clear()
    scalars = _Scalars(numbers)
    mine = {-1 - e for e in given}
    with np.errstate(all="ignore"):
        for k, (kernel, slots) in enumerate(plan):
            dead = dying[k]
            if dead is None:  # nobody needs its results
                env.extend([None] * kernel.n_out)
                continue
            args = []
            for s, kind in zip(slots, kernel.in_avals, strict=True):
                if s < 0:
                    args.append(arrays[-1 - s])
                elif s < FLOATS:
                    args.append(env[s])
                else:
                    args.append(scalars.fetch(s, kind))
            for s in dead:
                if s >= 0:
                    env[s] = None
                elif s in mine:
                    arrays[-1 - s] = None
            try:
                env.extend(kernel.plan.run(args))
            except Exception as error:
                raise NodeError(k, kernel) from error
    stats.nodes_interpreted += len(plan)
    return [_kept(env[s]) for s in live]


class _Scalars:
    """The numbers of a trace as 0-d arrays."""

    def __init__(self, numbers: Numbers) -> None:
        floats, ints, comps = numbers
        self.floats = np.array(floats, np.float64)
        self.ints = np.array(ints, np.int64)
        self.complexes = np.array(comps, np.complex128)

    def fetch(self, slot: int, kind: Any) -> Array:
        if slot < INTS:
            return self.floats[slot - FLOATS, ...]
        if slot < COMPLEXES:
            number = self.ints[slot - INTS, ...]
            return np.asarray(number != 0) if kind is bool else number
        return self.complexes[slot - COMPLEXES, ...]


def _last_uses(
    plan: Sequence[tuple[Kernel, tuple[int, ...]]], live: Sequence[int]
) -> list[list[int] | None]:
    """For each node the slots that it is the last to use; None for a node that is not needed."""
    ends = sum(kernel.n_out for kernel, _ in plan)
    seen = set(live)
    found: list[list[int] | None] = [None] * len(plan)
    for k in range(len(plan) - 1, -1, -1):
        kernel, slots = plan[k]
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
