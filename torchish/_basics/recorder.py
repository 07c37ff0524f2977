"""The call path in C of the optional package torchish-cpu (`native/src/recorder`), if installed.

Invariant: it does nothing that the Python beside it does not do; what it cannot do it leaves to
that. TORCHISH_RECORDER=0 leaves it out.
"""

from __future__ import annotations

from typing import Any

from .settings import settings

_VERSION = 5  # of what it takes and gives


def _find() -> tuple[Any, str]:
    """The module, or None and why there is none."""
    if not settings.recorder:
        return None, "switched off by TORCHISH_RECORDER=0"
    try:
        from torchish_cpu import _recorder
    except ImportError:  # absent, or built for another version of Python
        return None, "no torchish-cpu for this Python is installed"
    if _recorder.VERSION != _VERSION:
        return None, "the package torchish-cpu is of another version than torchish: install it anew"
    return _recorder, ""


recorder, reason = _find()
