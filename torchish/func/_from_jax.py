"""`from_jax`: a JAX function as an operator on tensors, part of recorded programs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._autograd.apply import apply_kernel, input_edges
from .._autograd.grad_mode import grad_mode
from .._autograd.interop import from_jax as tensor_of
from .._autograd.nodes import Node, Var, node_class
from .._autograd.tensor_base import TensorBase, from_value
from .._basics.devices import resolve
from .._basics.memo import Memo
from .._basics.state import state
from .._basics.tracebacks import tidied
from .._core.kernels import Kernel
from .._core.trace import record_on
from .._core.values import Value, aval_of_array

_ARRAY = object()


def from_jax(function: Callable[..., Any]) -> Callable[..., Any]:
    """A JAX function as a function of tensors, with gradients of every order; also a decorator.

    It is traced once for each kind of arguments (shapes, dtypes, structure, values of what is not
    an array) and becomes part of the program that is being recorded.

    Args:
        function: takes and returns arrays and containers that JAX knows (pytrees): the apply
            function of a model, a loss of optax, a Pallas kernel. Make the operator once, outside
            of loops: each call of `from_jax` traces anew.
    Returns: a function that takes tensors where `function` takes arrays. Arrays of JAX or numpy
        among its arguments are data without gradient; anything else is static and must be hashable.
    Raises: TypeError in calls with static arguments that cannot be hashed, or results that are not
        arrays.

    Example:
        >>> gelu = torchish.func.from_jax(jax.nn.gelu)
        >>> x = torch.ones(3, requires_grad=True)
        >>> gelu(x).sum().backward()
    """
    if not callable(function):
        raise TypeError(
            f"torchish.func.from_jax needs a JAX function, not {type(function).__name__}; an array "
            "becomes a tensor by torchish.from_jax"
        )
    return JaxFunction(function)


class JaxFunction:
    """A JAX function that is called with tensors."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        # A model may be a function too: what is copied is what functions have.
        functools.update_wrapper(self, function, updated=())
        self.name = getattr(function, "__name__", type(function).__name__).strip("<>")
        self.kernels: Memo[tuple[Kernel, Any]] = Memo(256)

    def __repr__(self) -> str:
        return f"<operator of the JAX function {self.name}>"

    def __deepcopy__(self, memo: Any) -> JaxFunction:
        return self

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.is_captured():
            return state.compiled.outside(self, args, kwargs, "from_jax")
        leaves, tree = jax.tree_util.tree_flatten((args, kwargs))
        operands, specs = _taken(leaves)
        avals = tuple(x._aval for x in operands)
        key = (tree, specs, avals, jax.config.jax_enable_x64)  # type: ignore[attr-defined]
        try:
            hash(specs)
        except TypeError as error:
            raise TypeError(
                f"{self!r}: an argument that is no array has to be hashable, for it is part of the "
                f"program ({error})"
            ) from None
        found = self.kernels.find(key, lambda: self._kernel(tree, specs, avals))
        kernel, shape = found
        return jax.tree_util.tree_unflatten(shape, self._applied(kernel, operands))

    def _applied(self, kernel: Kernel, operands: Sequence[Any]) -> list[Any]:
        if not operands:
            return [from_value(v) for v in record_on(resolve(None), kernel, ())]
        edges = input_edges(operands) if state.grad_enabled else None
        if edges is None:
            return apply_kernel(kernel, operands)
        try:
            kernel.needed_for(tuple(k for k, e in enumerate(edges) if e is not None and
                                    operands[k]._aval.dtype.category >= 2))  # fmt: skip
        except Exception as error:  # what JAX raises for it is of many classes
            return self._without_derivative(kernel, operands, edges, error)
        return apply_kernel(kernel, operands)

    def _without_derivative(
        self, kernel: Kernel, operands: Sequence[Any], edges: Sequence[Any], error: Exception
    ) -> list[Any]:
        """Results whose backward says why JAX cannot differentiate the function."""
        with grad_mode(False):
            outs = apply_kernel(kernel, operands)
        node: Any = node_class(kernel.grad_name, _NoDerivative)(edges, kernel.out_avals)
        node.reason = (
            f"JAX cannot differentiate {self.name} ({tidied(error)}). Give it a derivative with "
            "jax.custom_vjp."
        )
        for k, out in enumerate(outs):
            if kernel.differentiable[k]:
                out._grad_fn, out._out_nr = node, k
        return outs

    def _kernel(self, tree: Any, specs: Sequence[Any], avals: Sequence[Any]) -> tuple[Kernel, Any]:
        x64 = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        function, shapes = self.function, []

        def fn(*arrays: Any) -> tuple[Any, ...]:
            given = iter(arrays)
            leaves = [_leaf(spec, given) for spec in specs]
            args, kwargs = jax.tree_util.tree_unflatten(tree, leaves)
            with jax.enable_x64(x64):  # the user's choice: theirs is 32-bit code, perhaps
                outs, shape = jax.tree_util.tree_flatten(function(*args, **kwargs))
                shapes.append(shape)
                return tuple(_result(x, self) for x in outs)

        kernel = Kernel(self.name, fn, avals, grad_name=f"{self.name}Backward0")
        return kernel, shapes[-1]


class _NoDerivative(Node):
    """History of a function that JAX cannot differentiate: backward fails."""

    reason: str

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Say why."""
        raise RuntimeError(self.reason)


def _taken(leaves: Sequence[Any]) -> tuple[list[Any], tuple[Hashable, ...]]:
    """The operands among the leaves of a call's arguments, and how each leaf is made again."""
    operands: list[Any] = []
    specs: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, TensorBase):
            operands.append(leaf)
            specs.append((_ARRAY, None))
        elif isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            operands.append(tensor_of(jax.random.key_data(leaf)))
            specs.append((_ARRAY, str(jax.random.key_impl(leaf))))
        elif isinstance(leaf, jax.Array):
            operands.append(tensor_of(leaf))
            specs.append((_ARRAY, None))
        elif isinstance(leaf, np.ndarray):
            operands.append(from_value(Value(leaf.copy(), aval_of_array(leaf))))
            specs.append((_ARRAY, None))
        else:
            specs.append((type(leaf), leaf))  # 1, 1.0 and True are equal, but not the same
    return operands, tuple(specs)


def _leaf(spec: tuple[Any, Any], arrays: Any) -> Any:
    kind, detail = spec
    if kind is not _ARRAY:
        return detail
    array = next(arrays)
    return array if detail is None else jax.random.wrap_key_data(array, impl=detail)


def _result(x: Any, function: JaxFunction) -> Any:
    try:
        made = jnp.asarray(x)
    except TypeError as error:
        raise TypeError(
            f"{function!r} returned {type(x).__name__}, which is no array: {error}"
        ) from None
    if jnp.issubdtype(made.dtype, jax.dtypes.prng_key):
        raise TypeError(
            f"{function!r} returned a typed key, which no tensor can be; return "
            "jax.random.key_data(key) instead"
        )
    return made
