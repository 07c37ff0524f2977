"""Imports without garbage collection."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Importing JAX and the operators makes some 100,000 objects that all stay.

    Looking for garbage among them again and again is a fifth of the time that importing takes.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            _age()
            gc.enable()


def _age() -> None:
    """Count what was made as old, without the look that new objects get: only a full one comes."""
    if gc.get_freeze_count() == 0:  # else the program has set objects apart: they stay so
        gc.freeze()
        gc.unfreeze()
