"""`torch.func`: transformations of functions; `pmap` and the ways to and from JAX besides."""

from ._from_jax import JaxFunction as JaxFunction, from_jax
from ._jax_module import module_from_jax
from ._mapping import vmap
from ._modules import (
    debug_unwrap,
    functional_call,
    functionalize,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from ._pmap import all_gather, axis_index, pmap, pmax, pmean, pmin, psum
from ._to_jax import to_jax
from ._transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp

__all__ = [
    "all_gather", "axis_index", "debug_unwrap", "from_jax", "functional_call", "functionalize",
    "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "module_from_jax", "pmap", "pmax", "pmean", "pmin", "psum",
    "replace_all_batch_norm_modules_", "stack_module_state", "to_jax", "vjp", "vmap",
]  # fmt: skip
