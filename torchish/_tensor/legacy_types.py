"""The constructors of old torch: `Tensor(2, 3)`, `torch.FloatTensor([1, 2])`."""

from __future__ import annotations

from typing import Any, Union

import numpy as np

from .._autograd.interop import wrap_host
from .._autograd.tensor_base import TensorBase
from .._basics import dtypes
from .._basics.devices import device
from .._basics.dtypes import dtype
from .._basics.size import Size
from .._ops.create.construct import array_from
from .._ops.protocol.overriding import DisableTorchFunctionSubclass
from .._ops.registry import methods, ops


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
        if isinstance(first, list | tuple | np.ndarray):
            return wrap_host(array_from(first, dt))
    if all(isinstance(a, int | np.integer) for a in args):
        return ops.empty(*[int(a) for a in args], dtype=dt)
    raise TypeError(f"new(): invalid data type '{type(first).__name__}'")


def _positional(args: tuple[Any, ...], kwargs: dict[str, Any], place: str) -> tuple[Any, ...]:
    """The arguments, of which the only one may come as `data`, `other` or `size`."""
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
    if args or more or name not in ("data", "other", "size"):
        raise TypeError(f"new() received an invalid combination of arguments - got {name}=")
    return (Size(value),) if name == "size" else (value,)


def legacy_dtype(name: str) -> dtype:
    short = name.removeprefix("torch.").removeprefix("cuda.").removesuffix("Tensor")
    for dt, scalar in dtypes.SCALAR_NAMES.items():
        if scalar == short:
            return dt
    raise ValueError(f"invalid type: '{name}'")


class LegacyType:
    """`torch.FloatTensor` and its kin: constructor and instance check for one dtype."""

    def __init__(self, dt: dtype, place: str = "cpu") -> None:
        self.dtype = dt
        self.place = place
        prefix = "torch." if place == "cpu" else f"torch.{place}."
        self.__name__ = f"{prefix}{dtypes.SCALAR_NAMES[dt]}Tensor"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = legacy_tensor(args, kwargs, self.dtype, self.place)
        return made if self.place == "cpu" else made.to(self.place)

    def __or__(self, other: Any) -> Any:
        return Union[self.__class__, other]  # noqa: UP007 - for annotations: `torch.LongTensor | None`

    def __ror__(self, other: Any) -> Any:
        return Union[other, self.__class__]  # noqa: UP007

    def __instancecheck__(self, instance: Any) -> bool:
        return (
            isinstance(instance, TensorBase)
            and instance._aval.dtype is self.dtype
            and instance._storage.device.type == self.place
        )

    def __repr__(self) -> str:
        return f"<class '{self.__name__}'>"


LEGACY_TYPES = {
    f"{dtypes.SCALAR_NAMES[d]}Tensor": d
    for d in dtypes.ALL
    if d.name not in ("float8_e5m2", "float8_e4m3fn", "uint16", "uint32", "uint64")
    and not d.is_complex
}
