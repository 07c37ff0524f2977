"""A device as a function mode: what `with torch.device(...)` does, for code that wraps it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torchish

from .._basics.devices import device as Device
from ..overrides import TorchFunctionMode

__all__ = ["DeviceContext", "device_decorator", "set_device"]

_NAMES = (
    "arange", "as_tensor", "asarray", "bartlett_window", "blackman_window", "empty",
    "empty_permuted", "empty_strided", "eye", "full", "hamming_window", "hann_window",
    "kaiser_window", "linspace", "logspace", "ones", "rand", "randint", "randn", "randperm",
    "range", "scalar_tensor", "tensor", "tril_indices", "triu_indices", "zeros",
)  # fmt: skip


@functools.cache
def _device_constructors() -> frozenset[Any]:
    """Functions that make tensors and take `device=`."""
    found = {getattr(torchish, name) for name in _NAMES if hasattr(torchish, name)}
    return frozenset(found | {torchish.fft.fftfreq, torchish.fft.rfftfreq})


class DeviceContext(TorchFunctionMode):
    """Tensors that are made inside without `device=` lie on `device`."""

    def __init__(self, device: Any) -> None:
        super().__init__()
        self.device = Device(device)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _device_constructors() and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": self.device}
        return func(*args, **kwargs)


def device_decorator(device: Any, func: Callable[..., Any]) -> Callable[..., Any]:
    """`func`, run on a default device."""

    @functools.wraps(func)
    def placed(*args: Any, **kwargs: Any) -> Any:
        with Device(device):
            return func(*args, **kwargs)

    return placed


def set_device(device: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorator that makes `device` the default while a function runs."""
    return lambda func: device_decorator(Device(device), func)
