"""Tensors as arguments of JAX functions: `jnp.sin(torch.ones(3))`.

`__jax_array__` serves what looks for it (`jnp.asarray`, arithmetic with arrays); a function under
`jax.jit`, as most of jnp is, asks JAX's tables of types instead. They are not public: without them
(in another version of JAX) such a call says that the tensor has to be converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._tensor.tensor import Tensor


def register() -> None:
    """Enter tensors into JAX's tables: how one looks, and how its array is had."""
    try:
        from jax._src import core, dtypes
        from jax._src.interpreters import mlir, pxla

        enter_type = core.pytype_aval_mappings.__setitem__
        enter_argument = pxla.shard_arg_handlers.__setitem__
        enter_value = dtypes.register_canonicalize_value_handler
        enter_constant, constant = mlir.register_constant_handler, mlir.ir_constant
    except (ImportError, AttributeError):
        return

    def aval(tensor: Any) -> Any:
        return core.typeof(tensor.jax())

    def argument(tensors: Sequence[Any], *rest: Any) -> Any:
        shardings, layouts, semantics = rest
        return pxla.shard_args(shardings, layouts, semantics, [t.jax() for t in tensors])

    enter_type(Tensor, aval)
    enter_argument(Tensor, argument)
    enter_value(Tensor, lambda tensor: tensor.jax())
    enter_constant(Tensor, lambda tensor, aval: constant(tensor.jax()))
