"""Applying kernels to tensors: recording, history, in-place writes and `out=`.

Invariant: an in-place operator is its functional form followed by one write and one version bump;
everything that can fail is checked before anything changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import nodes
from .dtypes import SCALAR_NAMES, can_cast
from .kernels import Kernel
from .layout import has_overlap
from .nodes import Edge, SavedTensor, short_name
from .state import state
from .tensor_base import (
    CUSTOM,
    DEFAULT,
    MULTI_OUTPUT,
    NO_GRAD,
    TensorBase,
    from_value,
    region_write,
)
from .trace import record
from .values import Value


def apply_kernel(
    kernel: Kernel, operands: Sequence[Any], strides: tuple[int, ...] | None = None
) -> list[Any]:
    """Apply a kernel to tensors and numbers; returns fresh tensors with their history."""
    values = [x._value() if isinstance(x, TensorBase) else x for x in operands]
    outs = record(kernel, values)
    made = [from_value(v, strides) for v in outs]
    if state.grad_enabled:
        edges = input_edges(operands)
        if edges is not None:
            link(kernel, operands, values, edges, made)
    return made


def input_edges(operands: Sequence[Any]) -> list[Edge | None] | None:
    """Where each operand's gradient goes; None when no operand requires one."""
    for x in operands:
        if isinstance(x, TensorBase) and (
            x._requires_grad or x._grad_fn is not None or x._base is not None
        ):
            break
    else:
        return None
    edges = [x._edge() if isinstance(x, TensorBase) else None for x in operands]
    return edges if any(e is not None for e in edges) else None


def link(
    kernel: Kernel,
    operands: Sequence[Any],
    values: Sequence[Any],
    edges: Sequence[Edge | None],
    made: Sequence[Any],
) -> None:
    """Give results their history, and note the versions of what torch would save."""
    for x in operands:
        if isinstance(x, TensorBase) and x._inference:
            raise RuntimeError(
                "Inference tensors cannot be saved for backward. Please do not use Tensors created "
                "in inference mode in computation tracked by autograd. To work around this, you can "
                "make a clone to get a normal tensor and use it in autograd, or use "
                "`torch.no_grad()` instead of `torch.inference_mode()`."
            )
    steps = nodes.history(kernel, values, edges)
    for tensor, step in zip(made, steps, strict=True):
        if step is not None:
            tensor._grad_fn, tensor._out_nr = step
    node: Any = next((s[0] for s in steps if s is not None), None)
    if node is None:
        return
    if kernel.saves_output:
        node.tensors.append((None, SavedTensor(made[0])))
    else:
        node.remember(operands)


def check_inplace(target: TensorBase, needs_grad: bool) -> None:
    """Raise torch's error when `target` may not be written in place now.

    `needs_grad` tells whether the target or another operand requires grad.
    """
    if target._inference and not state.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a "
            "clone to get a normal tensor before doing inplace update.See "
            "https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if state.grad_enabled and needs_grad:
        base = target._base
        if base is not None:
            _check_view(target)
            if target._needs_grad() and base._grad_fn is None:
                raise RuntimeError(
                    "a view of a leaf Variable that requires grad is being used in an in-place "
                    "operation."
                )
        elif target._requires_grad and target._grad_fn is None:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation."
            )
    if target._layout is not None and has_overlap(tuple(target._aval.shape), target._strides):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )


