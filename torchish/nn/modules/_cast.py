"""Moving a module to another device or dtype."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..._autograd.grad_mode import no_grad
from ..._basics.devices import device as Device
from ..._basics.dtypes import PYTHON_TYPES, dtype as Dtype
from ..._tensor.tensor import Tensor
from ..parameter import Parameter


def conversion(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    """What a call of `Module.to` does to each tensor."""
    device, dtype, non_blocking, memory_format = _parse_to(args, kwargs)
    if dtype is not None:
        if not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got "
                f"desired dtype={dtype}"
            )
        if dtype.is_complex:
            warnings.warn(
                "Complex modules are a new feature under active development whose design may "
                "change, and some modules might not work as expected when using complex "
                "tensors as parameters or buffers. Please file an issue at https://github.com/"
                "pytorch/pytorch/issues/new?template=bug-report.yml if a complex module does "
                "not work as expected.",
                stacklevel=3,
            )

    def convert(t: Tensor) -> Tensor:
        target = dtype if t.is_floating_point() or t.is_complex() else None
        extra = {}
        if memory_format is not None and t.dim() in (4, 5):
            extra["memory_format"] = memory_format
        if t.is_meta and device is not None and device.type != "meta":
            raise NotImplementedError(
                "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() "
                "instead of torch.nn.Module.to() when moving module from meta to a different "
                "device."
            )
        return t.to(
            t.device if device is None else device,
            t.dtype if target is None else target,
            non_blocking,
            **extra,
        )

    return convert


def converted(param: Any, fn: Callable[[Tensor], Tensor]) -> Any:
    """The parameter with `fn` applied to it: itself, or a new one where memory appears or goes.

    As in torch, only that keeps parameters which modules share apart after a way by "meta".
    """
    grad = param.grad
    with no_grad():
        made = fn(param)
        if made.is_meta is param.is_meta:
            param.data = made
        else:
            param = Parameter(made, param.requires_grad)
        if grad is not None:
            changed = fn(grad)
            if changed.is_meta is grad.is_meta:
                grad.data = changed
            else:
                grad = changed.requires_grad_(grad.requires_grad)
            param.grad = grad
    return param


def _parse_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, bool, Any]:
    """``(device, dtype, non_blocking, memory_format)`` of the call forms of ``to``."""
    kwargs = dict(kwargs)
    memory_format = kwargs.pop("memory_format", None)
    non_blocking = kwargs.pop("non_blocking", False)
    device = kwargs.pop("device", None)
    dtype = kwargs.pop("dtype", None)
    tensor = kwargs.pop("tensor", kwargs.pop("other", None))
    if kwargs:
        raise TypeError(f"to() received an invalid combination of arguments - got {kwargs!r}")
    dtype = PYTHON_TYPES.get(dtype, dtype)
    rest = [PYTHON_TYPES.get(a, a) if type(a) is type else a for a in args]
    if rest and isinstance(rest[0], Tensor):
        tensor = rest.pop(0)
    elif rest and isinstance(rest[0], Dtype):
        dtype = rest.pop(0)
    elif rest and (rest[0] is None or isinstance(rest[0], (str, int, Device))):
        device = rest.pop(0)
        if rest and (rest[0] is None or isinstance(rest[0], Dtype)):
            dtype = rest.pop(0)
    if rest and isinstance(rest[0], bool):
        non_blocking = rest.pop(0)
    if rest and isinstance(rest[0], bool):
        rest.pop(0)  # copy=: a module always keeps its tensors
    if rest:
        raise TypeError(
            "to() received an invalid combination of arguments - got "
            f"({', '.join(type(a).__name__ for a in args)}), but expected one of:\n"
            " * (torch.device device, torch.dtype dtype, bool non_blocking)\n"
            " * (torch.dtype dtype, bool non_blocking)\n"
            " * (Tensor tensor, bool non_blocking)"
        )
    if tensor is not None:
        return tensor.device, tensor.dtype, non_blocking, memory_format
    if device is not None and not isinstance(device, Device):
        device = Device(device)
    return device, dtype, non_blocking, memory_format
