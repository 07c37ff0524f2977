"""Warnings that wait until they can do no harm: the values of a flush are handed out first.

A warning may be an error (`-W error`), and what happens in a flush or in the compiling thread must
not be lost to it.
"""

from __future__ import annotations

import warnings

_waiting: list[tuple[str, str, int]] = []


def notice(text: str, file: str = "torchish", line: int = 0) -> None:
    """Have the user warned at `file:line` when the flush that runs, or the next one, is over."""
    _waiting.append((text, file, line))


def give() -> None:
    """Give the warnings that wait, each once."""
    while _waiting:
        text, file, line = _waiting.pop(0)
        warnings.warn_explicit(text, RuntimeWarning, file, line)


def are_waiting() -> bool:
    """Whether there is anything to give."""
    return bool(_waiting)
