"""Objects that stand for values while a function is traced, and what tracers share."""

from __future__ import annotations

import copy
import dis
import enum
import inspect
import operator
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from .._basics.devices import device
from .._basics.dtypes import dtype
from .._ops.protocol import overriding
from .._ops.shared.layout_type import layout
from .._ops.shared.memory_format import memory_format
from .._tensor.tensor import Tensor
from . import traceback as fx_traceback
from ._magic import magic_methods, reflectable_magic_methods
from ._names import is_tensor_method, short_name
from .graph import Graph
from .node import Argument, Node, Target, map_aggregate

base_types = (
    str, int, float, bool, complex, dtype, Tensor, device, memory_format, layout, type(None),
    type(...), type(NotImplemented),
)  # fmt: skip


class TraceError(ValueError):
    """What the traced code does cannot be written as a graph."""


class Scope:
    """The module whose forward is traced now."""

    def __init__(self, module_path: str, module_type: Any) -> None:
        self.module_path = module_path
        self.module_type = module_type


class ScopeContextManager:
    """Changes a tracer's scope for a while."""

    def __init__(self, scope: Scope, current_scope: Scope) -> None:
        self._before = copy.copy(scope)
        self._scope = scope
        scope.module_path, scope.module_type = current_scope.module_path, current_scope.module_type

    def __enter__(self) -> Scope:
        return self._scope

    def __exit__(self, *exc: object) -> None:
        self._scope.module_path = self._before.module_path
        self._scope.module_type = self._before.module_type


class TracerBase:
    """Makes nodes and proxies in `self.graph`."""

    graph: Graph
    record_stack_traces: bool = False
    check_mutable_operations: bool = False
    trace_asserts: bool = False
    proxy_buffer_attributes: bool = False
    traced_func_name: str = "forward"
    scope: Scope
    module_stack: dict[str, Any]
    node_name_to_scope: dict[str, tuple[str, type]]

    def create_node(
        self, kind: str, target: Target, args: tuple[Argument, ...], kwargs: dict[str, Argument],
        name: str | None = None, type_expr: Any | None = None,
    ) -> Node:  # fmt: skip
        """Put a node into the graph."""
        node = self.graph.create_node(kind, target, args, kwargs, name, type_expr)
        if hasattr(self, "node_name_to_scope"):
            self.node_name_to_scope[node.name] = (self.scope.module_path, self.scope.module_type)
        if fx_traceback.has_preserved_node_meta():
            for key, value in fx_traceback.get_current_meta().items():
                node.meta.setdefault(key, copy.copy(value))
        elif getattr(self, "module_stack", None):
            node.meta["nn_module_stack"] = copy.copy(self.module_stack)
        return node

    def proxy(self, node: Node) -> Proxy:
        """The object that stands for a node's result."""
        return Proxy(node, self)

    def create_proxy(
        self, kind: str, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any],
        name: str | None = None, type_expr: Any | None = None,
        proxy_factory_fn: Callable[[Node], Proxy] | None = None,
    ) -> Proxy:  # fmt: skip
        """A node, and the object that stands for its result."""
        given, named = self.create_arg(args), self.create_arg(kwargs)
        node = self.create_node(kind, target, tuple(given), dict(named), name, type_expr)
        proxy = proxy_factory_fn(node) if proxy_factory_fn else self.proxy(node)
        if self.record_stack_traces and not node.stack_trace:
            frames = [f for f in traceback.extract_stack() if "torchish" not in f.filename]
            node.stack_trace = "".join(traceback.format_list(frames)).strip()
        return proxy

    def create_arg(self, a: Any) -> Argument:
        """A value as it stands among a node's arguments.

        Raises: NotImplementedError for a type that graphs do not hold.
        """
        if isinstance(a, Proxy):
            return a.node
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        if isinstance(a, tuple):
            if hasattr(a, "_fields"):
                return type(a)(*[self.create_arg(x) for x in a])
            return type(a)([self.create_arg(x) for x in a])
        if isinstance(a, list):
            return [self.create_arg(x) for x in a]
        if isinstance(a, dict):
            return self._create_dict(a)
        if isinstance(a, slice):
            return slice(*[self.create_arg(x) for x in (a.start, a.stop, a.step)])
        if isinstance(a, range):
            return range(*[self.create_arg(x) for x in (a.start, a.stop, a.step)])
        if isinstance(a, (*base_types, enum.Enum)):
            return a
        if inspect.isfunction(a) or inspect.isbuiltin(a) or isinstance(a, type):
            return a
        raise NotImplementedError(f"argument of type: {type(a)}")

    def _create_dict(self, a: dict[Any, Any]) -> dict[Any, Any]:
        made = {}
        for k, v in a.items():
            key = self.create_arg(k)

            def refuse(x: Any, key: Any = key) -> Any:
                if isinstance(x, Node):
                    raise RuntimeError(
                        "Keys for dictionaries used as an argument cannot contain a Node. "
                        f"Got key: {key}"
                    )
                return x

            map_aggregate(key, refuse)
            made[key] = self.create_arg(v)
        return made

    def to_bool(self, obj: Proxy) -> bool:
        """Called where Python asks whether a proxy is true."""
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def iter(self, obj: Proxy) -> Iterator[Any]:
        """Called where Python iterates over a proxy."""
        raise TraceError(
            "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a "
            "loop or as a *args or **kwargs function argument. See the torch.fx docs on "
            "pytorch.org for a more detailed explanation of what types of control flow can be "
            "traced, and check out the Proxy docstring for help troubleshooting Proxy iteration "
            "errors"
        )

    def keys(self, obj: Proxy) -> Any:
        """Called where a proxy is unpacked as keyword arguments."""
        return Attribute(obj, "keys")()


