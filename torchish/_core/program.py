"""Programs: traces lowered to one XLA executable each, and the cache that finds them again.

Invariant: a program depends only on its key (kernels, wiring, avals, which outputs are live, which
inputs are donated, device), never on the values that flow through it.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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

_CAPACITY = 1024
_CODE_BYTES = 256 << 20


def compile_program(
    entries: Sequence[Any], live: Sequence[int], donated: Sequence[int], shardings: Any = None
) -> Callable[..., list[Any]]:
    """Lower a trace to a jitted function of (kept inputs, donated inputs, numbers).

    `shardings`, one a live output, are given for a program over several devices.
    """
    nodes = steps(entries)

    def program(kept: list[Any], given: list[Any], floats: Any, ints: Any, comps: Any) -> list[Any]:
        outside = list(kept)
        for e, x in sorted(zip(donated, given, strict=True)):
            outside.insert(e, x)
        made = evaluate(nodes, _call, outside, Scalars(floats, ints, comps).fetch)
        return [made[slot] for slot in live]

    stats.programs_compiled += 1
    donate = (1,) if donated else ()
    with tracing:
        if shardings is None:
            return jax.jit(program, donate_argnums=donate)
        return jax.jit(program, donate_argnums=donate, out_shardings=list(shardings))


@widened
def compile_ahead(
    entries: Sequence[Any], live: Sequence[int], donated: Sequence[int], in_avals: Sequence[Aval],
    counts: tuple[int, int, int], jdev: Any,
) -> Callable[..., list[Any]]:  # fmt: skip
    """The executable of a trace, compiled now, from the avals of its inputs on `jdev`."""
    gone = set(donated)
    place = jax.sharding.SingleDeviceSharding(jdev)

    def struct(shape: Sequence[int], dtype: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(tuple(shape), dtype, sharding=place)

    kept = [struct(a.shape, a.dtype.np) for e, a in enumerate(in_avals) if e not in gone]
    given = [struct(in_avals[e].shape, in_avals[e].dtype.np) for e in donated]
    numbers = [
        struct((n,), dtype) if n else None
        for n, dtype in zip(counts, (np.float64, np.int64, np.complex128), strict=True)
    ]
    jitted = compile_program(entries, live, donated)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
        with tracing:
            lowered = jitted.lower(kept, given, *numbers)  # type: ignore[attr-defined]
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


@dataclass
class Cached:
    """A program in the cache: its bytes, which policies (threads) run it, what is known of it.

    Whoever holds on to one asks `is_kept` before running it.
    """

    program: Callable[..., list[Any]]
    size: int
    structure: Any = None
    owners: set[int] = field(default_factory=set)
    is_kept: bool = True


class ProgramCache:
    """Compiled programs by structure; the least recently used make room.

    Bounded in number and in bytes of machine code: executables hold memory that grows with the
    length of a trace, tens of megabytes for a large training step.
    """

    def __init__(self, capacity: int = _CAPACITY, limit: int = _CODE_BYTES) -> None:
        self.capacity = capacity
        self.limit = limit
        self.bytes = 0
        self.programs: OrderedDict[Any, Cached] = OrderedDict()

    def entry(self, key: Any) -> Cached | None:
        """What is kept for this structure, if it was compiled before."""
        found = self.programs.get(key)
        if found is not None:
            self.programs.move_to_end(key)
        return found

    def find(self, key: Any) -> Callable[..., list[Any]] | None:
        """The program of this structure, if it was compiled before."""
        found = self.entry(key)
        return None if found is None else found.program

    def add(self, key: Any, program: Callable[..., list[Any]], structure: Any = None) -> Cached:
        """Keep a program; one that is larger than the limit is kept alone."""
        old = self.programs.pop(key, None)
        if old is not None:
            self._drop(old)
        made = self.programs[key] = Cached(program, _code_bytes(program), structure)
        self.bytes += made.size
        while len(self.programs) > 1 and (
            len(self.programs) > self.capacity or self.bytes > self.limit
        ):
            self._drop(self.programs.popitem(last=False)[1])
        return made

    def _drop(self, old: Cached) -> None:
        old.is_kept = False
        self.bytes -= old.size

    def clear(self) -> None:
        """Drop every program."""
        for old in self.programs.values():
            old.is_kept = False
        self.programs.clear()
        self.bytes = 0


def _code_bytes(program: Any) -> int:
    """Bytes of an executable's machine code; 0 for what XLA has not compiled yet."""
    executable = getattr(program, "runtime_executable", None)
    return 0 if executable is None else len(executable().serialize())


def pack(numbers: Numbers) -> list[Any]:
    """The numbers as a program takes them: at most three vectors, few arguments to pass."""
    x = scalars(numbers)
    return [v if v.size else None for v in (x.floats, x.ints, x.complexes)]


def call_program(
    program: Callable[..., list[Any]],
    externals: list[Any],
    donated: Sequence[int],
    numbers: Numbers,
) -> list[Any]:
    """Run a compiled program on the external arrays of its trace."""
    stats.programs_run += 1
    packed = pack(numbers)
    if not donated:
        return program(externals, [], *packed)
    gone = set(donated)
    given = [externals[e] for e in donated]
    kept = [x for e, x in enumerate(externals) if e not in gone]
    externals.clear()
    if isinstance(program, jax.stages.Compiled):  # what XLA declines it says when it compiles
        return program(kept, given, *packed)  # type: ignore[no-any-return]
    with warnings.catch_warnings():
        # XLA declines a donation now and then (layouts); the program is right without it.
        warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
        return program(kept, given, *packed)
