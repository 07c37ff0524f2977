"""The table of rules: what an operator does with jagged tensors, by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RULES: dict[str, Callable[..., Any]] = {}


def rule(*names: str) -> Callable[[Any], Any]:
    """Register a function under operators' names."""

    def register(fn: Any) -> Any:
        for name in names:
            RULES[name] = fn
        return fn

    return register
