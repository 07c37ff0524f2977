"""Switching dispatch modes on: from the first one, calls and backward nodes are shown to them."""

from __future__ import annotations

from . import dispatch_backward, overriding
from .aten import written_out


def engage() -> None:
    """Calls are looked at from now on, and backward nodes are shown."""
    overriding.pass_down(lambda public, args, kwargs: written_out(public, tuple(args), kwargs))
    overriding.engage()
    dispatch_backward.engage()
