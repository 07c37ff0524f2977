"""The constructors of old torch: `Tensor(2, 3)`, `torch.FloatTensor([1, 2])`."""

from __future__ import annotations

from typing import Any, Union

from .._autograd.tensor_base import TensorBase
from .._basics import dtypes
from .._basics.dtypes import dtype
from .._ops.create.legacy import legacy_tensor


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
