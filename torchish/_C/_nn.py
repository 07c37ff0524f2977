"""PyTorch's compiled functions of `nn`, by their public counterparts."""

from __future__ import annotations

from typing import Any

from .._ops.registry import table
from ..nn import functional


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
    """What the arguments of `Module.to` mean: device, dtype, non_blocking, memory_format."""
    from .._autograd.tensor_base import TensorBase
    from .._basics.devices import device as Device, resolve
    from .._basics.dtypes import dtype as Dtype

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


_OTHER_NAMES = {"log_sigmoid": "logsigmoid"}


def __getattr__(name: str) -> Any:
    found = table("nn.functional").get(_OTHER_NAMES.get(name, name))
    if found is not None:
        return found
    if not name.startswith("__") and hasattr(functional, name):
        return getattr(functional, name)
    raise AttributeError(f"module 'torch._C._nn' has no attribute {name!r}")
