"""Backward: walks grad nodes in reverse order and records each node's vjp.

Invariants: a node runs once a pass, after every node that uses its outputs; gradients in flight are
(Value, edge) pairs, and edges exist only under create_graph; leaving the pass by an exception
leaves grad mode and trace as they were.
"""

from __future__ import annotations

import heapq
import itertools
import warnings
from collections.abc import Callable, Sequence, Set as AbstractSet
from typing import Any

import numpy as np

from .._basics.dtypes import SCALAR_NAMES
from .._basics.recorder import recorder
from .._basics.state import state
from .._basics.strides import is_dense
from .._core.trace import record
from .._core.values import Aval
from . import hooks
from .apply import cast_tensor
from .casting import cast_kernel
from .gradients import Buffer, add_vars, as_tensor, as_var, constant, sum_kernel
from .nodes import AccumulateGrad, Edge, Node, OpNode, Var, history, reverse
from .tensor_base import TensorBase, from_value


def accumulate(variable: Any, grad: Var, graph: bool) -> None:
    """Add `grad` to `variable.grad`: set it, add in place, or (create_graph) out of place."""
    have = variable._grad
    if have is None:
        made = as_tensor(grad) if graph else from_value(grad[0], _grad_strides(variable))
        variable._grad = made
    elif graph:
        variable._grad = as_tensor(add_vars(as_var(have, True), grad))
    else:
        (total,) = record(sum_kernel(grad[0].aval), (have._value(), grad[0]))
        have._write(total)
        have._version_counter.version += 1
    if variable._post_accumulate_hooks is not None:
        hooks.post_accumulate(variable)


def _grad_strides(variable: TensorBase) -> tuple[int, ...] | None:
    """torch's layout contract: a gradient is laid out as its (dense) variable."""
    if variable._is_plain:
        return None
    shape, strides = tuple(variable._aval.shape), tuple(variable._strides)
    return strides if is_dense(shape, strides) else None


# --- the pass ------------------------------------------------------------------------------------


