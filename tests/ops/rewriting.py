"""Functions whose lowered programs a pass rewrites, for the tests of those passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np


def run(
    function: Callable[..., Any], arrays: Sequence[Any], rewrite: Callable[[Any], None]
) -> tuple[Any, str]:
    """What a function gives once it is rewritten and compiled, and its StableHLO."""
    lowered = jax.jit(function).lower(*arrays)
    rewrite(lowered)
    return lowered.compile()(*arrays), lowered.as_text()


def normal(*shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Any]:
    """Arrays of normal numbers, the same at each call."""
    rng = np.random.default_rng(len(shapes))
    return [rng.standard_normal(s).astype(dtype) for s in shapes]
