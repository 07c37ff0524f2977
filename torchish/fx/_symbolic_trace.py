"""Running a function on proxies, which write down what is done with them."""

from __future__ import annotations

import builtins
import collections
import contextlib
import functools
import inspect
import math
import types
import typing
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from .._tensor.tensor import Tensor
from ..nn.modules.container import Sequential
from ..nn.modules.module import Module
from ..nn.parameter import Parameter
from ..utils import _pytree as pytree
from ._names import root_name
from .codegen import _PyTreeCodeGen, _PyTreeInfo
from .graph import Graph
from .graph_module import GraphModule
from .node import Argument, base_types_of_arguments, map_aggregate
from .proxy import ParameterProxy, Proxy, Scope, ScopeContextManager, TracerBase

HAS_VARSTUFF = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
_orig_call = Module.__call__
_wrapped_fns_to_patch: dict[tuple[int, str], dict[str, Any]] = {}
_wrapped_methods_to_patch: list[tuple[type, str]] = []
_proxyable_classes: dict[type, None] = {}
_is_fx_tracing_flag = False


def is_fx_tracing() -> bool:
    """Whether a function is being traced."""
    return _is_fx_tracing_flag


class PHBase:
    """Stands for what is not specialised among `concrete_args`."""

    def __repr__(self) -> str:
        return "PH"


PH = PHBase()


class PHWithMeta(PHBase):
    """A placeholder with a key of its own."""

    def __init__(self, ph_key: str | None = None) -> None:
        super().__init__()
        self.ph_key = ph_key


class ProxyableClassMeta(type):
    """A class whose construction during tracing becomes a node."""

    def __init__(cls, name: str, bases: Any, attrs: Any) -> None:
        _proxyable_classes.setdefault(cls)
        super().__init__(name, bases, attrs)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = cls.__new__(cls)  # type: ignore[call-overload]
        if not is_fx_tracing():
            cls.__init__(instance, *args, **kwargs)  # type: ignore[misc]
            return instance
        found: list[Proxy] = []

        def note(a: Any) -> Any:
            if isinstance(a, Proxy):
                found.append(a)
            return a

        map_aggregate(args, note)
        map_aggregate(kwargs, note)
        if not found:
            cls.__init__(instance, *args, **kwargs)  # type: ignore[misc]
            return instance
        return found[0].tracer.create_proxy("call_function", cls, args, kwargs)


def _assert_is_none(value: Any, msg: str) -> None:
    if value is not None:
        raise AssertionError(msg)


