"""A compiled function's operators as fx graphs, for backends that are functions.

The user's Python runs at every call, on tensors that are recorded and never computed. What it calls
is written into a graph. Where Python asks for a number, and at the end, the graph goes to the
backend, what the backend gave is run on the real tensors, and the tensors in the user's hands take
over its results. So Python's effects and breaks need no rules, and a graph is compiled once for
each structure and kind of inputs.
"""

from __future__ import annotations

import dis
import operator
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torchish

from .._autograd.grad_mode import enable_grad
from .._autograd.tensor_base import TensorBase
from .._basics.state import state
from .._ops.call.warning import own_folders
from .._ops.protocol import overriding
from .._tensor.attributes import every_field
from ..fx.graph import Graph
from ..fx.graph_module import GraphModule
from ..fx.node import Node
from ..fx.proxy import TracerBase
from ..overrides import TorchFunctionMode
from . import config, stance
from .exc import BackendCompilerFailed, FailOnRecompileLimitHit
from .naming import note_locals

# Asked of a tensor without looking at its elements: no node, the answer is a constant.
_FACTS = frozenset(
    "dim size stride numel nelement ndimension is_contiguous is_floating_point is_complex "
    "is_signed element_size get_device storage_offset __len__ is_tensor is_same_size "
    "is_inference is_shared is_pinned result_type can_cast promote_types is_conj is_neg "
    "is_nonzero_static".split()
)
# What no graph holds: reads of elements, shapes that depend on them, autograd, sharing memory.
_OUTSIDE = frozenset(
    "item tolist numpy __bool__ __int__ __float__ __index__ __complex__ __repr__ __format__ "
    "__str__ __array__ __contains__ __dlpack__ __dlpack_device__ __reduce_ex__ __deepcopy__ "
    "backward register_hook register_post_accumulate_grad_hook retain_grad requires_grad_ data_ptr "
    "storage untyped_storage set_ resize_ share_memory_ nonzero argwhere masked_select unique "
    "unique_consecutive bincount equal allclose is_nonzero jax from_numpy as_tensor asarray".split()
)
# Attributes that are tensors made from this one; the others are facts, or belong to the real one.
_VIEWS = frozenset(("T", "mT", "H", "mH", "real", "imag", "data"))
_OWN = frozenset(("grad", "grad_fn", "is_leaf", "_version", "output_nr", "retains_grad", "name"))
_BINARY = (
    "add", "and_", "floordiv", "lshift", "matmul", "mul", "mod", "or_", "pow", "rshift", "sub",
    "truediv", "xor",
)  # fmt: skip
_COMPARED = frozenset(("lt", "le", "eq", "ne", "gt", "ge"))
_UNARY = {"UNARY_NEGATIVE": operator.neg, "UNARY_INVERT": operator.invert}
_FIELDS = tuple(n for n in TensorBase.__annotations__ if n.startswith("_"))
_own = own_folders()


def _take_over(tensor: Any, result: Any) -> None:
    """Make a tensor the other one: memory, layout and history."""
    own, other = every_field(tensor), every_field(result)
    for name in _FIELDS:
        if name in other:
            own[name] = other[name]
        else:
            own.pop(name, None)


def _users_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_own):
        frame = frame.f_back
    return frame


def _as_written(name: str, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]] | None:
    """The function of `operator` that the user's line applies, if it is one, and its arguments."""
    frame = _users_frame()
    if frame is None:
        return None
    code = frame.f_code.co_code
    kind = dis.opname[code[frame.f_lasti]]
    if kind in _UNARY and len(args) == 1:
        return _UNARY[kind], args
    if len(args) != 2:
        return None
    if kind == "COMPARE_OP" and name.strip("_") in _COMPARED:
        return getattr(operator, name.strip("_")), args
    if kind != "BINARY_OP":
        return None
    which = code[frame.f_lasti + 1]
    if name.startswith("__r") and name != "__rshift__":
        args = (args[1], args[0])
    if which >= 2 * len(_BINARY):
        return None
    if which < len(_BINARY):
        return getattr(operator, _BINARY[which]), args
    return getattr(operator, "i" + _BINARY[which - len(_BINARY)].rstrip("_")), args


