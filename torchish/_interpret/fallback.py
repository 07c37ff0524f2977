"""Primitives without a rule: each runs as a jitted function of its own.

`missing` counts them by name; a test lists which of the registry's primitives come here.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import jax
import numpy as np
from jax.core import eval_jaxpr

from .._basics.errors import not_supported
from .._basics.state import process
from .table import Array, Run

missing: Counter[str] = Counter()


def bound(eqn: Any) -> Any:
    """A function on arrays that applies a JAX equation."""
    return functools.partial(eqn.primitive.bind, **eqn.params)


def jitted(eqn: Any) -> Run:
    """A function on numpy arrays that runs the equation (of a recipe) by XLA."""
    missing[eqn.name] += 1
    bind = eqn.bind
    program = _program(bind if eqn.several else lambda *arrays: [bind(*arrays)], eqn.name)
    return program if eqn.several else lambda *arrays: program(*arrays)[0]


def jitted_jaxpr(closed: Any) -> Run:
    """A function on numpy arrays that runs a whole jaxpr by XLA."""
    return _program(lambda *arrays: eval_jaxpr(closed.jaxpr, closed.consts, *arrays), "a draw")


def _program(function: Any, name: str) -> Run:
    program = jax.jit(function)

    def run(*arrays: Array) -> list[Array]:
        if process.interpret_only:
            raise not_supported(
                f"{name} in a forked process",
                "start processes with the 'spawn' or 'forkserver' method",
            )
        return [np.asarray(x) for x in program(*arrays)]

    return run
