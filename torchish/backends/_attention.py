"""Which of torch's attention kernels a program asked for: kept and read back, without effect.

There is one formulation of attention here, and XLA plans it for each device.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# In torch's order of preference.
NAMES = ("flash", "mem_efficient", "math", "cudnn", "overrideable")


class _Enabled(threading.local):
    def __init__(self) -> None:
        self.names = set(NAMES)
        self.order: tuple[str, ...] = NAMES


state = _Enabled()


def _switches(name: str) -> tuple[Callable[[], bool], Callable[[bool], None]]:
    def is_enabled() -> bool:
        return name in state.names

    def enable(enabled: bool) -> None:
        (state.names.add if enabled else state.names.discard)(name)

    return is_enabled, enable


@contextmanager
def chosen(names: list[str], order: list[str] | None = None) -> Iterator[None]:
    """Inside the block, `names` are what is enabled (and `order` comes first)."""
    before, before_order = set(state.names), state.order
    state.names = set(names)
    if order is not None:
        state.order = (*order, *(n for n in state.order if n not in order))
    try:
        yield
    finally:
        state.names, state.order = before, before_order


def functions() -> dict[str, Any]:
    """The functions of `torch.backends.cuda`."""
    made: dict[str, Any] = {}
    for name in NAMES[:-1]:
        made[f"{name}_sdp_enabled"], made[f"enable_{name}_sdp"] = _switches(name)
    for fn_name, fn in made.items():
        fn.__name__ = fn.__qualname__ = fn_name
    return made
