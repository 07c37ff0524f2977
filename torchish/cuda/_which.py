"""Which GPU a device argument means, and whether there is one."""

from __future__ import annotations

from typing import Any

from .._basics import devices
from .._basics.devices import device as Device


def is_available() -> bool:
    """Whether JAX finds a GPU (or simulated ones are switched on)."""
    return device_count() > 0


def device_count() -> int:
    """The number of GPUs."""
    return len(devices.jax_devices("cuda"))


def require() -> None:
    """Raise without a GPU.

    Raises: AssertionError, as PyTorch built without CUDA does.
    """
    if not is_available():
        raise devices.no_cuda()


def index_of(which: Any = None) -> int:
    """The index that a device argument names."""
    if which is None:
        return devices.current_cuda()
    if isinstance(which, int):
        return devices.current_cuda() if which < 0 else which
    named = which if isinstance(which, Device) else Device(which)
    if named.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {which}")
    return devices.current_cuda() if named.index is None else named.index


def jax_of(which: Any) -> Any:
    """The JAX device."""
    require()
    return devices.jax_device(devices.resolve(f"cuda:{index_of(which)}"))