class Tracer(TracerBase):
    """Traces a module or a function; subclass it to change what is kept as one node.

    Args:
        autowrap_modules: modules whose functions become nodes when they are given proxies.
        autowrap_functions: further such functions.
        param_shapes_constant: whether the shapes of parameters are read rather than traced.
    """

    def __init__(
        self,
        autowrap_modules: tuple[types.ModuleType, ...] = (math,),
        autowrap_functions: tuple[Callable[..., Any], ...] = (),
        param_shapes_constant: bool = False,
    ) -> None:
        super().__init__()
        self._autowrap_function_ids = {
            id(value)
            for module in autowrap_modules
            for name, value in module.__dict__.items()
            if not name.startswith("_") and callable(value)
        }
        self._autowrap_function_ids.update(id(f) for f in autowrap_functions)
        self._autowrap_search: list[types.ModuleType] = list(autowrap_modules)
        self.param_shapes_constant = param_shapes_constant
        self.submodule_paths: dict[Module, str] | None = None
        self.root_module_name = ""
        self.scope = Scope("", None)
        self.module_stack = collections.OrderedDict()
        self.node_name_to_scope = {}
        self.tensor_attrs: dict[Any, str] = {}

    # --- what subclasses change ------------------------------------------------------------------

    def is_leaf_module(self, m: Module, module_qualified_name: str) -> bool:
        """Whether a call of the module is one node: by default, for torch.nn's own modules."""
        name = root_name(m.__module__)
        return name.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(m, Sequential)

    def path_of_module(self, mod: Module) -> str:
        """The dotted name of a submodule of the root.

        Raises: NameError for a module that is none.
        """
        if self.submodule_paths:
            path = self.submodule_paths.get(mod)
            if path is None:
                raise NameError("module is not installed as a submodule")
            return path
        for name, found in self.root.named_modules():
            if found is mod:
                return name
        raise NameError("module is not installed as a submodule")

    def call_module(
        self, m: Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Called where the traced code calls a submodule."""
        path = self.path_of_module(m)
        with ScopeContextManager(self.scope, Scope(path, type(m))):
            self.module_stack[path] = (path, type(m))
            if not self.is_leaf_module(m, path):
                result = forward(*args, **kwargs)
            else:
                result = self.create_proxy("call_module", path, args, kwargs)
            self.module_stack.pop(path, None)
        return result

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Called where the traced code reads an attribute of a module."""
        if isinstance(attr_val, Parameter):
            return self._proxy_of(attr_val, self.root.named_parameters(), parameter_proxy_cache)
        if self.proxy_buffer_attributes and isinstance(attr_val, Tensor):
            return self._proxy_of(attr_val, self.root.named_buffers(), parameter_proxy_cache)
        return attr_val

    def _proxy_of(self, value: Any, named: Any, cache: dict[str, Any]) -> Any:
        for name, found in named:
            if found is not value:
                continue
            if name not in cache:
                factory = None
                if self.param_shapes_constant:

                    def factory(node: Any, name: str = name) -> Proxy:
                        return ParameterProxy(self, node, name, value)

                cache[name] = self.create_proxy("get_attr", name, (), {}, proxy_factory_fn=factory)
            return cache[name]
        return value

    def create_arg(self, a: Any) -> Argument:
        """A value as it stands among a node's arguments; tensors become attributes."""
        if isinstance(a, Parameter):
            for name, param in self.root.named_parameters():
                if a is param:
                    return self.create_node("get_attr", name, (), {})
            raise NameError("parameter is not a member of this module")
        if isinstance(a, Tensor):
            for name, buffer in self.root.named_buffers():
                if a is buffer:
                    return self.create_node("get_attr", name, (), {})
            if a not in self.tensor_attrs:
                fresh = self.get_fresh_qualname("_tensor_constant")
                self.tensor_attrs[a] = fresh
                setattr(self.root, fresh, a)
            return self.create_node("get_attr", self.tensor_attrs[a], (), {})
        if isinstance(a, Module):
            with contextlib.suppress(NameError):
                return self.create_node("get_attr", self.path_of_module(a), (), {})
        if type(a) in _proxyable_classes:
            name = self.get_fresh_qualname(f"_{a.__class__.__name__}_constant_")
            setattr(self.root, name, a)
            return self.create_node("get_attr", name, (), {})
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            args = tuple(self.create_arg(x) for x in a)
            return self.create_node("call_function", a.__class__, args, {})
        return super().create_arg(a)

    def get_fresh_qualname(self, prefix: str) -> str:
        """A name that the root has no attribute of."""
        number = 0
        while hasattr(self.root, f"{prefix}{number}"):
            number += 1
        return f"{prefix}{number}"

    # --- arguments of the traced function --------------------------------------------------------

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool,
        concrete_args: dict[str, Any] | tuple[Any, ...] | None = None,
    ) -> tuple[Callable[..., Any], list[Any]]:  # fmt: skip
        """Placeholders for a function's arguments: the function to call, and with what."""
        fn = inspect.unwrap(root_fn)
        code = fn.__code__
        total = code.co_argcount + code.co_kwonlyargcount
        names = iter(code.co_varnames)
        args: list[Any] = []
        skip = 0
        if is_module:
            if total == 0:
                raise RuntimeError("``self`` argument cannot be part of *args expansion!")
            skip = 1
            next(names)
            args.append(self.root)
        if isinstance(concrete_args, tuple):
            if len(concrete_args) != total - skip:
                raise RuntimeError(
                    f"Tracing expected {total - skip} arguments but got "
                    f"{len(concrete_args)} concrete arguments"
                )
            concrete_args = dict(zip(code.co_varnames[skip:total], concrete_args, strict=True))
        signature = inspect.signature(fn)
        notes = _annotations(fn)
        count = [0]

        def placeholder(name: str) -> Any:
            if concrete_args is not None and name in concrete_args:
                value = concrete_args[name]
                if isinstance(value, PHBase) or _is_container(value):
                    return pytree.tree_map(lambda x: self._specialised(name, x, count), value)
                return self._specialised(name, value, count, signature)
            default: tuple[Any, ...] = ()
            if not name.startswith("*"):
                given = signature.parameters[name].default
                default = () if given is inspect.Parameter.empty else (given,)
            return self.create_proxy("placeholder", name, default, {}, type_expr=notes.get(name))

        args += [placeholder(next(names)) for _ in range(skip, total)]
        if code.co_kwonlyargcount or code.co_flags & HAS_VARSTUFF:
            if code.co_flags & inspect.CO_VARARGS:
                args.append(placeholder("*" + next(names)))
            if code.co_flags & inspect.CO_VARKEYWORDS:
                args.append(placeholder("**" + next(names)))
            root_fn = _patch_function(fn, len(args))
        if concrete_args is not None and any(
            _is_container(v) or isinstance(v, PHBase) for v in concrete_args.values()
        ):
            return self._with_containers(root_fn, args, is_module, code)
        return root_fn, args

    def _specialised(self, name: str, value: Any, count: list[int], signature: Any = None) -> Any:
        count[0] += 1
        default: tuple[Any, ...] = ()
        if signature is not None:
            given = signature.parameters[name].default
            default = () if given is inspect.Parameter.empty else (given,)
        out = self.create_proxy("placeholder", f"{name}_{count[0]}", default, {})
        if isinstance(value, PHBase):
            return out
        text = f"{name} has been specialized to have value {value} but got another value"
        if isinstance(value, base_types_of_arguments) and value is not None:
            _torch_assert()(out == value, text)
            return value
        if value is None:
            self.create_proxy("call_function", _assert_is_none, (out, text), {})
            return value
        warnings.warn(
            f"Was not able to add assertion to guarantee correct input {name} to specialized "
            "function. It is up to the user to make sure that your inputs match the inputs you "
            "specialized the function with.",
            stacklevel=2,
        )
        return value

    def _with_containers(
        self, root_fn: Callable[..., Any], args: list[Any], is_module: bool, code: Any
    ) -> tuple[Callable[..., Any], list[Any]]:
        """The function on the leaves of its arguments."""
        names = list(code.co_varnames[: code.co_argcount])
        given = args[1:] if is_module else args
        leaves, spec = pytree.tree_flatten(list(given))
        info = _PyTreeInfo(names, spec, None)
        self.graph._codegen = codegen = _PyTreeCodeGen(info)

        def on_leaves(*flat: Any) -> Any:
            flat = flat[1:] if is_module else flat
            found = pytree.tree_unflatten(flat, spec)
            out = root_fn(*([self.root] if is_module else []), *found)
            values, out_spec = pytree.tree_flatten(out)
            codegen.pytree_info = info._replace(out_spec=out_spec)
            return values

        return on_leaves, ([self.root] if is_module else []) + leaves

    # --- tracing ---------------------------------------------------------------------------------

    def trace(
        self, root: Module | Callable[..., Any], concrete_args: dict[str, Any] | None = None
    ) -> Graph:
        """The graph of a module's forward, or of a function."""
        global _is_fx_tracing_flag
        before = _is_fx_tracing_flag
        _is_fx_tracing_flag = True
        try:
            return self._trace(root, concrete_args)
        finally:
            _is_fx_tracing_flag = before

    def _trace(self, root: Any, concrete_args: Any) -> Graph:
        if isinstance(root, Module):
            self.root = root
            if not hasattr(type(root), self.traced_func_name):
                raise AssertionError(
                    f"traced_func_name={self.traced_func_name} doesn't exist in "
                    f"{type(root).__name__}"
                )
            fn: Any = getattr(type(root), self.traced_func_name)
            self.root_module_name = root._get_name()
            self.submodule_paths = {mod: name for name, mod in root.named_modules()}
        else:
            self.root = Module()
            fn = root
        self.graph = Graph(tracer_cls=getattr(self, "__class__", None))
        self.tensor_attrs = {}
        _note_tensors(self.root, [], self.tensor_attrs)
        if not isinstance(fn, types.FunctionType):
            raise AssertionError(f"Expected fn to be FunctionType, got {type(fn)}")
        space = fn.__globals__
        returns = _annotations(fn).get("return")
        fn, args = self.create_args_for_root(fn, isinstance(root, Module), concrete_args)
        if fn is not inspect.unwrap(fn) or getattr(fn, "_fx_patched", False):
            returns = None
        with self._patched(space):
            self.create_node(
                "output", "output", (self.create_arg(fn(*args)),), {}, type_expr=returns
            )
        self.submodule_paths = None
        return self.graph

    @contextlib.contextmanager
    def _patched(self, space: dict[str, Any]) -> Iterator[None]:
        """While tracing, modules tell of calls and attributes, and wrapped functions of calls."""
        cache: dict[str, Any] = {}
        tracer = self
        plain_getattr = Module.__getattr__

        def module_getattr(mod: Any, attr: str) -> Any:
            return tracer.getattr(attr, plain_getattr(mod, attr), cache)

        plain_call = Module.__call__

        def module_call(mod: Any, *args: Any, **kwargs: Any) -> Any:
            def forward(*a: Any, **k: Any) -> Any:
                return plain_call(mod, *a, **k)

            _autowrap(getattr(mod.forward, "__globals__", {}), undo, tracer)
            return tracer.call_module(mod, forward, args, kwargs)

        undo: list[Callable[[], None]] = []
        _replace(undo, Module, "__getattr__", module_getattr)
        _replace(undo, Module, "__call__", module_call)
        try:
            _patch_wrapped(undo)
            _autowrap(space, undo, tracer)
            for module in self._autowrap_search:
                _autowrap(module.__dict__, undo, tracer)
            yield
        finally:
            for action in reversed(undo):
                action()


