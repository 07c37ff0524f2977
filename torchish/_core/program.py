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
from .graph import NodeError, Nodes, Numbers, Scalars, evaluate, last_uses, scalars, steps
from .kernels import Kernel
from .values import Aval

# What changes a program for the CPU once it is lowered, before XLA compiles it.
rewrites: list[Callable[[Any], None]] = []
# What finds inputs of a program for the CPU that are made ready before its calls. Of its nodes it
# gives None or what has `structs` (the shapes of more operands), `run` (how nodes are called, given
# these operands) and `bind` (the program as it is called, of the compiled one and its place).
preparations: list[Callable[[Nodes], Any]] = []


def compile_program(
    nodes: Nodes, live: Sequence[int], shardings: Any = None, prepared: Any = None
) -> Callable[..., list[Any]]:
    """Lower a trace to a jitted function of (inputs, numbers).

    `shardings`, one a live output, are given for a program over several devices.
    """

    def program(outside: list[Any], floats: Any, ints: Any, comps: Any, *more: Any) -> list[Any]:
        run = prepared.run(*more) if more else _call
        made = evaluate(nodes, run, outside, Scalars(floats, ints, comps).fetch)
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
    nodes, prepared = steps(entries), None
    if jdev.platform == "cpu":
        prepared = next(filter(None, (find(nodes) for find in preparations)), None)
    more = () if prepared is None else (prepared.structs(place),)
    jitted = compile_program(nodes, live, prepared=prepared)
    with tracing:
        lowered = jitted.lower(inputs, *numbers, *more)  # type: ignore[attr-defined]
        if jdev.platform == "cpu":
            for rewrite in rewrites:
                rewrite(lowered)
    compiled = lowered.compile()
    return compiled if prepared is None else prepared.bind(compiled, place)  # type: ignore[no-any-return]


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
    kinds = zip(numbers, (np.float64, np.int64, np.complex128), strict=True)
    return [np.array(some, kind) if some else None for some, kind in kinds]


def call_program(
    program: Callable[..., list[Any]], externals: list[Any], numbers: Numbers
) -> list[Any]:
    """Run a compiled program on the external arrays of its trace."""
    stats.programs_run += 1
    return program(externals, *pack(numbers))
