"""Bits of tensors: `hash_tensor`; coordinates of flat indices: `unravel_index`."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._autograd.tensor_base import TensorBase
from ..._basics.dtypes import FLOAT, bool_, int64
from ..registry import Tensor, composite, op, ops, wrap_dims


@op("none", differentiable=False)
def hash_tensor(input: Tensor, dim: Any = (), keepdim: bool = False, *, mode: int = 0):
    """Exclusive or over the bits of all elements, each widened to 64 bits.

    Raises: RuntimeError for a mode other than 0.
    """
    if mode != 0:
        raise RuntimeError(f"hash_tensor: Unknown mode {mode}.")
    dims = wrap_dims(dim, input.ndim)
    floating = jnp.issubdtype(input.dtype, jnp.floating)
    wide = input.astype(np.float64 if floating else np.int64)
    bits = jax.lax.bitcast_convert_type(wide, np.uint64)
    found = jax.lax.reduce(bits, np.uint64(0), jax.lax.bitwise_xor, dims)
    return jnp.expand_dims(found, dims) if keepdim else found


@composite(into=("torch",))
def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Coordinates, one tensor a dimension, of flat indices into a tensor of `shape`.

    Raises: TypeError for indices that are not integers; ValueError for negative sizes.
    """
    if not isinstance(indices, TensorBase):
        raise TypeError(
            "unravel_index(): argument 'indices' (position 1) must be Tensor, not "
            f"{type(indices).__name__}"
        )
    given: Any = indices  # the methods come with a layer above
    if indices._aval.dtype.category >= FLOAT or indices._aval.dtype is bool_:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {given.dtype}")
    if not isinstance(shape, int | tuple | list):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not all(isinstance(n, int) for n in sizes):
        raise TypeError(f"expected 'shape' sequence to only contain ints, but got {shape}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    if 0 in sizes and given.numel():
        raise RuntimeError("ZeroDivisionError")
    if not sizes:
        return ()
    places = {"dtype": int64, "device": given.device}
    below = [max(math.prod(sizes[d + 1 :]), 1) for d in range(len(sizes))]
    counts = ops.div(given.long().unsqueeze(-1), ops.tensor(below, **places), rounding_mode="floor")
    return tuple(ops.remainder(counts, ops.tensor([max(n, 1) for n in sizes], **places)).unbind(-1))
