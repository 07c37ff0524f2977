"""Grad nodes: what a result remembers of how it was made.

Invariants: a node refers to its inputs' nodes, never to its own outputs (no reference cycles); what
it saves are immutable Values, so an in-place write cannot corrupt a gradient. The version numbers
it also keeps serve one purpose: to raise torch's error where torch raises it.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from .._basics.dtypes import SCALAR_NAMES, float32
from .._basics.recorder import recorder
from .._basics.state import process, state
from .._core.kernels import Kernel
from .._core.trace import record
from .._core.values import Aval, Value, aval_of
from .._core.view import View

# A gradient in flight: its Value, and the edge of its own history (create_graph) or None.
Edge = tuple["Node", int]
Var = tuple[Value, Edge | None]

sequence = itertools.count()

# Where an operand's gradient goes: nowhere at all, to a node, to NOWHERE, to a node with a tangent.
_NONE, _SOMEWHERE, _LOST, DUAL = range(4)


def next_sequence() -> int:
    """A number between the grad nodes made before and those made after."""
    return next(sequence)


FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)


CUT = (
    "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_().This is "
    "not supported, please use out-of-place `.detach()` instead"
)
_CPP_KINDS = ("AccumulateGrad", "CopyBackwards", "CopySlices")


class Node:
    """Base of all grad nodes; `tensor.grad_fn` is one."""

    __module__ = "torch.autograd.graph"

    edges: Sequence[Edge | None]
    out_avals: Sequence[Aval]
    # Whether its outputs are leaves to the user, as the inputs of `func.grad` are.
    stands_for_leaf = False
    # The outputs whose tensors were cut off in place (`detach_`).
    cut: frozenset[int] = frozenset()
    # Where gradients that are sent here go (_SOMEWHERE, _LOST or DUAL).
    flow = _SOMEWHERE
    # Whether it carries a tangent (forward.py), and whether gradients flow backward from it.
    is_dual = False
    is_reverse = True
    # `grad_fn(g)` on tensors; given by backward.py.
    run_alone: Any = None
    # The defaults stand on the class, so that making a node sets only what differs.
    pre_hooks: dict[int, Callable[..., Any]] | None = None
    post_hooks: dict[int, Callable[..., Any]] | None = None
    # Hooks of tensors, by output number: (id -> function), and weak tensors that retain grad.
    tensor_hooks: dict[int, dict[int, Callable[..., Any]]] | None = None
    retained: dict[int, Any] | None = None
    _metadata: dict[Any, Any] | None = None

    def __init__(self, edges: Sequence[Edge | None], out_avals: Sequence[Aval]) -> None:
        self.edges = edges
        self.out_avals = out_avals
        self.sequence = next(sequence)
        if state.anomaly:
            self.metadata["traceback_"] = _user_stack()

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Edges towards the inputs, as torch shows them."""
        shown = self._shown_edges()
        return tuple((None, 0) if e is None or e[0] is NOWHERE else e for e in shown)

    def _shown_edges(self) -> Sequence[Edge | None]:
        return self.edges

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for the user's own notes."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    def name(self) -> str:
        """The name of this node, such as `MulBackward0`; torch's own kinds have C++ names."""
        name = type(self).__name__
        return f"torch::autograd::{name}" if name in _CPP_KINDS else name

    def _sequence_nr(self) -> int:
        return self.sequence

    def register_hook(self, fn: Callable[..., Any]) -> Any:
        """Call `fn(grad_inputs, grad_outputs)` after this node has run."""
        if self.post_hooks is None:
            self.post_hooks = {}
        return add_hook(self.post_hooks, fn)

    def register_prehook(self, fn: Callable[..., Any]) -> Any:
        """Call `fn(grad_outputs)` before this node runs."""
        if self.pre_hooks is None:
            self.pre_hooks = {}
        return add_hook(self.pre_hooks, fn)

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Gradients of the inputs from those of the outputs."""
        raise NotImplementedError(type(self).__name__)

    def release(self) -> None:
        """Drop what was saved (backward without retain_graph)."""

    def __call__(self, *grads: Any) -> Any:
        """Run this node alone on tensors, as torch's Python binding does."""
        return self.run_alone(self, grads)


