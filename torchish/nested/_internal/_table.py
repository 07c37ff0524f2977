"""The table of rules: what an operator does with jagged tensors, by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rules = dict[str, Callable[..., Any]]
RULES: Rules = {}


def registrar(table: Rules) -> Callable[..., Callable[[Any], Any]]:
    """A decorator that registers a function in `table` under operators' names."""

    def rule(*names: str) -> Callable[[Any], Any]:
        def register(fn: Any) -> Any:
            for name in names:
                table[name] = fn
            return fn

        return register

    return rule


rule = registrar(RULES)
