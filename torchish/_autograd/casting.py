"""The kernel that converts an array to another dtype, as torch converts."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .._basics.memo import Memo
from .._core import store
from .._core.kernels import Kernel
from .._core.values import Aval

_CASTS: Memo[Kernel] = Memo()


def cast_kernel(aval: Aval, dt: Any) -> Kernel:
    """The kernel from an aval to another dtype, with torch's rules for odd pairs."""
    return _CASTS.find((aval, dt), lambda: _made(aval, dt))


def _made(aval: Aval, dt: Any) -> Kernel:
    def fn(x: Any) -> tuple[Any]:
        if aval.dtype.is_complex and not dt.is_complex:
            if dt.category == 0:
                return ((x != 0),)
            x = x.real
        if dt.category == 0:
            return (x != 0,)
        if aval.dtype.category == 2 and dt.category == 1:
            # XLA saturates; a C cast of an in-range value is the same, and torch's out-of-range
            # results wrap through int64 for the narrow types.
            wide = x.astype(jnp.int64)
            return (wide.astype(dt.np),)
        return (x.astype(dt.np),)

    name = store.identity("to", aval, dt)
    return Kernel("to", fn, (aval,), grad_name="ToCopyBackward0", identity=name)