class HookHandle:
    """Removes a hook; also a context manager."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[int, Callable[..., Any]]) -> None:
        self.hooks = hooks
        self.id = next(HookHandle._ids)

    def remove(self) -> None:
        """Take the hook out; a second call does nothing."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def add_hook(hooks: dict[int, Callable[..., Any]], fn: Callable[..., Any]) -> HookHandle:
    """Register `fn` in `hooks`; returns its handle."""
    handle = HookHandle(hooks)
    hooks[handle.id] = fn
    return handle


_new = object.__new__


@functools.cache
def node_class(name: str, base: type[Node]) -> type[Any]:
    """The class of grad nodes called `name` (torch makes one per operator)."""
    return type(name, (base,), {"__module__": "builtins"})


class _Nowhere(Node):
    """Where the gradient of a view goes that was made under no_grad: it is dropped, as in torch."""

    flow = _LOST

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Drop the gradient."""
        return ()


NOWHERE = _Nowhere((), (aval_of((), float32),))


class Keeping:
    """What the nodes of a kernel have in common where gradients go to the same inputs.

    `flows` tells for each input whether its gradient goes anywhere, `wanted` which are asked for
    (one that goes NOWHERE is not), `kept` which inputs are saved for that.
    """

    __slots__ = ("flows", "gradients", "holds_tensors", "kept", "kind", "wanted")

    def __init__(self, kernel: Kernel, pattern: tuple[int, ...]) -> None:
        inexact = [is_inexact(aval) for aval in kernel.in_avals]
        flows = [found != _NONE and able for found, able in zip(pattern, inexact, strict=True)]
        # None where all that has an edge has a gradient: the edges serve as they are.
        self.flows = None if flows == [found != _NONE for found in pattern] else flows
        self.wanted = tuple([i for i, f in enumerate(flows) if f and pattern[i] != _LOST])
        has_history = any(flows) and any(kernel.differentiable)
        self.kind = node_class(kernel.grad_name, OpNode) if has_history else None
        self.kept = kernel.needed_for(self.wanted) if has_history and self.wanted else ()
        # Whether one of these is a number that stands in for a tensor.
        self.holds_tensors = not kernel.wrapped.isdisjoint(self.kept)
        # Cotangents given -> the gradient kernel, and the places in `kept` of what it takes.
        self.gradients: dict[tuple[int, ...], tuple[Kernel, Sequence[int]]] = {}

    def gradient(self, kernel: Kernel, given: tuple[int, ...]) -> tuple[Kernel, Sequence[int]]:
        """The gradient kernel, and the places in `kept` of what it takes beside the cotangents."""
        found = self.gradients.get(given)
        if found is None:
            vjp = kernel.vjp(self.wanted, given)
            places = [self.kept.index(i) for i in vjp.saved]
            found = self.gradients[given] = (vjp, places)
        return found


class OpNode(Node):
    """The history of one recorded kernel (made by `reverse_history`)."""

    kernel: Kernel
    keeping: Keeping
    saved: list[Any] | None
    holds_tensors: bool
    # What torch would have saved: (position in `saved` or None, the tensor as it was).
    tensors: Sequence[tuple[int | None, SavedTensor]] = ()
    # What is kept instead of `saved` when hooks pack it (a saved.Packed).
    packed: Any = None
    # The edges with the tangents that they carried when this was made.
    marked: Sequence[Edge | None] | None = None

    @property
    def wanted(self) -> tuple[int, ...]:
        """The inputs whose gradients are asked for."""
        return self.keeping.wanted

    @property
    def kept(self) -> tuple[int, ...]:
        """The inputs that `saved` holds."""
        return self.keeping.kept

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Record the kernel's vjp as an operator of its own."""
        if recorder is not None and not graph:
            quick: Any = recorder.differentiate(self, grads)
            if quick is not None:
                return quick  # type: ignore[no-any-return]
        if self.saved is None:
            raise RuntimeError(FREED)
        keeping = self.keeping
        for place, tensor in self.tensors:
            changed = tensor.check()
            if place is None:
                continue
            edge = self.edges[keeping.kept[place]]
            if edge is not None and edge[1] in edge[0].cut:
                raise RuntimeError(CUT)
            if changed is not None:
                self.saved[place] = changed
        if not keeping.wanted:
            return [None] * len(self.edges)
        if len(grads) == 1 and grads[0] is not None:
            given: tuple[int, ...] = (0,)
            cts = grads
        else:
            given = tuple([k for k, g in enumerate(grads) if g is not None])
            cts = [g for g in grads if g is not None]
        if self.packed is None:
            vjp, places = keeping.gradient(self.kernel, given)
            operands = [self.saved[p] for p in places]
        else:
            vjp, operands, edges = self.packed.gradient(self, given, graph)
        operands += [v for v, _ in cts]  # type: ignore[misc]
        outs = record(vjp, operands)
        result: list[Var | None] = [None] * len(self.edges)
        if not graph:
            for i, value in zip(keeping.wanted, outs, strict=True):
                result[i] = (value, None)
            return result
        if self.packed is None:
            own = self.marked or self.edges
            edges = [own[keeping.kept[p]] for p in places]
        in_edges = edges + [e for _, e in cts]  # type: ignore[misc]
        out_edges = history(vjp, operands, in_edges)
        if state.saved_hooks and any(out_edges):
            process.pack_values(next(e[0] for e in out_edges if e is not None), operands, in_edges)
        for i, value, edge in zip(keeping.wanted, outs, out_edges, strict=True):
            result[i] = (value, edge)
        return result

    def _shown_edges(self) -> Sequence[Edge | None]:
        return process.plan_of(self.kernel).next_functions(self)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        """`_saved_<name>` and `_raw_saved_<name>`: what torch keeps, under its names."""
        try:
            if name.startswith("_saved_"):
                return process.plan_of(self.kernel).attribute(self, name[len("_saved_") :])
            if name.startswith("_raw_saved_"):
                return process.plan_of(self.kernel).raw(self, name[len("_raw_saved_") :])
        except AttributeError:
            pass
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def remember(self, operands: Sequence[Any]) -> None:
        """Note the tensors among `operands` (None: not noted) that the gradient needs."""
        noted = []
        for place, i in enumerate(self.keeping.kept):
            x = operands[i]
            if x is not None and hasattr(x, "_storage"):
                noted.append((place, SavedTensor(x)))
        self.tensors = noted

    def release(self) -> None:
        """Free the saved values; a node that saved no tensor may run again, as in torch."""
        if self.holds_tensors:
            self.saved = None
            self.tensors = ()
            if self.packed is not None:
                self.packed.release()


