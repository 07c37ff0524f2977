"""Linking: the plans of a whole trace as one list of steps on one list of arrays.

Running node by node costs some 4 microseconds a node beside numpy's own: operands are gathered,
what dies is worked out, plans are called. All of it is the same at every run of a structure, so a
structure that comes again is linked once. What is then computed twice (a gradient computes parts of
its operator's result once more) is computed once, and kept until its last use. The functions are
the same, so the bits are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import length_hint
from typing import Any, NamedTuple

import numpy as np

from .plan import DROP, NARY, SEVERAL, UNARY, UPDATE, Plan, execute
from .recipe import Equation

# Arrays of so many bytes may wait before they are let go: a step for each would cost more.
WAITING_BYTES = 1 << 18
SHARED_BYTES = 64  # of a constant that is looked for among those of other plans


class Linked:
    """Plans one after the other, ready to run; `Linker` makes it."""

    __slots__ = ("ends", "outs", "rest", "steps")

    def __init__(self, steps: list[Any], ends: list[int], rest: list[Any], outs: list[int]) -> None:
        self.steps = steps
        self.ends = ends  # of the steps of each plan
        self.rest = rest
        self.outs = outs

    def run(self, args: list[Any], failed: Callable[[int], Exception]) -> list[Any]:
        """Results for the arrays `args`; the list is taken over (emptied).

        `failed`: what is raised when a step of the plan that was added as number k fails.
        """
        env = args + self.rest
        args.clear()
        steps = iter(self.steps)
        try:
            execute(steps, env)
        except Exception as error:
            at = len(self.steps) - length_hint(steps) - 1
            raise failed(bisect_right(self.ends, at)) from error
        return [env[k] for k in self.outs]


class _Step(NamedTuple):
    """A step on places: each is filled once."""

    kind: int
    function: Any
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    size: int  # bytes of its results


class Linker:
    """Joins plans: first all steps on places of their own, then what may be let go when."""

    def __init__(self, given: Iterable[Hashable]) -> None:
        self.at = {name: k for k, name in enumerate(given)}
        self.n_given = len(self.at)
        self.rest: list[Any] = []
        self.steps: list[_Step] = []
        self.ends: list[int] = []
        self.constants: dict[Any, int] = {}
        self.known: dict[Any, tuple[int, ...]] = {}

    def add(self, plan: Plan, ins: Sequence[Hashable], outs: Sequence[Hashable]) -> None:
        """Run `plan` next, on the arrays named `ins`; its results get the names `outs`."""
        places = [self.at[name] for name in ins]
        places += [-1 if x is None else self._constant(x) for x in plan.rest]
        for step, equation in zip(plan.steps, plan.equations, strict=True):
            self._add_step(step, equation, places)
        for name, k in zip(outs, plan.outs, strict=True):
            self.at[name] = places[k]
        self.ends.append(len(self.steps))

    def skip(self) -> None:
        """Count a plan that need not run."""
        self.ends.append(len(self.steps))

    def _constant(self, x: Any) -> int:
        key = (x.dtype, x.shape, x.tobytes()) if x.nbytes <= SHARED_BYTES else id(x)
        place = self.constants.get(key)
        if place is None:
            place = self.constants[key] = self._place(x)
        return place

    def _place(self, x: Any = None) -> int:
        self.rest.append(x)
        return self.n_given + len(self.rest) - 1

    def _add_step(self, step: Any, equation: Equation | None, places: list[int]) -> None:
        kind, function, ins, out = step
        slots = (ins,) if kind == UNARY else ins[1:] if kind == UPDATE else ins
        at = tuple(places[k] for k in slots)
        outs = tuple(out) if kind == SEVERAL else (out,)
        key = None if equation is None else equation.key
        found = None if key is None else self.known.get((key, at))
        if found is None:
            found = tuple(self._place() for _ in outs)
            size = 0 if equation is None else equation.size
            self.steps.append(_Step(kind, function, at, found, size))
            if key is not None:
                self.known[key, at] = found
        for slot, place in zip(outs, found, strict=True):
            places[slot] = place

    def linked(self, outs: Sequence[Hashable]) -> Linked:
        """What runs them all and gives the arrays `outs`."""
        wanted = [self.at[name] for name in outs]
        made, begins = [], [0]
        waiting: list[int] = []
        size = 0
        for step, dying in zip(self.steps, self._dying(wanted), strict=True):
            # An update may write into what nothing else uses: neither a step nor a view of it.
            in_place = (
                step.kind == UPDATE and step.ins[0] in dying and step.ins.count(step.ins[0]) == 1
            )
            if waiting and (in_place or size > WAITING_BYTES):
                made.append((DROP, None, tuple(waiting), None))
                waiting, size = [], 0
            made.append(_ready(step, in_place))
            begins.append(len(made))
            waiting += dying
            size += step.size
        return Linked(made, [begins[end] for end in self.ends], self.rest, wanted)

    def _dying(self, wanted: Sequence[int]) -> list[list[int]]:
        """For each step the places that nothing uses after it."""
        seen = {*wanted, *range(self.n_given), *self.constants.values()}
        found = []
        for step in reversed(self.steps):
            dying = [k for k in dict.fromkeys((*step.ins, *step.outs)) if k not in seen]
            seen.update(dying)
            found.append(dying)
        found.reverse()
        return found


def _ready(step: _Step, in_place: bool) -> tuple[Any, ...]:
    """A step as `execute` takes it."""
    kind, function, ins, outs, _ = step
    if kind == SEVERAL:
        return kind, function, ins, outs
    if kind == UNARY:
        return kind, function, ins[0], outs[0]
    if kind != UPDATE:
        return kind, function, ins, outs[0]
    return (
        (UPDATE, function, ((), *ins), outs[0])
        if in_place
        else (NARY, _on_copy(function), ins, outs[0])
    )


def _on_copy(function: Any) -> Any:
    return lambda x, *rest: function(np.array(x, order="C"), *rest)
