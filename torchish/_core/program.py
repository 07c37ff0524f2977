"""Programs: traces lowered to one XLA executable each, and the cache that finds them again.

Invariant: a program depends only on its key (kernels, wiring, avals, which outputs are live, which
inputs are donated, device), never on the values that flow through it.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from .._basics.forking import tracing
from .._basics.stats import stats
from .._basics.wide import widened
from .kernels import Kernel
from .values import Aval

# Slots: 0.. are outputs of nodes, -1.. are external inputs, the rest are numbers by type.
FLOATS, INTS, COMPLEXES = 1 << 40, 2 << 40, 3 << 40
_CAPACITY = 1024
_CODE_BYTES = 256 << 20

Numbers = tuple[list[float], list[int], list[complex]]


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


def compile_program(
    entries: Sequence[Any], live: Sequence[int], donated: Sequence[int], shardings: Any = None
) -> Callable[..., list[Any]]:
    """Lower a trace to a jitted function of (kept inputs, donated inputs, numbers).

    `shardings`, one a live output, are given for a program over several devices.
    """
    plan = steps(entries)
    donated_at = {e: k for k, e in enumerate(donated)}

    def program(kept: list[Any], given: list[Any], floats: Any, ints: Any, comps: Any) -> list[Any]:
        env: list[Any] = []
        kept_at: dict[int, int] = {}
        position = 0
        for e in range(len(kept) + len(given)):
            if e not in donated_at:
                kept_at[e] = position
                position += 1

        def fetch(slot: int, kind: Any) -> Any:
            if slot < 0:
                e = -1 - slot
                return given[donated_at[e]] if e in donated_at else kept[kept_at[e]]
            if slot < FLOATS:
                return env[slot]
            if slot < INTS:
                return floats[slot - FLOATS]
            if slot < COMPLEXES:
                number = ints[slot - INTS]
                return number != 0 if kind is bool else number
            return comps[slot - COMPLEXES]

        for kernel, slots in plan:
            args = [fetch(s, k) for s, k in zip(slots, kernel.in_avals, strict=True)]
            env.extend(kernel.call(*args))
        return [env[slot] for slot in live]

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
        return lowered.compile()  # type: ignore[no-any-return]


def pack(numbers: Numbers) -> list[Any]:
    """The numbers of a trace as (at most) three vectors: few arguments to pass, none in the key."""
    floats, ints, comps = numbers
    return [
        np.array(floats, np.float64) if floats else None,
        np.array(ints, np.int64) if ints else None,
        np.array(comps, np.complex128) if comps else None,
    ]


def run_nodes(
    entries: Sequence[Any], live: Sequence[int], externals: list[Any], numbers: Numbers
) -> list[Any]:
    """Run a trace node by node from the per-kernel cache, dropping what is no longer needed."""
    plan = steps(entries)
    wanted = set(live)
    last_use: dict[int, int] = {}
    for k, (_, slots) in enumerate(plan):
        for slot in slots:
            if 0 <= slot < FLOATS:
                last_use[slot] = k
    floats, ints, comps = numbers
    env: dict[int, Any] = {}

    def fetch(slot: int, kind: Any) -> Any:
        if slot < 0:
            return externals[-1 - slot]
        if slot < FLOATS:
            return env[slot]
        if slot < INTS:
            return np.float64(floats[slot - FLOATS])
        if slot < COMPLEXES:
            number = ints[slot - INTS]
            return np.bool_(number) if kind is bool else np.int64(number)
        return np.complex128(comps[slot - COMPLEXES])

    counter = 0
    for k, (kernel, slots) in enumerate(plan):
        numbered = range(counter, counter + kernel.n_out)
        counter += kernel.n_out
        if not any(s in wanted or s in last_use for s in numbered):
            continue
        try:
            if kernel.is_jitted:
                outs = kernel.jitted(*map(fetch, slots, kernel.in_avals))
            else:
                with tracing:
                    outs = kernel.jitted(*map(fetch, slots, kernel.in_avals))
        except Exception as error:
            raise NodeError(k, kernel) from error
        stats.kernels_run += 1
        for s, out in zip(numbered, outs, strict=True):
            if s in wanted or s in last_use:
                env[s] = out
        for s in slots:
            if 0 <= s < FLOATS and last_use[s] == k and s not in wanted:
                env.pop(s, None)
    return [env[slot] for slot in live]


class NodeError(RuntimeError):
    """A node failed while it ran; carries its position so that the trace can name the "
    "user's line."""

    def __init__(self, position: int, kernel: Kernel) -> None:
        super().__init__(position, kernel)
        self.position = position
        self.kernel = kernel


class ProgramCache:
    """Compiled programs by structure; the least recently used make room.

    Bounded in number and in bytes of machine code: executables hold memory that grows with the
    length of a trace, tens of megabytes for a large training step.
    """

    def __init__(self, capacity: int = _CAPACITY, limit: int = _CODE_BYTES) -> None:
        self.capacity = capacity
        self.limit = limit
        self.bytes = 0
        self.programs: OrderedDict[Any, tuple[Callable[..., list[Any]], int]] = OrderedDict()

    def find(self, key: Any) -> Callable[..., list[Any]] | None:
        """The program of this structure, if it was compiled before."""
        found = self.programs.get(key)
        if found is None:
            return None
        self.programs.move_to_end(key)
        return found[0]

    def add(self, key: Any, program: Callable[..., list[Any]]) -> None:
        """Keep a program; one that is larger than the limit is kept alone."""
        size = _code_bytes(program)
        self.programs[key] = program, size
        self.bytes += size
        while len(self.programs) > 1 and (
            len(self.programs) > self.capacity or self.bytes > self.limit
        ):
            self.bytes -= self.programs.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Drop every program."""
        self.programs.clear()
        self.bytes = 0


def _code_bytes(program: Any) -> int:
    """Bytes of an executable's machine code; 0 for what XLA has not compiled yet."""
    executable = getattr(program, "runtime_executable", None)
    return 0 if executable is None else len(executable().serialize())


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
    with warnings.catch_warnings():
        # XLA declines a donation now and then (layouts); the program is right without it.
        warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
        return program(kept, given, *packed)
