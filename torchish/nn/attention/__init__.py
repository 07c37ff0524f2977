"""Choosing an attention kernel: `torch.nn.attention`. XLA chooses; the names are accepted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from ...backends import _attention

__all__ = ["WARN_FOR_UNFUSED_KERNELS", "SDPBackend", "sdpa_kernel"]

WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(Enum):
    """torch's kernels of scaled dot-product attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __int__(self) -> int:
        return int(self.value)

    __index__ = __int__


_NAMES = {
    SDPBackend.CUDNN_ATTENTION: "cudnn", SDPBackend.FLASH_ATTENTION: "flash",
    SDPBackend.EFFICIENT_ATTENTION: "mem_efficient", SDPBackend.MATH: "math",
    SDPBackend.OVERRIDEABLE: "overrideable",
}  # fmt: skip


@contextmanager
def sdpa_kernel(
    backends: list[SDPBackend] | SDPBackend, set_priority: bool = False
) -> Iterator[dict[str, Any]]:
    """Notes which kernels are wanted; there is one formulation, and XLA plans it for each device.

    Args:
        backends: one or a list.
        set_priority: whether their order says which one to prefer.
    Raises:
        AssertionError: `backends` is neither.
    """
    if not isinstance(backends, list | SDPBackend):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    listed = [backends] if isinstance(backends, SDPBackend) else backends
    names = [_NAMES[b] for b in listed if b in _NAMES]
    with _attention.chosen(names, names if set_priority else None):
        yield {}


def _cur_sdpa_kernel_backends(with_priority: bool = False) -> list[SDPBackend]:
    """The kernels that are enabled."""
    enabled = _attention.state.names
    found = [backend for backend, name in _NAMES.items() if name in enabled]
    if with_priority:
        found.sort(key=lambda b: _attention.state.order.index(_NAMES[b]))
    return found
