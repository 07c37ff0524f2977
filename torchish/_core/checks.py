"""Checks whose outcome is known only when a device has run: raised at the next read.

JAX clamps indices silently; an operator that cannot check an index on the host leaves a flag here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .._basics.state import state


class Flag(Protocol):
    """A boolean that a device may have yet to compute: `array` is None until then."""

    array: Any


def defer_check(flag: Flag, error: Callable[[], Exception]) -> None:
    """Raise `error()` at the next read if the boolean `flag` turns out true."""
    state.checks.append((flag, error))


def run_checks() -> None:
    """Look at the flags whose programs have run; the first true one raises."""
    if not state.checks:
        return
    waiting: list[Any] = []
    failed = None
    for flag, error in state.checks:
        if flag.array is None:
            waiting.append((flag, error))
        elif failed is None and bool(flag.array):
            failed = error
    state.checks[:] = waiting if failed is None else []
    if failed is not None:
        raise failed()
