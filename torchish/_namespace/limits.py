"""`torch.finfo` and `torch.iinfo`: the limits of dtypes."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from .._basics import dtypes
from .._basics.state import process


class finfo:
    """Limits of a floating dtype: eps, max, min, tiny, smallest_normal, resolution, bits."""

    def __init__(self, type: Any = None) -> None:
        dt = process.default_dtype if type is None else dtypes.PYTHON_TYPES.get(type, type)
        if not isinstance(dt, dtypes.dtype) or dt.category < dtypes.FLOAT:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                "'torch.finfo'"
            )
        real = dt.to_real()
        info = ml_dtypes.finfo(real.np)
        self.dtype = real.name
        self.bits = real.itemsize * 8
        self.eps = float(info.eps)
        self.max = float(info.max)
        self.min = float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = 10.0 ** -int(-math.log10(info.eps))  # whole decimal digits

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: min, max, bits."""

    def __init__(self, type: Any) -> None:
        type = dtypes.PYTHON_TYPES.get(type, type)
        if not isinstance(type, dtypes.dtype) or type.category != dtypes.INT:
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle "
                "'torch.iinfo'"
            )
        info = np.iinfo(type.np)
        self.dtype = type.name
        self.bits = type.itemsize * 8
        self.max = int(info.max)
        self.min = int(info.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
