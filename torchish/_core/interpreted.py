"""Running a recorded trace in numpy, node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._basics.stats import stats
from .._interpret.table import Array
from .graph import NodeError, Numbers, evaluate, last_uses, scalars, steps
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