def _annotations(fn: Any) -> dict[str, Any]:
    """A function's annotations; this package's own are texts, which are looked up."""
    found: dict[str, Any] = getattr(fn, "__annotations__", {})
    if not (fn.__module__ or "").startswith(__name__.partition(".")[0] + "."):
        return found
    try:
        hints = typing.get_type_hints(fn)
    except NameError:  # of a type that is imported for type checkers only
        return {}
    return {name: kind for name, kind in hints.items() if kind is not Any}


def _is_container(value: Any) -> bool:
    return isinstance(value, list | tuple | dict)


def _torch_assert() -> Callable[..., Any]:
    import torchish

    return torchish._assert  # type: ignore[no-any-return, attr-defined]


def _note_tensors(module: Module, prefix: list[str], found: dict[Any, str]) -> None:
    for name, value in module.__dict__.items():
        if isinstance(value, Tensor):
            found[value] = ".".join([*prefix, name])
    for name, child in module.named_children():
        _note_tensors(child, [*prefix, name], found)


def _patch_function(fn: types.FunctionType, nargs: int) -> types.FunctionType:
    """The function with *args and **kwargs as ordinary arguments."""
    code = fn.__code__
    flags = code.co_flags & ~HAS_VARSTUFF
    new_code = code.replace(
        co_argcount=nargs, co_posonlyargcount=0, co_kwonlyargcount=0, co_flags=flags
    )
    made = types.FunctionType(
        new_code, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__
    )
    made._fx_patched = True  # type: ignore[attr-defined]
    return made


