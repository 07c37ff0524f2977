"""All families of rules, loaded when something first runs: importing torchish needs none."""

from __future__ import annotations

from . import (  # noqa: F401  (rules register themselves)
    control,
    elementwise,
    factorisations,
    indexing,
    keys,
    linear,
    reductions,
    shapes,
    windows,
)
from .plan import Plan as Plan
