"""Gradients in flight: a Value, and the edge of its own history (create_graph) or None."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp

from .._basics.memo import Memo
from .._basics.state import process, state
from .._core import store
from .._core.kernels import Kernel
from .._core.trace import record, record_on
from .._core.values import Aval, Value
from .nodes import Var, history
from .tensor_base import TensorBase, from_value

Buffer = list[Var | None]


_SUMS: Memo[Kernel] = Memo()
_CONSTANTS: Memo[Kernel] = Memo()


def sum_kernel(aval: Aval) -> Kernel:
    """The kernel that adds two gradients of one aval."""

    def make() -> Kernel:
        return Kernel(
            "add", lambda a, b: (a + b,), (aval, aval), (aval,), grad_name="AddBackward0",
            identity=store.identity("sum of gradients", aval),
        )  # fmt: skip

    return _SUMS.find(aval, make)


def add_vars(a: Var, b: Var) -> Var:
    """The sum of two gradients of one shape."""
    kernel = sum_kernel(a[0].aval)
    values = (a[0], b[0])
    (out,) = record(kernel, values)
    if a[1] is None and b[1] is None:
        return (out, None)
    return (out, history(kernel, values, (a[1], b[1]))[0])


def constant(aval: Aval, number: float, dev: Any) -> Value:
    """A Value filled with `number`, made inside the program."""

    def make() -> Kernel:
        shape, dt = tuple(aval.shape), aval.dtype.np
        return Kernel(
            "full", lambda: (jnp.full(shape, number, dt),), (), (aval,),
            identity=store.identity("constant", aval, number),
        )  # fmt: skip

    return record_on(dev, _CONSTANTS.find((aval, number), make), ())[0]


def as_tensor(var: Var) -> Any:
    """A gradient in flight as a tensor (hooks, `.grad`, results of `grad`)."""
    made = from_value(var[0])
    if var[1] is not None:
        made._grad_fn, made._out_nr = var[1]
    return made


def as_var(tensor: TensorBase, graph: bool) -> Var:
    """A tensor as a gradient in flight."""
    edge = tensor._edge() if graph else None
    if edge is not None and state.forward is not None and not state.grad_enabled:
        edge = state.forward.forward_only(edge)
    return (tensor._value(), edge)


def with_gradients(params: Iterable[Any]) -> list[tuple[Any, Any]]:
    """The parameters that have a gradient, and that; read without a call where `.grad` is ours."""
    found = []
    ours, known, is_ours = process.tensor_class.grad, None, False
    for param in params:
        if type(param) is not known:
            known = type(param)
            is_ours = known.grad is ours
        grad = param._grad if is_ours else None
        if grad is None:
            grad = param.grad
        if grad is not None:
            found.append((param, grad))
    return found


def clear(params: Iterable[Any], set_to_none: bool) -> None:
    """Drop the gradients of parameters, or fill them with zeros, cut from their history."""
    for param, grad in with_gradients(params):
        if set_to_none:
            if param._grad is grad:
                param._grad = None
            else:
                param.grad = None
            continue
        if grad.grad_fn is not None:
            grad.detach_()
        else:
            grad.requires_grad_(False)
        grad.zero_()
