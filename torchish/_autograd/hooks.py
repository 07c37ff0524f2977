"""Calling the hooks of a backward pass, and torch's checks of what they return.

Order at a node: hooks of the tensors that are its outputs, retained gradients, prehooks of the
node, the node itself, its post-hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._basics.dtypes import SCALAR_NAMES
from .gradients import Buffer, add_vars, as_tensor, as_var
from .nodes import Node, Var
from .tensor_base import TensorBase, from_value


def tensor_hooks(node: Node, grads: Buffer, graph: bool) -> Buffer:
    """The gradients after the hooks of the tensors that are outputs of `node`."""
    if node.tensor_hooks:
        for k, hooks in node.tensor_hooks.items():
            for hook in list(hooks.values()):
                grad = grads[k]
                if grad is not None:
                    got = hook(as_tensor(grad))
                    if got is not None:
                        grads[k] = _checked(hook, grad, got, graph)
    if node.retained:
        for k, ref in node.retained.items():
            tensor, grad = ref(), grads[k]
            if tensor is not None and grad is not None:
                _retain(tensor, grad, graph)
    return grads


def pre_hooks(node: Node, grads: Buffer, graph: bool) -> Buffer:
    """The gradients after the prehooks of `node`."""
    for hook in list((node.pre_hooks or {}).values()):
        got = hook(tuple(None if g is None else as_tensor(g) for g in grads))
        if got is not None:
            grads = _checked_tuple(hook, grads, got, graph)
    return grads


def post_hooks(
    node: Node, outs: Sequence[Var | None], grads: Buffer, graph: bool
) -> Sequence[Var | None]:
    """The gradients of the inputs after the hooks of `node`."""
    for hook in list((node.post_hooks or {}).values()):
        inputs = tuple(None if o is None else as_tensor(o) for o in outs)
        outputs = tuple(None if g is None else as_tensor(g) for g in grads)
        got = hook(inputs, outputs)
        if got is not None:
            outs = _checked_tuple(hook, outs, got, graph)
    return outs


def post_accumulate(variable: Any) -> None:
    """Call the hooks that run once `.grad` has changed.

    Raises: torch's RuntimeError when one returns something.
    """
    for hook in list(variable._post_accumulate_hooks.values()):
        got = hook(variable)
        if got is None:
            continue
        if not isinstance(got, TensorBase):
            raise TypeError(f"expected Variable, but hook returned '{type(got).__name__}'")
        raise RuntimeError("Tensor post accumulate grad hooks should return None.")


def _retain(tensor: Any, grad: Var, graph: bool) -> None:
    have = tensor._grad
    made = as_tensor(grad) if graph else from_value(grad[0])
    tensor._grad = made if have is None else as_tensor(add_vars(as_var(have, graph), grad))


def _checked_tuple(
    hook: Callable[..., Any], before: Sequence[Var | None], got: Any, graph: bool
) -> list[Var | None]:
    if not isinstance(got, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(got).__name__}'")
    if len(got) != len(before):
        raise RuntimeError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(got)}, but "
            f"expected {len(before)})"
        )
    return [
        None if new is None else _checked(hook, old, new, graph)
        for old, new in zip(before, got, strict=True)
    ]


def _checked(hook: Callable[..., Any], before: Var | None, got: Any, graph: bool) -> Var:
    """What a hook returned in place of a gradient, as a gradient.

    Raises: torch's errors for anything but a tensor of the same type and size.
    """
    if before is None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    if not isinstance(got, TensorBase):
        raise TypeError(f"expected Variable, but hook returned '{type(got).__name__}'")
    aval = before[0].aval
    types = [
        f"torch.{'' if dev.type == 'cpu' else dev.type + '.'}{SCALAR_NAMES[a.dtype]}Tensor"
        for a, dev in ((aval, before[0].device), (got._aval, got._storage.device))
    ]
    if types[0] != types[1]:
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the type of value (was {types[0]} got {types[1]})"
        )
    if got._aval.shape != aval.shape:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the size of value")
    return as_var(got, graph)


def _name(hook: Callable[..., Any]) -> str:
    return getattr(hook, "__name__", "<unknown>")