def _check_view(target: TensorBase) -> None:
    """Raise torch's error for writes, under autograd, to views that cannot be rebased."""
    if target._creation == DEFAULT:
        return
    fn = target._grad_fn
    prefix = "A view was created"
    if fn is not None:
        prefix = f"Output {target._out_nr} of {short_name(fn)} is a view"
    if target._creation == MULTI_OUTPUT:
        raise RuntimeError(
            f"{prefix} and is being modified inplace. This view is the output of a function that "
            "returns multiple views. Such functions do not allow the output views to be modified "
            "inplace. You should replace the inplace operation by an out-of-place one."
        )
    if target._creation == NO_GRAD:
        raise RuntimeError(
            "A view was created in no_grad mode and is being modified inplace with grad mode "
            "enabled. Given that this use case is ambiguous and error-prone, it is forbidden. You "
            "can clarify your code by moving both the view and the inplace either both inside the "
            "no_grad block (if you don't want the inplace to be tracked) or both outside (if you "
            "want the inplace to be tracked)."
        )
    if target._creation == CUSTOM:
        raise RuntimeError(
            f"{prefix} and is being modified inplace. This view was created inside a custom "
            "Function (or because an input was returned as-is) and the autograd logic to handle "
            "view+inplace would override the custom backward associated with the custom Function, "
            "leading to incorrect gradients. This behavior is forbidden. You can fix this by "
            "cloning the output of the custom Function."
        )


def write_inplace(
    target: TensorBase, kernel: Kernel, operands: Sequence[Any], *, cast: bool = True
) -> Any:
    """Run a kernel and write its (first) result into `target`, with torch's history rules.

    Raises: for leaves, overlapping memory, a result of another shape or of a dtype that does not
    fit, before anything is changed.
    """
    edges = input_edges(operands) if state.grad_enabled else None
    check_inplace(target, state.grad_enabled and (edges is not None or target._needs_grad()))
    result = kernel.out_avals[0]
    if cast and not can_cast(result.dtype, target._aval.dtype):
        raise RuntimeError(
            f"result type {SCALAR_NAMES[result.dtype]} can't be cast to the desired output type "
            f"{SCALAR_NAMES[target._aval.dtype]}"
        )
    if result.shape != target._aval.shape:
        raise RuntimeError(
            f"output with shape {list(target._aval.shape)} doesn't match the broadcast shape "
            f"{list(result.shape)}"
        )
    values = [x._value() if isinstance(x, TensorBase) else x for x in operands]
    new: Value = record(kernel, values)[0]
    step: Edge | None = None
    node: Any = None
    if edges is not None:
        step = nodes.history(kernel, values, edges)[0]
        node = step[0] if step is not None else None
    if node is not None and not kernel.saves_output:
        # torch clones the target's old content where its gradient needs it: not noted.
        node.remember([None if x is target else x for x in operands])
    if result.dtype is not target._aval.dtype:
        new, step = _cast_step(new, step, target._aval.dtype)
    commit(target, new, step)
    if node is not None and kernel.saves_output:
        node.tensors.append((None, SavedTensor(target)))
    return target


def _cast_step(value: Value, step: Edge | None, dt: Any) -> tuple[Value, Edge | None]:
    from .autograd import cast_kernel

    kernel = cast_kernel(value.aval, dt)
    (out,) = record(kernel, (value,))
    if step is not None:
        step = nodes.history(kernel, (value,), (step,))[0]
    return out, step


def commit(target: TensorBase, new: Value, step: Edge | None) -> None:
    """Write `new` into `target`'s memory, bump the version and rebase the history."""
    base = target._base
    old_edge = None
    if state.grad_enabled:
        old_edge = (base if base is not None else target)._edge()
    target._write(new)
    target._version_counter.version += 1
    if not state.grad_enabled or (step is None and old_edge is None):
        return
    if base is None:
        _set_history(target, step)
        return
    kernel, starts = region_write(base, target)
    edges = (old_edge, step, *[None] * len(starts))
    made = nodes.history(kernel, (None, None, *starts), edges)
    _set_history(base, made[0])
    target._attr_version = -1  # derive the view's history from the root's at its next use


def _set_history(tensor: TensorBase, step: Edge | None) -> None:
    tensor._requires_grad = False
    if step is None:
        tensor._grad_fn, tensor._out_nr = None, 0
    else:
        tensor._grad_fn, tensor._out_nr = step
