"""`make_tensor`: tensors of random values in a range that fits the dtype."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .._basics import dtypes
from .._namespace.limits import finfo, iinfo
from .._ops.registry import ops


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Any:
    """A tensor of uniform values in [low, high); by default within (-9, 9), bools 0 or 1.

    Raises: ValueError for NaN bounds, an empty range, or gradients of integers.
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    whole = dtype.category < dtypes.FLOAT
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"{noncontiguous=} and {memory_format=}"
        )
    if requires_grad and whole:
        raise ValueError(
            "`requires_grad=True` is not supported for boolean and integral dtypes, but got "
            f"{dtype=}"
        )
    spread = noncontiguous and math.prod(sizes) > 1
    if spread:
        sizes = (*sizes[:-1], 2 * sizes[-1])
    first, last = _range(dtype, low, high)
    if whole:
        made = ops.randint(math.ceil(first), math.ceil(last), sizes, device=device, dtype=dtype)
    else:
        base = dtypes.float32 if dtype.itemsize == 1 else dtype
        made = ops.empty(sizes, device=device, dtype=base)
        part = ops.view_as_real(made) if dtype.is_complex else made
        _fill(part, first, last)
        made = made.to(dtype)
    if spread:
        made = made[..., 1::2]
    elif memory_format is not None:
        made = made.clone(memory_format=memory_format)
    if exclude_zero:
        made[made == 0] = 1 if whole else finfo(dtype).tiny
    if not whole and dtype.itemsize > 1:
        made.requires_grad = requires_grad
    return made


def _fill(part: Any, low: float, high: float) -> None:
    if high - low >= finfo(part.dtype).max:  # the span itself would overflow
        part.uniform_(low / 2, high / 2).mul_(2)
    else:
        part.uniform_(low, high)


def _range(dtype: Any, low: float | None, high: float | None) -> tuple[float, float]:
    if dtype is dtypes.bool_:
        least, most, standard = 0.0, 2.0, (0, 2)
    elif dtype.category < dtypes.FLOAT:
        info = iinfo(dtype)
        least, most, standard = info.min, info.max + (dtype is not dtypes.int64), (-9, 10)
    else:
        real = finfo(dtype)
        least, most, standard = real.min, real.max, (-9, 9)
    low = standard[0] if low is None else low
    high = standard[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and dtype.category >= dtypes.FLOAT:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is "
            "deprecated since 2.1 and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=4,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low >= most:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} "
            f"only supports [{least}, {most})"
        )
    return min(max(low, least), most), min(max(high, least), most)
