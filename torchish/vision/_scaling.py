"""Arrays in another dtype, with white staying white: arithmetic of the second API."""

from __future__ import annotations

import numpy as np


def is_float(dtype: np.dtype) -> bool:
    """Whether it is a float type, ml_dtypes' included."""
    return dtype.kind not in "biuc"


def white(dtype: np.dtype) -> int:
    """The largest value of an image of this dtype."""
    return int(np.iinfo(dtype).max) if dtype.kind in "iu" else 1


def scaled(array: np.ndarray, target: np.dtype) -> np.ndarray:
    """To another dtype, so that white stays white."""
    source = array.dtype
    if source == target:
        return array
    if is_float(source):
        if is_float(target):
            return array.astype(target)
        return (array * source.type(white(target) + 1.0 - 1e-3)).astype(target)
    if is_float(target):
        return array.astype(target) * target.type(1.0 / white(source))
    shift = value_bits(source) - value_bits(target)
    if shift > 0:
        return (array >> source.type(shift)).astype(target)
    return array.astype(target) << target.type(-shift)


def value_bits(dtype: np.dtype) -> int:
    """Bits of an integer dtype without the sign.

    Raises: TypeError for other dtypes.
    """
    if dtype.kind not in "iu":
        raise TypeError(
            f"Number of value bits is only defined for integer dtypes, but got torch.{dtype.name}."
        )
    return 8 * dtype.itemsize - (dtype.kind == "i")
