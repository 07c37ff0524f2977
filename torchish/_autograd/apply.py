"""Applying kernels to tensors: recording, history, in-place writes and `out=`.

Invariant: an in-place operator is its functional form followed by one write and one version bump;
everything that can fail is checked before anything changes.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from .._basics.dtypes import SCALAR_NAMES, can_cast
from .._basics.memory import check_size
from .._basics.settings import settings
from .._basics.state import state
from .._basics.strides import has_overlap, is_dense
from .._core.kernels import Kernel
from .._core.trace import record
from .._core.values import Value
from . import nodes
from .casting import cast_kernel
from .nodes import Edge, Node, SavedTensor
from .overlap import last_kernel, shares_itself, write_shared
from .saved import pack
from .tensor_base import (
    TensorBase,
    check_rebase,
    from_value,
    from_values,
    region_read,
    region_write,
    set_history,
)


def apply_kernel(kernel: Kernel, operands: Sequence[Any], strides: Any = None) -> list[Any]:
    """Apply a kernel to tensors and numbers; returns fresh tensors with their history.

    `strides` are those of all results, or a list of each one's (None: row-major).
    """
    if kernel.out_bytes > settings.max_bytes:
        _check_room(kernel, operands)
    values = [x._value() if isinstance(x, TensorBase) else x for x in operands]
    outs = record(kernel, values)
    if type(strides) is list:
        made = [from_value(v, s) for v, s in zip(outs, strides, strict=True)]
    else:
        made = [from_value(v, strides) for v in outs]
    if state.grad_enabled or state.forward is not None:
        edges = input_edges(operands)
        if edges is not None:
            link(kernel, operands, values, edges, made)
    return made


def _check_room(kernel: Kernel, operands: Sequence[Any]) -> None:
    """Raise torch's error for results too large, which never need as much for their operands.

    Torch reads a view where it is; here reading an expanded one may be what finds no room.
    """
    home = next((x._storage.device for x in operands if isinstance(x, TensorBase)), None)
    for aval in kernel.out_avals:
        check_size(aval.shape, aval.dtype.itemsize, home)


def input_edges(operands: Sequence[Any]) -> list[Edge | None] | None:
    """Where each operand's gradient goes; None when no operand requires one."""
    edges: list[Edge | None] = []
    found = False
    for x in operands:
        edge = x._edge() if isinstance(x, TensorBase) else None
        found = found or edge is not None
        edges.append(edge)
    return edges if found else None


def without_gradient(x: Any) -> Any:
    """`x` where torch has no gradient for it: the result has a history, `x.grad` stays None."""
    if not isinstance(x, TensorBase) or not x._needs_grad():
        return x
    dropped: Any = x
    dropped = dropped.detach()
    dropped._grad_fn = nodes.NOWHERE
    return dropped


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
                "in inference mode in computation tracked by autograd. To work around this, you "
                "can make a clone to get a normal tensor and use it in autograd, or use "
                "`torch.no_grad()` instead of `torch.inference_mode()`."
            )
    steps = nodes.history(kernel, values, edges)
    for tensor, step in zip(made, steps, strict=True):
        if step is not None:
            tensor._grad_fn, tensor._out_nr = step
    node = _kernels_node(steps)
    if node is None:
        return
    if kernel.saves_output:
        node.tensors = [(None, SavedTensor(made[0]))]
    else:
        node.remember(operands)
    if state.saved_hooks:
        pack(node, operands, made)


def _kernels_node(steps: Sequence[Edge | None]) -> Any:
    """The node that keeps something for the backward of a kernel, if there is one."""
    for step in steps:
        while step is not None and step[0].is_dual:
            step = step[0].edges[0]
        if step is not None:
            return step[0]
    return None


def check_inplace(target: TensorBase, needs_grad: bool | None = None) -> None:
    """Raise torch's error when `target` may not be written in place now (no other operands)."""
    check_history(target, target._needs_grad() if needs_grad is None else needs_grad)
    check_overlap(target, (target,))


def check_history(target: TensorBase, needs_grad: bool) -> None:
    """Raise torch's error when autograd forbids an in-place write to `target` now.

    `needs_grad` tells whether the target or another operand requires grad.
    """
    if target._inference and not state.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make "
            "a clone to get a normal tensor before doing inplace update.See "
            "https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if not (state.grad_enabled and needs_grad):
        return
    base = target._base
    if base is not None:
        check_rebase(target, indirect=False)
        root = base._grad_fn
        if target._needs_grad() and (root is None or root.stands_for_leaf):
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place "
                "operation."
            )
    elif (target._requires_grad and target._grad_fn is None) or (
        target._grad_fn is not None and target._grad_fn.stands_for_leaf
    ):
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )


_SHARED = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    "memory location. Please clone() the tensor before performing the operation."
)


class SharedWrite(Node):
    """History of memory that was written through an expanded view: torch fails on the way back."""

    def apply(self, grads: list[Any], graph: bool) -> list[Any]:
        """Raise torch's error."""
        raise RuntimeError(_SHARED)