class Pass:
    """One backward pass over the graph below `roots`."""

    # Nodes that it goes no further than.
    stops: AbstractSet[Node] = frozenset()

    def __init__(
        self,
        roots: Sequence[tuple[Edge, Var]],
        graph: bool,
        keep: bool,
        captured: Sequence[Edge] | None,
    ) -> None:
        # Whether gradients carry edges; with tangents about they do in any case.
        self.graph = graph or state.forward is not None
        self.creates_graph = graph
        self.keep = keep
        self.buffers: dict[Node, Buffer] = {}
        self.ready: list[tuple[int, int, Node]] = []
        self.counter = itertools.count()
        self.captures = captured
        self.captured: dict[Edge, Var] = {}
        self.waiting = self._count({edge[0]: None for edge, _ in roots})
        self.useful = None if captured is None else self._useful({e[0] for e in captured})
        for edge, var in roots:
            self._deliver(edge, var)
        for node in {edge[0]: None for edge, _ in roots}:
            if self.waiting.get(node, 0) == 0:
                self._push(node)

    def _count(self, roots: dict[Node, None]) -> dict[Node, int]:
        """How many edges lead to each node of the graph."""
        waiting: dict[Node, int] = {}
        stops = self.stops
        stack = [node for node in roots if node not in stops]
        self.nodes = seen = set(stack)
        if recorder is not None:
            return recorder.count(stack, seen, stops)  # type: ignore[no-any-return]
        while stack:
            for edge in stack.pop().edges:
                if edge is not None:
                    node = edge[0]
                    waiting[node] = waiting.get(node, 0) + 1
                    if node not in seen and node not in stops:
                        seen.add(node)
                        stack.append(node)
        return waiting

    def _useful(self, targets: set[Node]) -> set[Node]:
        """Nodes on a path to a target: the only ones that run in `grad(inputs=...)`."""
        useful: set[Node] = set(targets)
        for node in sorted(self.nodes, key=lambda n: n.sequence):
            if any(e is not None and e[0] in useful for e in node.edges):
                useful.add(node)
        return useful

    def _deliver(self, edge: Edge, var: Var) -> None:
        node, k = edge
        buffer = self.buffers.get(node)
        if buffer is None:
            buffer = self.buffers[node] = [None] * len(node.out_avals)
        have = buffer[k]
        buffer[k] = var if have is None else add_vars(have, var)

    def _push(self, node: Node) -> None:
        heapq.heappush(self.ready, (-node.sequence, next(self.counter), node))

    def run(self) -> None:
        """Run every node that is reached."""
        outer, enabled = state.backward_pass, state.grad_enabled
        state.backward_pass, state.grad_enabled = self, self.creates_graph
        try:
            while self.ready:
                node = self._next()
                if node is not None:
                    self._step(node)
        finally:
            state.backward_pass, state.grad_enabled = outer, enabled

    def _next(self) -> Node | None:
        """The next node to run; those before it that are plain have then run in C."""
        if (
            recorder is None or self.graph or self.captures is not None or state.anomaly
            or OpNode.apply is not _PLAIN_APPLY
        ):  # fmt: skip
            return heapq.heappop(self.ready)[2]
        found: Node | None = recorder.walk(
            self.ready, self.buffers, self.waiting, self.counter, self.keep
        )
        return found

    def will_run(self, node: Node | None) -> bool:
        """Whether gradients of this pass go through `node`."""
        return node in (self.nodes if self.useful is None else self.nodes & self.useful)

    def _step(self, node: Node) -> None:
        grads = self.buffers.pop(node, None) or [None] * len(node.out_avals)
        outs: Sequence[Var | None] = ()
        runs = True
        if self.captures is not None:
            runs = self._runs(node)
            if runs:  # of a node that goes on: before its hooks, as in torch
                self._capture(node, grads)
        if (node.tensor_hooks or node.retained) and (runs or self.will_run(node)):
            grads = hooks.tensor_hooks(node, grads, self.graph)
        if not runs:
            self._capture(node, grads)
        elif node.pre_hooks:
            grads = hooks.pre_hooks(node, grads, self.graph)
        if runs and grads.count(None) < len(grads):
            outs = node.apply(grads, self.graph)
            if state.anomaly:
                _check_nan(node, outs)
            if node.post_hooks:
                outs = hooks.post_hooks(node, outs, grads, self.graph)
        if runs and not self.keep:
            node.release()
        self._send(node, outs)

    def _send(self, node: Node, outs: Sequence[Var | None]) -> None:
        """Deliver gradients along the edges of a node; what waited for them last is ready."""
        waiting, given = self.waiting, len(outs)
        for k, edge in enumerate(node.edges):
            if edge is None:
                continue
            below = edge[0]
            if k < given:
                out = outs[k]
                if out is not None:
                    wanted = below.out_avals[edge[1]]
                    if out[0].aval is not wanted:
                        out = _fitted(out, wanted, node, k)
                    self._deliver(edge, out)
            left = waiting[below] = waiting[below] - 1
            if left == 0:
                self._push(below)

    def _runs(self, node: Node) -> bool:
        """Whether a node runs: it lies on the way to a target and is not the end of it."""
        if self.useful is None or self.captures is None:
            return True
        if node not in self.useful:
            return False
        return self._leads_on(node) or all(e[0] is not node for e in self.captures)

    def _leads_on(self, node: Node) -> bool:
        assert self.useful is not None
        return any(e is not None and e[0] in self.useful for e in node.edges)

    def _capture(self, node: Node, grads: Buffer) -> None:
        """Remember gradients that arrive at requested inputs."""
        for edge in self.captures or ():
            got = grads[edge[1]] if edge[0] is node else None
            if got is not None:
                self.captured[edge] = got


def _fitted(grad: Var, wanted: Aval, node: Node, position: int) -> Var:
    """A gradient in the dtype of what it belongs to.

    Raises: RuntimeError for another shape (the tensor was given other memory by `.data`).
    """
    have = grad[0].aval
    if have.shape != wanted.shape:
        raise RuntimeError(
            f"Function {node.name()} returned an invalid gradient at index {position} - "
            f"got {list(have.shape)} but expected shape compatible with {list(wanted.shape)}"
        )
    kernel = cast_kernel(have, wanted.dtype)
    (out,) = record(kernel, (grad[0],))
    return out, None if grad[1] is None else history(kernel, (grad[0],), (grad[1],))[0]


