"""`torch.func`: transformations of functions; `pmap` and its collectives besides."""

from ._mapping import vmap
from ._modules import (
    debug_unwrap,
    functional_call,
    functionalize,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from ._pmap import all_gather, axis_index, pmap, pmax, pmean, pmin, psum
from ._transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp

__all__ = [
    "all_gather", "axis_index", "debug_unwrap", "functional_call", "functionalize", "grad",
    "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "pmap", "pmax", "pmean",
    "pmin", "psum", "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip
