"""`torch.onnx`: refused by name; `torch.export.export` gives programs that carry StableHLO."""

from __future__ import annotations

from typing import Any, NoReturn

from .._basics.errors import not_supported


def is_in_onnx_export() -> bool:
    """False: nothing is exported to ONNX."""
    return False


def export(*args: Any, **kwargs: Any) -> NoReturn:
    """Refuse.

    Raises: NotSupportedError, which names the way to export a program.
    """
    raise not_supported("torch.onnx.export", "torch.export.export, whose programs carry StableHLO")