class GraphAppendingTracer(TracerBase):
    """A tracer for changing a graph by hand: proxies append to it."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.scope = Scope("", None)
        self.module_stack = {}
        self.node_name_to_scope = {}


def assert_fn(x: Any) -> None:
    """The assertion as a function, which graphs can call."""
    if not x:
        raise AssertionError("traced assertion failed")


class Proxy:
    """Stands for the result of a node: what is done with it becomes nodes.

    Args:
        node: whose result it is.
        tracer: makes the nodes; by default they are appended to the node's graph.
    """

    def __init__(self, node: Node, tracer: TracerBase | None = None) -> None:
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, k: str) -> Any:
        return Attribute(self, k)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state

    def __deepcopy__(self, memo: dict[int, Any]) -> Proxy:
        made = Proxy.__new__(Proxy)
        made.__dict__.update({k: copy.deepcopy(v, memo) for k, v in self.__dict__.items()})
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self) -> Iterator[Any]:
        frame = sys._getframe(1)
        found = _instruction(frame)
        if found is not None and found.opname == "UNPACK_SEQUENCE":
            return (self[i] for i in range(found.argval))  # type: ignore[index]
        return self.tracer.iter(self)

    def __abs__(self) -> Any:
        return self.tracer.create_proxy("call_function", operator.abs, (self,), {})

    def __bool__(self) -> bool:
        if self.tracer.trace_asserts and _asserts(sys._getframe(1)):
            self.tracer.create_proxy("call_function", assert_fn, (self,), {})
            return True
        return self.tracer.to_bool(self)

    def keys(self) -> Any:
        """What `**proxy` asks for."""
        return self.tracer.keys(self)

    def __len__(self) -> int:
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be "
            "recorded, please call torch.fx.wrap('len') at module scope"
        )

    @classmethod
    def __torch_function__(
        cls, orig_method: Any, types: Any, args: Any = None, kwargs: Any = None
    ) -> Any:
        args, kwargs = args or (), kwargs or {}
        tracers: dict[Any, None] = {}

        def find(a: Any) -> Any:
            if isinstance(a, Proxy):
                tracers[a.tracer] = None
            return a

        map_aggregate(tuple(args), find)
        map_aggregate(dict(kwargs), find)
        if len(tracers) > 1:
            raise RuntimeError(
                f"Found multiple different tracers {list(tracers)} while trying to trace "
                f"operations {orig_method}"
            )
        tracer = next(iter(tracers))
        if is_tensor_method(orig_method):
            return tracer.create_proxy("call_method", orig_method.__name__, args, kwargs)
        name = tracer.graph._target_to_str(short_name(orig_method))
        return tracer.create_proxy("call_function", orig_method, args, kwargs, name=name)


def _instruction(frame: Any) -> Any:
    """The instruction that a frame is at."""
    for found in dis.get_instructions(frame.f_code):
        if found.offset == frame.f_lasti:
            return found
    return None


def _asserts(frame: Any) -> bool:
    """Whether the frame is about to raise AssertionError if the value is false."""
    found = list(dis.get_instructions(frame.f_code))
    at = next((k for k, i in enumerate(found) if i.offset == frame.f_lasti), None)
    if at is None or "POP_JUMP" not in found[at].opname:
        return False
    return any(i.opname == "LOAD_ASSERTION_ERROR" for i in found[at + 1 : at + 3])


class Attribute(Proxy):
    """`proxy.name`: a node of its own only if it is used as a value, not if it is called."""

    def __init__(self, root: Proxy, attr: str) -> None:
        self.root = root
        self.attr = attr
        self.tracer = root.tracer
        self._node: Node | None = None

    @property
    def node(self) -> Node:  # type: ignore[override]
        """The `getattr` node, made at first use."""
        if self._node is None:
            self._node = self.tracer.create_proxy(
                "call_function", getattr, (self.root, self.attr), {}
            ).node
        return self._node

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


class ParameterProxy(Proxy):
    """A parameter's stand-in whose shape is the parameter's own (`param_shapes_constant`)."""

    def __init__(self, tracer: TracerBase, node: Node, name: str, param: Any) -> None:
        super().__init__(node, tracer)
        self.param = param
        self.name = name

    def __repr__(self) -> str:
        return f"ParameterProxy({self.name})"

    @property
    def shape(self) -> Any:
        """The parameter's shape."""
        return self.param.shape

    def size(self) -> Any:
        """The parameter's shape."""
        return self.param.size()

    def dim(self) -> int:
        """The parameter's number of dims."""
        return int(self.param.dim())

    @property
    def ndim(self) -> int:
        """The parameter's number of dims."""
        return int(self.param.ndim)

    def numel(self) -> int:
        """The parameter's number of elements."""
        return int(self.param.numel())

    def nelement(self) -> int:
        """The parameter's number of elements."""
        return int(self.param.nelement())


def _operation(target: Any, swapped: bool) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = (*args, self) if swapped else (self, *args)
        return self.tracer.create_proxy("call_function", target, given, kwargs)

    return method


def _attach() -> None:
    for name in magic_methods:
        if not hasattr(operator, name):  # "div" is Python 2's
            continue
        for prefix in ("", "r") if name in reflectable_magic_methods else ("",):
            method = _operation(getattr(operator, name), swapped=bool(prefix))
            method.__name__ = f"__{prefix}{name.strip('_')}__"
            setattr(Proxy, method.__name__, method)


_attach()
overriding.engage()

__all__ = ["Attribute", "GraphAppendingTracer", "ParameterProxy", "Proxy", "TraceError",
           "TracerBase"]  # fmt: skip