class _Tracer(TracerBase):
    """Says which arguments a graph can hold."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph


class Graphs:
    """What one compiled function has given its backend: compiled graphs by place and structure."""

    def __init__(
        self, backend: Callable[..., Any], limit: int | None = None, dynamic: bool = False
    ) -> None:
        self.backend = backend
        self.limit, self.dynamic = limit, dynamic
        self.calls = 0
        self.compiled: dict[int, dict[Any, Any]] = {}
        self.families: dict[int, set[Any]] = {}  # graphs but for the sizes that may change
        self.on_break: Callable[[str, Any], None] | None = None

    def clear(self) -> None:
        """Forget every graph."""
        self.compiled.clear()
        self.families.clear()
        self.calls = 0

    def compile(self, place: int, key: Any, graph: Graph, real: list[Any], full: bool) -> Any:
        """The function for a graph: the one at hand, or what the backend makes of it."""
        known = self.compiled.setdefault(place, {})
        if key in known:
            return known[key]
        module = GraphModule({}, graph)
        if not stance.may_compile(self.calls):
            return module.forward
        limit = config.recompile_limit if self.limit is None else self.limit
        families = self.families.setdefault(place, set())
        family = (
            tuple((n.op, n.target) for n in graph.nodes if n.op.startswith("call_")),
            tuple(stance.family(t, self.dynamic) for t in real),
        )
        if family not in families and len(families) >= limit:
            if full:
                raise FailOnRecompileLimitHit(
                    f"Hard failure due to fullgraph=True: recompile_limit reached with {limit}"
                )
            return module.forward
        try:
            made = self.backend(module, list(real))
        except Exception as error:
            if config.suppress_errors:
                return module.forward
            raise BackendCompilerFailed(self.backend, error) from error
        if not callable(made):
            problem = TypeError(f"a backend must return a callable, not {type(made).__name__}")
            raise BackendCompilerFailed(self.backend, problem)
        known[key] = made
        families.add(family)
        return made


class Capture(TorchFunctionMode):
    """Writes what is called into graphs, and has them run.

    Args:
        graphs: where compiled graphs are kept.
        names: what the tensors known beforehand are called, by id.
        full: whether all has to be one graph.
    """

    def __init__(self, graphs: Graphs, names: dict[int, str], full: bool) -> None:
        super().__init__()
        self.graphs, self.names, self.full = graphs, names, full
        self.place = 0
        self._begin()

    def _begin(self) -> None:
        self.graph = Graph()
        self.tracer = _Tracer(self.graph)
        self.real: list[Any] = []
        self.shadows: dict[int, Any] = {}  # id of a real tensor -> what stands for it
        self.owners: dict[int, Any] = {}  # id of such a stand-in -> the real tensor
        self.inputs: dict[int, Node] = {}
        # Tensors made here: id -> (weak reference, node, or node and index of its result).
        self.made: dict[int, tuple[Any, Any]] = {}
        self.key: list[Any] = []
        self.calls = 0
        self.modes = (state.grad_enabled, state.autocast)
        self.grad = state.grad_enabled
        self.generator = torchish.get_rng_state()

    # --- calls -----------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if state.transforms:  # inside torch.func's own recording: its result is an input here
            return func(*args, **kwargs)
        owner = getattr(func, "__self__", None)
        if isinstance(owner, property):
            return self._attribute(func, owner, args)
        name = func.__name__
        if name in _FACTS:
            return func(*self._stand_ins(args), **self._stand_ins(kwargs))
        if name in _OUTSIDE or self._depends_on_elements(name, args):
            return self._outside(name, func, args, kwargs)
        if state.autocast is not self.modes[1]:
            state.compiled.leave("autocast")
        return self._recorded(name, func, args, kwargs)

    def _outside(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        return state.compiled.outside(func, args, kwargs, name)

    def _depends_on_elements(self, name: str, args: Any) -> bool:
        if name == "where":
            return len(args) == 1
        if name in ("__getitem__", "__setitem__"):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            masks = any(isinstance(i, torchish.Tensor) and i.dtype is torchish.bool for i in index)
            return masks and name == "__getitem__"
        return name == "repeat_interleave" and len(args) > 1 and isinstance(args[1], TensorBase)

    def _attribute(self, func: Any, owner: property, args: Any) -> Any:
        # A property has no name of its own before Python 3.13; its getter has.
        name = _property_name(owner)
        if func.__name__ != "__get__":
            return self._outside(name, func, args, {})
        if name in _OWN:
            if id(args[0]) in self.made:
                state.compiled.leave(name)
            return func(*args)
        if name in _VIEWS:
            return self._recorded("getattr", getattr, (args[0], name), {})
        return func(self._stand_ins(args[0]))

    def _recorded(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        try:
            given, named = self._nodes(args), self._nodes(kwargs)
        except NotImplementedError:  # an argument that graphs do not hold
            return self._outside(name, func, args, kwargs)
        result = func(*self._stand_ins(args), **self._stand_ins(kwargs))
        if name != "__setitem__" and not _has_tensor(result):
            return self._outside(name, func, args, kwargs)
        self._note_grad_mode()
        node = self._node(name, func, given, named)
        self.calls += 1
        return self._known(result, node, None)

    def _node(self, name: str, func: Any, args: Any, kwargs: Any) -> Node:
        written = None if kwargs else _as_written(name, args)
        if func is getattr:
            pass
        elif name in ("__getitem__", "__setitem__"):
            func = operator.getitem if name == "__getitem__" else operator.setitem
        elif overriding.qualified_name(func).startswith("torch.Tensor."):
            if written is None:
                return self._put("call_method", name, args, kwargs)
            func, args = written
        return self._put("call_function", func, args, kwargs)

    def _put(self, kind: str, target: Any, args: Any, kwargs: Any) -> Node:
        node = self.graph.create_node(kind, target, args, kwargs)
        self.key.append((kind, target, repr(args), repr(kwargs)))
        return node

    def _note_grad_mode(self) -> None:
        if state.grad_enabled != self.grad:
            self.grad = state.grad_enabled
            self._put("call_function", torchish._C._set_grad_enabled, (self.grad,), {})

    # --- tensors ---------------------------------------------------------------------------------

    def _nodes(self, value: Any) -> Any:
        """Arguments with nodes in the place of tensors."""
        if isinstance(value, TensorBase):
            return self._node_of(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*[self._nodes(v) for v in value])
        if isinstance(value, torchish.Size):
            return tuple(value)
        if isinstance(value, list | tuple):
            return type(value)([self._nodes(v) for v in value])
        if isinstance(value, dict):
            return {k: self._nodes(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(*[self._nodes(v) for v in (value.start, value.stop, value.step)])
        return self.tracer.create_arg(value)

    def _node_of(self, tensor: Any) -> Node:
        found = self.made.get(id(tensor))
        if found is not None:
            origin = found[1]
            if isinstance(origin, Node):
                return origin
            node = self._put("call_function", operator.getitem, origin, {})
            self.made[id(tensor)] = (found[0], node)
            return node
        self._stand_ins(tensor)
        return self.inputs[id(tensor)]

    def _stand_ins(self, value: Any) -> Any:
        """Arguments with stand-ins in the place of real tensors."""
        if isinstance(value, TensorBase):
            if id(value) in self.made:
                return value
            return self.shadows.get(id(value)) if id(value) in self.shadows else self._input(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*[self._stand_ins(v) for v in value])
        if type(value) in (list, tuple):
            return type(value)([self._stand_ins(v) for v in value])
        if isinstance(value, dict):
            return {k: self._stand_ins(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(*[self._stand_ins(v) for v in (value.start, value.stop, value.step)])
        return value

    def _input(self, tensor: Any) -> Any:
        # The stand-in keeps the history, so that what is not seen here still has gradients.
        with enable_grad():
            shadow = _copy_with_strides(tensor)
        label = self.names.get(id(tensor), f"stack{len(self.real)}_")
        before = next(iter(n for n in self.graph.nodes if n.op != "placeholder"), None)
        place = self.graph.inserting_before(before) if before is not None else _nothing()
        with place:
            node = self.graph.placeholder(f"L_{label}", type_expr=type(tensor))
        node.meta["example_value"] = tensor.detach()
        self.real.append(tensor)
        self.shadows[id(tensor)], self.owners[id(shadow)] = shadow, tensor
        self.inputs[id(tensor)] = node
        kind = (tuple(tensor.shape), tensor.stride(), tensor.dtype, str(tensor.device))
        self.key.append((node.name, kind, tensor.requires_grad, type(tensor)))
        return shadow

    def _known(self, result: Any, node: Node, index: int | None) -> Any:
        """A call's result with the real tensors in the place of their stand-ins."""
        if isinstance(result, TensorBase):
            if id(result) in self.owners:
                return self.owners[id(result)]
            if id(result) not in self.made:
                self.made[id(result)] = (
                    weakref.ref(result, _forgetter(self.made, id(result))),
                    node if index is None else (node, index),
                )
            return result
        if isinstance(result, tuple | list):
            items = []
            for k, r in enumerate(result):
                inner = node
                if index is not None and _has_tensor(r):
                    inner = self._put("call_function", operator.getitem, (node, index), {})
                items.append(self._known(r, inner, k))
            if all(a is b for a, b in zip(items, result, strict=True)):
                return result
            kind = type(result)
            return kind(*items) if hasattr(result, "_fields") else kind(items)
        return result

    # --- running ---------------------------------------------------------------------------------

    def leave(self, reason: str) -> None:
        """Compile and run what is recorded: something comes that stands in no graph."""
        ran = bool(self.calls)
        self.finish(())
        self.place += ran
        frame = _users_frame()
        note_locals(self.names, frame)
        if self.graphs.on_break is not None:
            self.graphs.on_break(reason, frame)
        self._begin()

    def finish(self, results: tuple[Any, ...]) -> None:
        """Compile and run what is recorded; `results` are the graph's first outputs."""
        alive: dict[int, Any] = {id(t): t for t in results if id(t) in self.made}
        for ref, _ in list(self.made.values()):
            tensor = ref()
            if tensor is not None:
                alive.setdefault(id(tensor), tensor)
        if not self.calls:
            return
        nodes = [self._node_of(t) for t in alive.values()]
        if self.grad != self.modes[0]:
            self._put("call_function", torchish._C._set_grad_enabled, (self.modes[0],), {})
        self.graph.output(tuple(nodes))
        key = (tuple(self.key), tuple(n.name for n in nodes), self.modes[0])
        with self._as_it_began():
            run = self.graphs.compile(self.place, key, self.graph, self.real, self.full)
            torchish.set_rng_state(self.generator)
            got = run(*self.real)
        got = tuple(got) if isinstance(got, tuple | list) else (got,)
        if len(got) != len(nodes):
            raise RuntimeError(
                f"the backend's function gave {len(got)} results where the graph has {len(nodes)}"
            )
        self.calls = 0
        for tensor, result in zip(alive.values(), got, strict=True):
            _take_over(tensor, result)

    @contextmanager
    def _as_it_began(self) -> Iterator[None]:
        """The modes that were on where this graph begins, and no capture."""
        now, modes, call = (
            (state.grad_enabled, state.autocast),
            state.function_modes,
            state.compiled,
        )
        state.grad_enabled, state.autocast = self.modes
        state.function_modes = [m for m in modes if m is not self]
        state.compiled = None
        try:
            yield
        finally:
            state.grad_enabled, state.autocast = now
            state.function_modes, state.compiled = modes, call


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _forgetter(made: dict[int, Any], dead: int) -> Callable[[Any], None]:
    """Takes a dead tensor out of the table: its id may be another's soon."""

    def forget(_: Any) -> None:
        made.pop(dead, None)

    return forget


def _has_tensor(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(_has_tensor(v) for v in value)
    return isinstance(value, TensorBase)


def _property_name(owner: property) -> str:
    if not _property_names:
        for kind in reversed(torchish.Tensor.__mro__):
            for name, member in vars(kind).items():
                if isinstance(member, property):
                    _property_names[id(member)] = name
    return _property_names.get(id(owner), "")


_property_names: dict[int, str] = {}


def _copy_with_strides(tensor: Any) -> Any:
    copy = tensor.clone()
    if copy.stride() == tensor.stride() or not tensor.numel():
        return copy
    span = 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    flat = tensor.as_strided((span,), (1,), tensor.storage_offset()).clone()
    return flat.as_strided(tensor.shape, tensor.stride(), 0)
