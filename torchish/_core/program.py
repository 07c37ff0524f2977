"""Programs: traces lowered to one XLA executable each.

Invariant: a program depends only on its key (`cache.py`), never on the values that flow through it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from .._basics.forking import tracing
from .._basics.stats import stats
from .._basics.wide import widened
from .graph import NodeError, Numbers, Scalars, evaluate, last_uses, scalars, steps
from .kernels import Kernel
from .values import Aval

# What changes a program for the CPU once it is lowered, before XLA compiles it.
rewrites: list[Callable[[Any], None]] = []


def compile_program(
    entries: Sequence[Any], live: Sequence[int], shardings: Any = None
) -> Callable[..., list[Any]]:
    """Lower a trace to a jitted function of (inputs, numbers).

    `shardings`, one a live output, are given for a program over several devices.
    """
    nodes = steps(entries)

    def program(outside: list[Any], floats: Any, ints: Any, comps: Any) -> list[Any]:
        made = evaluate(nodes, _call, outside, Scalars(floats, ints, comps).fetch)
        return [made[slot] for slot in live]

    stats.programs_compiled += 1
    with tracing:
        if shardings is None:
            return jax.jit(program)
        return jax.jit(program, out_shardings=list(shardings))


@widened
def compile_ahead(
    entries: Sequence[Any], live: Sequence[int], in_avals: Sequence[Aval],
    counts: tuple[int, int, int], jdev: Any,
) -> Callable[..., list[Any]]:  # fmt: skip
    """The executable of a trace, compiled now, from the avals of its inputs on `jdev`."""
    place = jax.sharding.SingleDeviceSharding(jdev)

    def struct(shape: Sequence[int], dtype: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(tuple(shape), dtype, sharding=place)

    inputs = [struct(a.shape, a.dtype.np) for a in in_avals]
    numbers = [
        struct((n,), dtype) if n else None
        for n, dtype in zip(counts, (np.float64, np.int64, np.complex128), strict=True)
    ]
    jitted = compile_program(entries, live)
    with tracing:
        lowered = jitted.lower(inputs, *numbers)  # type: ignore[attr-defined]
        if jdev.platform == "cpu":
            for rewrite in rewrites:
                rewrite(lowered)
    return lowered.compile()  # type: ignore[no-any-return]


def _call(position: int, kernel: Kernel, arrays: list[Any]) -> Sequence[Any]:
    return kernel.call(*arrays)


def run_nodes(
    entries: Sequence[Any], live: Sequence[int], externals: list[Any], numbers: Numbers
) -> list[Any]:
    """Run a trace node by node from the per-kernel cache, dropping what is no longer needed."""

    def run(position: int, kernel: Kernel, arrays: list[Any]) -> Sequence[Any]:
        try:
            with contextlib.nullcontext() if kernel.is_jitted else tracing:
                outs: Sequence[Any] = kernel.jitted(*arrays)
        except Exception as error:
            raise NodeError(position, kernel) from error
        stats.kernels_run += 1
        return outs

    nodes = steps(entries)
    made = evaluate(nodes, run, externals, scalars(numbers).fetch, last_uses(nodes, live))
    return [made[slot] for slot in live]


def pack(numbers: Numbers) -> list[Any]:
    """The numbers as a program takes them: at most three vectors, few arguments to pass."""
    x = scalars(numbers)
    return [v if v.size else None for v in (x.floats, x.ints, x.complexes)]


def call_program(
    program: Callable[..., list[Any]], externals: list[Any], numbers: Numbers
) -> list[Any]:
    """Run a compiled program on the external arrays of its trace."""
    stats.programs_run += 1
    return program(externals, *pack(numbers))