SharedWrite.__name__ = SharedWrite.__qualname__ = "CopySlices"


def check_overlap(target: TensorBase, operands: Sequence[Any], resized: bool = False) -> None:
    """Raise torch's error when a write would go through memory that elements share.

    A target that will be `resized` first shares nothing with itself then.
    """
    if target._layout is None and all(x is target for x in operands):
        return
    if not resized and has_overlap(tuple(target._aval.shape), target._strides):
        raise RuntimeError(_SHARED)
    for x in operands:
        if isinstance(x, TensorBase) and x is not target and x._storage is target._storage:
            if _partly_overlaps(target, x):
                raise RuntimeError(
                    "unsupported operation: some elements of the input tensor and the written-to "
                    "tensor refer to a single memory location. Please clone() the tensor before "
                    "performing the operation."
                )


def warn_expanded(target: TensorBase, name: str) -> None:
    """torch's warning for an operator that should not write through expanded dims, but does."""
    if has_overlap(tuple(target._aval.shape), target._strides):
        also = _ALSO.get(name, "")
        warnings.warn(
            f"Use of {name} on expanded tensors is deprecated. Please clone() the tensor before "
            f"performing this operation. This also applies to advanced indexing e.g. {also}",
            stacklevel=2,
        )


_ALSO = {
    "masked_fill_": "tensor[mask] = scalar",
    "index_fill_": "tensor[mask] = scalar",
    "index_put_": "tensor[indices] = tensor",
}


def _partly_overlaps(a: TensorBase, b: TensorBase) -> bool:
    """Whether two dense layouts on one storage share some elements but are not the same."""
    layouts = [(tuple(t._aval.shape), tuple(t._strides)) for t in (a, b)]
    if not all(is_dense(*layout) for layout in layouts) or 0 in (a._aval.numel, b._aval.numel):
        return False
    spans = [
        (t._offset * t._aval.dtype.itemsize, (t._offset + t._aval.numel) * t._aval.dtype.itemsize)
        for t in (a, b)
    ]
    if spans[0] == spans[1]:
        return layouts[0][1] != layouts[1][1]
    return bool(spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1])


def write_inplace(
    target: TensorBase,
    make: Kernel | Callable[[], Kernel],
    operands: Sequence[Any],
    *,
    cast: bool = True,
    overlap: str = "merge",
    expanded: str = "refuse",
    key: Sequence[Any] = (),
    first: Callable[[], object] | None = None,
) -> Any:
    """Run a kernel and write its (first) result into `target`, with torch's history rules.

    `make` gives the kernel; it runs after the checks that torch makes before it looks at shapes.
    `first` raises for shapes and dims where torch looks at these before it looks at the memory.
    `overlap` is how elements that share memory are written (see overlap.py; `key` is the
    operator's: avals and static arguments), `expanded`
    whether torch writes through expanded dims: "refuse", "write", or the name that it warns about.

    Raises: for leaves, overlapping memory, a result of another shape or of a dtype that does not
    fit, before anything is changed.
    """
    tensors = [x for x in operands if isinstance(x, TensorBase)]
    check_history(target, target._needs_grad() or any(t._needs_grad() for t in tensors))
    tracked = state.grad_enabled or state.forward is not None
    edges = input_edges(operands) if tracked else None
    if edges is not None and target._base is not None and _has_hooks(target._grad_fn):
        # the region's new history does not pass the view's old node, nor the hooks there
        fresh = _region_edge(target)
        edges = [fresh if x is target else e for x, e in zip(operands, edges, strict=True)]
    if expanded == "refuse":
        if first is not None and target._layout is not None:
            first()
        check_overlap(target, operands)
    elif expanded != "write" and target._layout is not None:
        warn_expanded(target, expanded)
    shared = target._layout is not None and shares_itself(
        tuple(target._aval.shape), tuple(target._strides)
    )
    if edges is not None and shared and target._base is not None and operands[0] is target:
        edges = [_last_edge(target), *edges[1:]]
    kernel = make if isinstance(make, Kernel) else make()
    result = kernel.out_avals[0]
    if result.shape != target._aval.shape:
        raise RuntimeError(
            f"output with shape {list(target._aval.shape)} doesn't match the broadcast shape "
            f"{list(result.shape)}"
        )
    if cast and not can_cast(result.dtype, target._aval.dtype):
        raise RuntimeError(
            f"result type {SCALAR_NAMES[result.dtype]} can't be cast to the desired output type "
            f"{SCALAR_NAMES[target._aval.dtype]}"
        )
    values = [x._value() if isinstance(x, TensorBase) else x for x in operands]
    new: Value = record(kernel, values)[0]
    step: Edge | None = None
    node: Any = None
    if edges is not None:
        step = nodes.history(kernel, values, edges)[0]
        node = _kernels_node((step,))
    if node is not None and not kernel.saves_output:
        # torch clones the target's old content where its gradient needs it: not noted. The same
        # tensor as another operand is: its gradient fails then, as in torch.
        node.remember([None if x is target and k == 0 else x for k, x in enumerate(operands)])
    if result.dtype is not target._aval.dtype:
        new, step = _cast_step(new, step, target._aval.dtype)
    write = None
    if shared:
        write = functools.partial(write_shared, target, kernel, operands, new, overlap, key)
    commit(target, new, step, kernel.name, write)
    if node is not None and kernel.saves_output:
        node.tensors = [(None, SavedTensor(target))]
    if node is not None and state.saved_hooks:
        assert edges is not None
        before = [
            from_values((v,), (e,))[0] if x is target else x
            for x, v, e in zip(operands, values, edges, strict=True)
        ]
        pack(node, before, (target,))
    return target


