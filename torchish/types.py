"""`torch.types`: names for annotations."""

from __future__ import annotations

import os
from builtins import bool as _bool, float as _float, int as _int
from collections.abc import Sequence
from typing import IO, TypeAlias

from ._basics.devices import device as _device
from ._basics.size import Size
from ._tensor.tensor import Tensor
from .storage import TypedStorage, UntypedStorage

__all__ = ["Device", "FileLike", "Number", "Size", "Storage"]

Number: TypeAlias = _int | _float | _bool
Device: TypeAlias = _device | str | _int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
Storage: TypeAlias = UntypedStorage | TypedStorage
IntLikeType: TypeAlias = _int
FloatLikeType: TypeAlias = _float
BoolLikeType: TypeAlias = _bool
TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
