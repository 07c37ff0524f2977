"""What old torch made tensors with: `Tensor(2, 3)`, `Tensor([1, 2])`, `x.new(2, 3)`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._autograd.interop import wrap_host
from ..._autograd.tensor_base import TensorBase
from ..._basics import dtypes
from ..._basics.devices import device
from ..._basics.dtypes import CPP_NAMES, dtype
from ..._basics.size import Size
from ..protocol.overriding import DisableTorchFunctionSubclass
from ..registry import composite, methods, ops
from .construct import array_from
from .on_memory import is_storage, on_storage

_COMBINATION = "new() received an invalid combination of arguments -"


def legacy_tensor(
    args: tuple[Any, ...], kwargs: dict[str, Any], dt: dtype, place: str = "cpu"
) -> Any:
    """`Tensor(sizes…)`, `Tensor(data)`, `Tensor()`: on the CPU, if `place` is another's name too.

    Raises: RuntimeError for a device of another kind than `place`, TypeError for other keywords.
    """
    args = _positional(args, kwargs, place)
    if not args:
        return ops.empty(0, dtype=dt)
    first = args[0]
    if len(args) == 1:
        if isinstance(first, Size):
            return ops.empty(first, dtype=dt)
        if isinstance(first, TensorBase):
            if first._aval.dtype is not dt:
                raise TypeError(
                    f"expected {dtypes.SCALAR_NAMES[dt]} (got "
                    f"{dtypes.SCALAR_NAMES[first._aval.dtype]})"
                )
            with DisableTorchFunctionSubclass():
                return methods.alias(first)
        if is_storage(first):
            return on_storage(_fitting(first, dt), dt)
        if isinstance(first, np.ndarray):
            return ops.as_tensor(first, dtype=dt)
        if isinstance(first, list | tuple):
            return wrap_host(array_from(first, dt))
        if isinstance(first, float | np.floating):
            place = "numpy." if isinstance(first, np.generic) else ""
            raise TypeError(f"new(): data must be a sequence (got {place}{type(first).__name__})")
    if all(isinstance(a, int | np.integer) for a in args):
        return ops.empty(*[int(a) for a in args], dtype=dt)
    if len(args) > 1:
        shown = ", ".join(type(a).__name__ for a in args)
        raise TypeError(f"{_COMBINATION} got ({shown})")
    raise TypeError(f"new(): invalid data type '{type(first).__name__}'")


def _fitting(storage: Any, dt: dtype) -> Any:
    """The storage, unless it is one of elements of another dtype."""
    has = getattr(storage, "dtype", dt)
    if has is not dt:
        raise RuntimeError(
            f"Expected a Storage of type {dtypes.SCALAR_NAMES[dt]} or an UntypedStorage, but got "
            f"type {dtypes.SCALAR_NAMES[has]} for argument 1 'storage'"
        )
    return storage


def _positional(args: tuple[Any, ...], kwargs: dict[str, Any], place: str) -> tuple[Any, ...]:
    """The arguments, of which the only one may come by its name, and with a device."""
    if not kwargs:
        return args
    where = kwargs.pop("device", None)
    if where is not None and (kind := device(where).type) != place:
        raise RuntimeError(
            f"legacy constructor expects device type: {place} but device type: {kind} was passed"
        )
    if not kwargs:
        return args
    (name, value), *more = kwargs.items()
    is_size = isinstance(value, list | tuple) or name != "size"
    if args or more or name not in ("data", "other", "size", "storage") or not is_size:
        given = [*map(_kind, args), *(f"{k}={_kind(v)}" for k, v in kwargs.items())]
        tail = "" if args else ", "
        raise TypeError(f"{_COMBINATION} got ({', '.join(given)}{tail})")
    return (Size(value),) if name == "size" else (value,)


def _kind(value: Any) -> str:
    return "torch.dtype" if isinstance(value, dtype) else type(value).__name__


@composite(into=("method",))
def new(self: Any, *args: Any, **kwargs: Any) -> Any:
    """A tensor of this dtype and device: of sizes (not initialised), of data, or on a storage.

    Raises: RuntimeError for another device, TypeError for a tensor of another dtype.
    """
    have, home = self._aval.dtype, self._storage.device
    given = args[0] if len(args) == 1 else kwargs.get("other")
    if isinstance(given, TensorBase) and given._aval.dtype is not have:
        wanted, got = (_OPTIONS.format(CPP_NAMES[d], home) for d in (have, given._aval.dtype))
        raise TypeError(f"expected {wanted} (got {got})")
    with DisableTorchFunctionSubclass():
        made = legacy_tensor(args, dict(kwargs), have, home.type)
        return made if made._storage.device is home else made.to(home)


_OPTIONS = (
    "TensorOptions(dtype={}, device={}, layout=Strided, requires_grad=false (default), "
    "pinned_memory=false (default), memory_format=(nullopt))"
)
