"""Plans: a recipe linked to numpy functions, made once and run many times.

Invariant: arrays are never written to, with one exception: an update (`dynamic_update_slice`,
`scatter`) whose operand dies there, and which nothing else refers to, happens in place.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from .costs import CALL, COMPILE_EQUATION
from .fallback import jitted, jitted_jaxpr
from .indexing import scatter_in_place
from .recipe import Equation, Recipe, TypedKey
from .shapes import update_slice
from .table import Run

# How a step calls its function: by the number of its arguments, or several results, or in place.
# DROP calls none: it lets arrays go.
UNARY, BINARY, NARY, SEVERAL, UPDATE, DROP = range(6)


class Plan:
    """A closed jaxpr, or its recipe, ready to run on numpy arrays."""

    # `cost` is what a run takes, `price` what XLA takes to compile it (seconds, by the model).
    # `recipe` is what the plan was made from where that is all there is to it, else None.
    # `equations` says what each step computes; None for what only XLA knows.
    __slots__ = ("cost", "equations", "n_in", "outs", "price", "recipe", "rest", "single", "steps")

    def __init__(self, source: Any) -> None:
        self.recipe: Recipe | None = None
        try:
            recipe = source if isinstance(source, Recipe) else Recipe(source)
        except TypedKey:
            self._whole(source)
            return
        self.recipe = recipe
        self.n_in, self.outs = recipe.n_in, recipe.outs
        self.cost, self.price = recipe.cost, recipe.price
        functions: dict[int, Any] = {}
        for eqn, *_ in recipe.steps:
            if id(eqn) not in functions:
                functions[id(eqn)] = self._function(eqn)
        bare = {id(eqn): eqn._replace(bind=None) for eqn, *_ in recipe.steps}
        self.equations: list[Equation | None] = [bare[id(eqn)] for eqn, *_ in recipe.steps]
        self.steps = [_step(functions[id(step[0])], *step) for step in recipe.steps]
        filled = self.n_in + len(recipe.constants)
        self.rest: list[Any] = [*recipe.constants, *[None] * (recipe.n_slots - filled)]
        self.single = self._single()

    def _whole(self, closed: Any) -> None:
        """One step that XLA runs: draws of devices other than the CPU (simulated ones)."""
        self.n_in, count = len(closed.jaxpr.invars), len(closed.jaxpr.outvars)
        self.outs = list(range(self.n_in, self.n_in + count))
        self.steps = [(SEVERAL, jitted_jaxpr(closed), tuple(range(self.n_in)), self.outs)]
        self.rest, self.equations = [None] * count, [None]
        self.cost, self.price = CALL, COMPILE_EQUATION * len(closed.jaxpr.eqns)
        self.single = None

    def _function(self, eqn: Equation) -> Any:
        function = eqn.function()
        if function is None:
            function = jitted(eqn)
            self.recipe = None
        return function

    def _single(self) -> Any:
        """The function of a plan that is one call on its inputs in order, else None."""
        if len(self.steps) != 1 or self.outs != [self.steps[0][3]]:
            return None
        kind, function, ins, _ = self.steps[0]
        if kind == BINARY and ins == (0, 1) and self.n_in == 2:
            return function
        return function if kind == UNARY and ins == 0 and self.n_in == 1 else None

    def run(self, args: list[Any]) -> list[Any]:
        """Results for the arrays `args`; the list is taken over (emptied)."""
        if self.single is not None:
            return [self.single(*args)]
        env = args + self.rest
        args.clear()
        execute(self.steps, env)
        return [env[k] for k in self.outs]


def execute(steps: Iterable[Any], env: list[Any]) -> None:
    """Run steps on the arrays of `env`, in place."""
    for kind, function, ins, out in steps:
        if kind == BINARY:
            env[out] = function(env[ins[0]], env[ins[1]])
        elif kind == UNARY:
            env[out] = function(env[ins])
        elif kind == NARY:
            env[out] = function(*[env[k] for k in ins])
        elif kind == DROP:
            for k in ins:
                env[k] = None
        elif kind == SEVERAL:
            for slot, made in zip(out, function(*[env[k] for k in ins]), strict=True):
                env[slot] = made
        else:
            env[out] = _updated(env, function, ins)


# --- updates in place -----------------------------------------------------------------------------


def _taken(env: list[Any], slot: int) -> tuple[Any, int, int]:
    """An array out of `env`, with the number of references to it and to its base."""
    x = env[slot]
    env[slot] = None
    base = x.base
    return x, sys.getrefcount(x), 0 if base is None else sys.getrefcount(base)


_, _ALONE, _ = _taken([np.empty(1)], 0)
_, _ALONE_VIEW, _ALONE_BASE = _taken([np.empty(1).reshape(1, 1)], 0)


def _updated(env: list[Any], function: Any, ins: tuple[Any, ...]) -> Any:
    """Apply an update that writes into its operand, on a copy when others can see the operand."""
    dead, ins = ins[0], ins[1:]
    rest = [env[k] for k in ins[1:]]
    for slot in dead:
        env[slot] = None
    x, refs, base_refs = _taken(env, ins[0])
    base = x.base
    if base is None:
        alone = refs == _ALONE
    else:
        alone = (
            refs == _ALONE_VIEW
            and base_refs == _ALONE_BASE
            and type(base) is np.ndarray
            and base.base is None
        )
    if not (alone and x.flags.writeable and 0 not in x.strides):
        x = np.array(x, order="C")
    return function(x, *rest)


def _step(
    function: Any, eqn: Equation, ins: tuple[int, ...], outs: tuple[int, ...], dead: Any
) -> tuple[Any, ...]:
    if eqn.several:
        return (SEVERAL, function, ins, outs)
    if len(ins) == 1:
        return (UNARY, function, ins[0], outs[0])
    if dead is not None:
        in_place = _in_place(eqn)
        if in_place is not None:
            return (UPDATE, in_place, (dead, *ins), outs[0])
    return (BINARY if len(ins) == 2 else NARY, function, ins, outs[0])


def _in_place(eqn: Equation) -> Run | None:
    """The form of an update that writes into its first operand."""
    if eqn.name == "dynamic_update_slice":
        return update_slice
    if eqn.name.startswith("scatter"):
        return scatter_in_place(eqn.name, eqn.params, eqn.ins)
    return None