class SavedTensor:
    """A saved tensor as torch sees it: memory at a version.

    A counted in-place write since is an error; an uncounted one (`.data`, numpy) shows through.
    """

    __slots__ = ("aval", "counter", "layout", "producer", "storage", "version", "writes")

    def __init__(self, tensor: Any) -> None:
        self.storage = storage = tensor._storage
        self.counter = counter = tensor._own_version or storage.counter or storage
        self.version = counter.version
        self.writes = storage.writes
        self.aval = tensor._aval
        self.layout = tensor._layout
        self.made_by(tensor)

    def made_by(self, tensor: Any) -> None:
        """Note what made it now, for the error's text."""
        fn = tensor._grad_fn
        self.producer = None if fn is None or fn.is_dual else (type(fn), tensor._out_nr)

    @property
    def view(self) -> View:
        """The memory that it is."""
        return View(self.storage, self.aval, self.layout)

    def tensor(self, edge: Edge | None) -> Any:
        """The tensor again, at the place `edge` of the graph; a leaf is itself."""
        if edge is not None and isinstance(edge[0], AccumulateGrad):
            leaf = edge[0].variable
            if leaf._storage is self.storage and leaf._layout == self.layout:
                return leaf
        made = object.__new__(process.tensor_class)
        made._aval, made._storage, made._layout = self.aval, self.storage, self.layout
        if self.counter is not self.storage:
            made._own_version = self.counter
        if edge is not None:
            made._grad_fn, made._out_nr = edge
        return made

    def check(self) -> Value | None:
        """The present content if it was changed behind autograd's back, else None.

        Raises: torch's RuntimeError when an in-place operator changed the tensor.
        """
        now = (getattr(self.counter, "counter", None) or self.counter).version
        if now != self.version:
            raise RuntimeError(self._message(now))
        storage = self.storage
        if storage.writes == self.writes and storage.host is None:
            return None
        return self.view.read()

    def _message(self, now: int) -> str:
        where = ""
        if self.producer is not None:
            node_type, number = self.producer
            where = f", which is output {number} of {short_name(node_type)},"
        shape = ", ".join(map(str, self.aval.shape))
        if state.anomaly:
            hint = (
                "the backtrace further above shows the operation that failed to compute its "
                "gradient. The variable in question was changed in there or anywhere later. Good "
                "luck!"
            )
        else:
            hint = (
                "enable anomaly detection to find the operation that failed to compute its "
                "gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False)."
            )
        return (
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: [torch.{SCALAR_NAMES[self.aval.dtype]}Tensor [{shape}]]{where} is at "
            f"version {now}; expected version {self.version} instead. Hint: {hint}"
        )


