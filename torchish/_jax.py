"""`torchish.from_jax`: arrays of JAX as tensors."""

from __future__ import annotations

from typing import Any

import jax

from ._autograd.interop import from_jax as tensor_of


def from_jax(array: Any) -> Any:
    """A tensor on the memory of a `jax.Array`; for a container (pytree), one of tensors.

    Nothing is copied: the array never changes, and a write to the tensor gives it new memory.
    `Tensor.jax()` is the way back.

    Raises: TypeError for what is no array, and for a value that JAX is tracing (use
        `torchish.func.to_jax` there).

    Example:
        >>> torchish.from_jax(jnp.ones(2))
        tensor([1., 1.])
    """
    return jax.tree_util.tree_map(_one, array)


def _one(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        raise TypeError("from_jax: a typed key is no tensor; jax.random.key_data(key) is an array")
    if not isinstance(leaf, jax.Array):
        raise TypeError(
            f"from_jax needs a jax.Array, or a pytree of them, not {type(leaf).__name__}"
        )
    return tensor_of(leaf)