# --- wrapping -------------------------------------------------------------------------------------

_MISSING = object()


def _replace(undo: list[Callable[[], None]], owner: Any, name: str, value: Any) -> None:
    before = owner.__dict__.get(name, _MISSING)

    def restore() -> None:
        if before is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    undo.append(restore)
    setattr(owner, name, value)


def _replace_in(
    undo: list[Callable[[], None]], space: dict[str, Any], name: str, value: Any
) -> None:
    before = space.get(name, _MISSING)

    def restore() -> None:
        if before is _MISSING:
            space.pop(name, None)
        else:
            space[name] = before

    undo.append(restore)
    space[name] = value


def _find_proxy(*values: Any) -> Proxy | None:
    found: list[Proxy] = []

    def look(x: Any) -> Any:
        if isinstance(x, Proxy):
            found.append(x)
        return x

    map_aggregate(tuple(values), look)
    return found[0] if found else None


def _wrapper(orig_fn: Callable[..., Any]) -> Callable[..., Any]:
    """A stand-in that makes a node when it is given a proxy."""

    @functools.wraps(orig_fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        proxy = _find_proxy(args, kwargs)
        if proxy is None:
            return orig_fn(*args, **kwargs)
        made = proxy.tracer.create_proxy("call_function", orig_fn, args, kwargs)
        made.node.meta["is_wrapped"] = True
        return made

    wrapped._fx_wrapped = True  # type: ignore[attr-defined]
    return wrapped


def _method_wrapper(cls: type, name: str) -> Callable[..., Any]:
    orig_fn = getattr(cls, name)

    @functools.wraps(orig_fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        proxy = _find_proxy(args, kwargs)
        if proxy is None:
            return orig_fn(*args, **kwargs)
        return proxy.tracer.create_proxy("call_method", name, args, kwargs)

    return wrapped


def _patch_wrapped(undo: list[Callable[[], None]]) -> None:
    for (_, name), space in list(_wrapped_fns_to_patch.items()):
        if name not in space and hasattr(builtins, name):
            orig = getattr(builtins, name)
        else:
            orig = space[name]
        if not getattr(orig, "_fx_wrapped", False):
            _replace_in(undo, space, name, _wrapper(orig))
    for cls, name in _wrapped_methods_to_patch:
        _replace(undo, cls, name, _method_wrapper(cls, name))


def _autowrap(space: dict[str, Any], undo: list[Callable[[], None]], tracer: Tracer) -> None:
    for name, value in list(space.items()):
        if not name.startswith("_") and callable(value):
            if id(value) in tracer._autowrap_function_ids:
                _replace_in(undo, space, name, _wrapper(value))


def wrap(fn_or_name: str | Callable[..., Any]) -> Any:
    """Register a function of the calling module as one node of every graph.

    Raises: NotImplementedError if it is not called at the top level of a module.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name"
        )
    name = fn_or_name.__name__ if callable(fn_or_name) else fn_or_name
    frame = inspect.currentframe()
    frame = frame.f_back if frame is not None else None
    if frame is None:
        raise AssertionError("no frame calls wrap")
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    _wrapped_fns_to_patch[(id(frame.f_globals), name)] = frame.f_globals
    return fn_or_name


def symbolic_trace(
    root: Module | Callable[..., Any], concrete_args: dict[str, Any] | None = None
) -> GraphModule:
    """A `GraphModule` that does what `root` does.

    Args:
        root: a module or a function.
        concrete_args: values of arguments for which the graph is specialised.
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = root.__class__.__name__ if isinstance(root, Module) else root.__name__
    return GraphModule(tracer.root, graph, name)


def default_tracer() -> type[Tracer]:
    """The tracer of graphs that name no other."""
    return Tracer