def short_name(node_type: type[Node]) -> str:
    """The name of a node as torch's error texts show it: `Exp` for ExpBackward0."""
    name = node_type.__name__
    if name == "CopySlices":
        return "torch::autograd::CopySlices"
    return name.rstrip("0123456789").removesuffix("Backward")


def history(
    kernel: Kernel,
    operands: Sequence[Any],
    edges: Sequence[Edge | None],
) -> list[Edge | None]:
    """Edges for the outputs of a recorded kernel, None where no gradient flows."""
    if state.forward is not None:
        return state.forward.history(kernel, operands, edges)  # type: ignore[no-any-return]
    return reverse_history(kernel, operands, edges)


def reverse_history(
    kernel: Kernel,
    operands: Sequence[Any],
    edges: Sequence[Edge | None],
) -> list[Edge | None]:
    """`history` as far as gradients flow backward."""
    pattern = tuple([_NONE if e is None else e[0].flow for e in edges])
    if DUAL in pattern:
        edges = [reverse(e) for e in edges]
        pattern = tuple([_NONE if e is None else e[0].flow for e in edges])
    keeping = kernel.keepings.get(pattern)
    if keeping is None:
        keeping = kernel.keepings[pattern] = Keeping(kernel, pattern)
    if keeping.kind is None:
        return [None] * kernel.n_out
    node = _new(keeping.kind)
    if keeping.flows is not None:
        edges = [e if flows else None for e, flows in zip(edges, keeping.flows, strict=True)]
    node.edges = edges
    node.out_avals = kernel.out_avals
    node.sequence = next(sequence)
    node.kernel = kernel
    node.keeping = keeping
    node.saved = saved = [operands[i] for i in keeping.kept]
    holds = keeping.holds_tensors
    for v in saved:
        holds = holds or type(v) is Value
    node.holds_tensors = holds
    if state.anomaly:
        node.metadata["traceback_"] = _user_stack()
    if kernel.n_out == 1:
        return [(node, 0)]
    return [(node, k) if d else None for k, d in enumerate(kernel.differentiable)]


def reverse(edge: Edge | None) -> Edge | None:
    """An edge without any tangent: where gradients go."""
    while edge is not None and edge[0].is_dual:
        edge = edge[0].edges[0]
    return edge


def is_inexact(aval: Any) -> bool:
    """Whether a kernel's input can carry a derivative."""
    return type(aval) is Aval and aval.dtype.category >= 2


class AccumulateGrad(Node):
    """The end of a graph: adds the gradient to `variable.grad`."""

    # Given by backward.py.
    add_to: Any = None
    edges = ()
    sequence = sys.maxsize  # leaves run as soon as they are ready

    def __init__(self, variable: Any) -> None:
        self.out_avals = (variable._aval,)
        self.variable = variable
        if state.anomaly:
            self.metadata["traceback_"] = _user_stack()

    def apply(self, grads: list[Var | None], graph: bool) -> Sequence[Var | None]:
        """Accumulate; the first gradient becomes `.grad`, later ones are added to it in place."""
        if grads[0] is not None and self.variable._requires_grad:
            self.add_to(self.variable, grads[0], graph and state.grad_enabled)
        return ()


AccumulateGrad.__module__ = "builtins"


def leaf_node(tensor: Any) -> AccumulateGrad:
    """The accumulator of a leaf: one while anything refers to it."""
    ref = tensor._accumulator
    node = ref() if ref is not None else None
    if node is None:
        node = AccumulateGrad(tensor)
        tensor._accumulator = weakref.ref(node)
        hooks = tensor._leaf_hooks
        if hooks:
            node.tensor_hooks = {0: hooks}
    return node


_OWN_FOLDER = os.path.dirname(os.path.dirname(__file__)) + os.sep


def _user_stack() -> list[str]:
    """The lines of the user's own frames; torchish's, and those that started it, say nothing."""
    import traceback

    frames = traceback.extract_stack(sys._getframe(2))
    own = [f for f in frames if not f.filename.startswith((_OWN_FOLDER, "<frozen runpy>"))]
    return traceback.format_list(own)
