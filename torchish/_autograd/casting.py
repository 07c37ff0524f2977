"""From one dtype to another, as torch converts: the rule, and the kernel of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._basics.dtypes import BOOL, INT, dtype
from .._basics.memo import Memo
from .._core import store
from .._core.kernels import Kernel
from .._core.values import Aval

_CASTS: Memo[Kernel] = Memo()


def cast_kernel(aval: Aval, dt: dtype) -> Kernel:
    """The kernel from an aval to another dtype."""
    return _CASTS.find((aval, dt), lambda: _made(aval, dt))


def converted(x: Any, dt: dtype) -> Any:
    """An array of numpy or JAX in another dtype, as torch converts.

    Complex numbers lose their imaginary part, but are true if either part is not 0. XLA saturates
    where C does not say what happens; torch's narrow integers wrap, by way of 64 bits.
    """
    if x.dtype == dt.np:
        return x
    if dt.category == BOOL:
        return x != 0
    if x.dtype.kind == "c" and not dt.is_complex:
        x = x.real
    if dt.category == INT and x.dtype.kind not in "iub":
        x = x.astype(np.int64)
    return x.astype(dt.np)


def _made(aval: Aval, dt: dtype) -> Kernel:
    name = store.identity("to", aval, dt)
    return Kernel(
        "to", lambda x: (converted(x, dt),), (aval,), grad_name="ToCopyBackward0", identity=name
    )
