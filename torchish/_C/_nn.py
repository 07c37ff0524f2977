"""PyTorch's compiled functions of `nn`, by their public counterparts."""

from __future__ import annotations

from typing import Any

from ..nn import functional


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
    """What the arguments of `Module.to` mean: device, dtype, non_blocking, memory_format."""
    from .._core.devices import device as Device, resolve
    from .._core.dtypes import dtype as Dtype
    from .._core.tensor_base import TensorBase

    device, dtype = kwargs.get("device"), kwargs.get("dtype")
    rest = list(args)
    if rest and isinstance(rest[0], TensorBase):
        found = rest.pop(0)
        device, dtype = found.device, found.dtype
    elif rest and (isinstance(rest[0], str | Device | int) or rest[0] is None):
        device = rest.pop(0)
    if rest and isinstance(rest[0], Dtype):
        dtype = rest.pop(0)
    waiting = bool(rest.pop(0)) if rest else bool(kwargs.get("non_blocking", False))
    place = None if device is None else resolve(device)
    return place, dtype, waiting, kwargs.get("memory_format")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(functional, name)
