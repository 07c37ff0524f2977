"""The table of rules: how each JAX primitive runs in numpy.

A rule is made once for an equation and called at every run: `@rule("name")` decorates a maker
`(params, in_avals, out_avals) -> function(*arrays)`, so everything static about an equation is
decided when its plan is made. A primitive with several results returns a list. A maker may return
None: the equation then runs as a jitted primitive (`fallback.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Run = Callable[..., Any]
Maker = Callable[[dict[str, Any], Sequence[Any], Sequence[Any]], Run | None]

RULES: dict[str, Maker] = {}


def rule(*names: str) -> Callable[[Maker], Maker]:
    """Register the maker of the primitives `names`; a second rule for a name raises."""

    def register(maker: Maker) -> Maker:
        for name in names:
            if name in RULES:
                raise ValueError(f"primitive {name!r} has a rule already")
            RULES[name] = maker
        return maker

    return register


def is_half(dtype: Any) -> bool:
    """Whether XLA computes this float type in float32 and rounds (float16, bfloat16, float8)."""
    return dtype.itemsize <= 2 and dtype.kind in "fV"


def in_float32(run: Run, dtype: Any) -> Run:
    """`run` on float32 copies of half-precision arguments, rounded to `dtype`."""

    def wide(*arrays: Array) -> Array:
        full = [x.astype(np.float32) if is_half(x.dtype) else x for x in arrays]
        return np.asarray(run(*full)).astype(dtype)

    return wide
