"""Primitives without a rule: each runs as a jitted function of its own.

`missing` counts them by name; a test lists which of the registry's primitives come here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..errors import not_supported
from ..state import process
from .table import Array, Run

missing: Counter[str] = Counter()


def jitted(eqn: Any, outs: Sequence[Any]) -> Run:
    """A function on numpy arrays that runs the equation by XLA."""
    primitive, params = eqn.primitive, eqn.params
    missing[primitive.name] += 1

    def bind(*arrays: Any) -> Any:
        return primitive.bind(*arrays, **params)

    program = jax.jit(bind)
    several = primitive.multiple_results

    def run(*arrays: Array) -> Any:
        if process.interpret_only:
            raise not_supported(
                f"{primitive.name} in a forked process",
                "start processes with the 'spawn' or 'forkserver' method",
            )
        made = program(*arrays)
        return [np.asarray(x) for x in made] if several else np.asarray(made)

    return run
