"""`torch.autograd.forward_ad`: refused; gradients here are computed in reverse."""

from __future__ import annotations

from typing import Any

from .._basics.errors import not_supported

NAMES = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
           "unpack_dual"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module 'torch.autograd.forward_ad' has no attribute '{name}'")

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise not_supported(f"torch.autograd.forward_ad.{name}", "torch.autograd.functional.jvp")

    refuse.__name__ = name
    return refuse
