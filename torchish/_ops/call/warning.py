"""Warnings point at the user's line, however many of our frames lie between."""

from __future__ import annotations

import os
import sys

import jax

# Checks of operators run while JAX traces them: its frames are not the user's either.
_FOLDERS = tuple(
    os.path.dirname(os.path.abspath(path)) + os.sep
    for path in (os.path.dirname(os.path.dirname(__file__)), jax.__file__)
)


def user_level() -> int:
    """The `stacklevel` at which a `warnings.warn` here names the user's own line."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_FOLDERS):
        frame = frame.f_back
        level += 1
    return level


def own_folders() -> tuple[str, ...]:
    """The folders of this package and of JAX, whose frames are not the user's."""
    return _FOLDERS