def _has_hooks(node: Any) -> bool:
    return node is not None and bool(
        node.tensor_hooks or node.retained or node.pre_hooks or node.post_hooks
    )


def _region_edge(view: TensorBase) -> Edge | None:
    """A history of `view` as the part of its base that it is."""
    edge = view._base._edge()
    if edge is None:
        return None
    kernel, starts = region_read(view._base, view)
    return nodes.history(kernel, (None, *starts), (edge, *[None] * len(starts)))[0]


def _last_edge(target: TensorBase) -> Edge | None:
    """A history of what a target that shares itself held: each location is its last element."""
    edge = _region_edge(target)
    if edge is None:
        return None
    kernel = last_kernel(target._aval, tuple(target._strides))
    return nodes.history(kernel, (None,), (edge,))[0]


def cast_tensor(tensor: Any, dt: Any) -> Any:
    """A copy of `tensor` in another dtype, with history."""
    return apply_kernel(cast_kernel(tensor._aval, dt), (tensor,))[0]


def _cast_step(value: Value, step: Edge | None, dt: Any) -> tuple[Value, Edge | None]:
    kernel = cast_kernel(value.aval, dt)
    (out,) = record(kernel, (value,))
    if step is not None:
        step = nodes.history(kernel, (value,), (step,))[0]
    return out, step


def commit(
    target: TensorBase,
    new: Value,
    step: Edge | None,
    name: str = "copy",
    write: Callable[[], None] | None = None,
) -> None:
    """Write `new` into `target`'s memory, bump the version and rebase the history.

    `write` stands in for a plain write of `new`.
    Raises: RuntimeError when a transformation of functions that runs now forbids it.
    """
    for transform in state.transforms:
        transform.before_write(target, new, step, name)
    tracked = state.grad_enabled or state.forward is not None
    old_edge = root_edge(target) if tracked else None
    if write is None:
        target._write(new)
    else:
        write()
    target._version_counter.version += 1
    rebase(target, old_edge, step)


def root_edge(target: TensorBase) -> Edge | None:
    """Where the gradient of `target`, or of the base it is a view of, goes now."""
    edge: Edge | None = (target if target._base is None else target._base)._edge()
    return edge


def rebase(target: TensorBase, old_edge: Edge | None, step: Edge | None) -> None:
    """Give what was written in place its history: `step`, and for a view what its base had."""
    if not state.grad_enabled:
        if state.forward is not None:
            _rebase_tangents(target, old_edge, step)
        return
    if step is None and old_edge is None:
        return
    base = target._base
    if base is None:
        set_history(target, step)
        return
    if has_overlap(tuple(target._aval.shape), target._strides):
        set_history(base, (SharedWrite((), (base._aval,)), 0))
        target._attr_version = -1
        return
    made = _merged(base, target, old_edge, step)
    node = _kernels_node((made,))
    if node is not None:
        node.holds_tensors = True  # torch frees it always
    set_history(base, made)
    target._attr_version = -1  # derive the view's history from the root's at its next use


def _merged(
    base: TensorBase, view: TensorBase, old_edge: Edge | None, step: Edge | None
) -> Edge | None:
    """The history of a base whose part `view` was written."""
    kernel, starts = region_write(base, view)
    edges = (old_edge, step, *[None] * len(starts))
    return nodes.history(kernel, (None, None, *starts), edges)[0]


def _rebase_tangents(target: TensorBase, old_edge: Edge | None, step: Edge | None) -> None:
    """`rebase` where gradients are off: tangents change, and nothing else."""
    if not any(e is not None and e[0].is_dual for e in (old_edge, step)):
        return
    tensor = target
    if target._base is not None:
        tensor = target._base
        step = _merged(tensor, target, old_edge, step)
        target._attr_version = -1
    kept = nodes.reverse(old_edge)
    if step is not None:
        step = step[0].over(kept), 0  # type: ignore[attr-defined]
    elif kept is not None and not isinstance(kept[0], nodes.AccumulateGrad):
        step = kept
    tensor._grad_fn, tensor._out_nr = (None, 0) if step is None else step