def _check_nan(node: Node, outs: Sequence[Var | None]) -> None:
    if not state.anomaly_check_nan:
        return
    for k, out in enumerate(outs):
        if out is not None and out[0].aval.dtype.category >= 2:
            if bool(np.isnan(out[0].host().astype(np.complex128)).any()):
                made = "".join(node.metadata.get("traceback_", []))
                warnings.warn(
                    f"Error detected in {node.name()}. Traceback of forward call that caused the "
                    f"error:\n{made}",
                    stacklevel=2,
                )
                raise RuntimeError(
                    f"Function '{node.name()}' returned nan values in its {k}th output."
                )


def run_backward(
    tensors: Sequence[Any],
    grads: Sequence[Any],
    keep: bool,
    graph: bool,
    inputs: Sequence[Any] | None = None,
    accumulate_inputs: bool = False,
) -> list[Any]:
    """Gradients of `tensors` (with cotangents `grads`); accumulated into leaves or returned.

    Raises: torch's RuntimeErrors for a missing graph, a non-scalar root without a gradient, a
    gradient of another shape, and a graph that was freed.
    """
    roots: list[tuple[Edge, Var]] = []
    for position, (tensor, grad) in enumerate(zip(tensors, grads, strict=True)):
        edge = reverse(tensor._edge())
        if edge is None:
            raise RuntimeError(
                f"element {position} of tensors does not require grad and does not have a grad_fn"
            )
        carries = graph or state.forward is not None
        roots.append((edge, _cotangent(position, tensor, grad, carries)))
    captured = None
    if inputs is not None:
        captured = [_input_edge(t) for t in inputs]
    work = Pass(roots, graph, keep, captured)
    queued, state.after_backward = state.after_backward, []
    try:
        work.run()
        for callback in state.after_backward:
            callback()
    finally:
        state.after_backward = queued
    if captured is None:
        return []
    got = [work.captured.get(edge) for edge in captured]
    if accumulate_inputs:
        for tensor, var in zip(inputs or (), got, strict=True):
            if var is not None:
                accumulate(tensor, var, graph)
        return []
    return [None if v is None else as_tensor(v) for v in got]


def queue_callback(callback: Callable[[], None]) -> None:
    """Call something when the backward pass that runs now has ended well."""
    state.after_backward.append(callback)


def _input_edge(tensor: Any) -> Edge:
    edge = reverse(tensor._edge())
    if edge is None:
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return edge


def _cotangent(position: int, tensor: Any, grad: Any, graph: bool) -> Var:
    aval = tensor._aval
    if grad is None:
        if aval.numel != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        if aval.dtype.is_complex:
            raise RuntimeError(
                "grad can be implicitly created only for real scalar outputs but got "
                f"{SCALAR_NAMES[aval.dtype]}"
            )
        return (constant(aval, 1.0, tensor._storage.device), None)
    if grad._aval.shape != aval.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{position}] has a shape of {grad._aval.shape} and "
            f"output[{position}] has a shape of {aval.shape}."
        )
    if grad._aval.dtype.is_complex != aval.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. "
            f"Mismatch in dtype: grad_output[{position}] has a dtype of {grad._aval.dtype} and "
            f"output[{position}] has a dtype of {aval.dtype}."
        )
    if grad._aval.dtype is not aval.dtype:
        grad = cast_tensor(grad, aval.dtype)
    return as_var(grad, graph)


def call_node(node: Node, grads: Sequence[Any]) -> Any:
    """Run one node on tensors (`grad_fn(g)`)."""
    given: Buffer = [None if g is None else as_var(g, state.grad_enabled) for g in grads]
    outs = node.apply(given, state.grad_enabled)
    made = tuple(None if o is None else as_tensor(o) for o in outs)
    return made[0] if len(made) == 1 else made


# Nodes are made by tensors, and running one alone makes tensors: what that takes is given here.
Node.run_alone = staticmethod(call_node)
AccumulateGrad.add_to = staticmethod(accumulate)

# Dispatch modes put another in its place.
_PLAIN_APPLY = OpNode.apply
if recorder is not None:
    recorder.use_backward(
        {
            "OpNode": OpNode, "AccumulateGrad": AccumulateGrad, "fitted": _fitted,
            "add_vars": add_vars, "heappush": heapq.heappush, "heappop": heapq.heappop,
        }
    )  # fmt: skip

__all__ = ["Pass", "accumulate", "call_node", "queue_callback", "run_backward"]
