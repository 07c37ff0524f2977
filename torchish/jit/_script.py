"""`script` and `trace`: objects that run the Python they were made of.

XLA compiles every program, so nothing is gained by leaving Python; what is kept of TorchScript is
its interface. Whatever asks for TorchScript's own graph or code is refused.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from .._basics.errors import not_supported
from ..nn import Module
from ._marks import Attribute

_GRAPHS = ("graph", "inlined_graph", "code", "code_with_constants", "graph_for")


class ScriptFunction:
    """A function given to `script` or `trace`."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        functools.update_wrapper(self, fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._fn(*args, **kwargs)

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self._fn.__name__)

    def save(self, filename: Any, _extra_files: Any = None) -> None:
        """Write it; see `torch.jit.save`."""
        from ._saving import save

        save(self, filename, _extra_files)

    def __getattr__(self, name: str) -> Any:
        if name in _GRAPHS:
            raise not_supported(f"ScriptFunction.{name} (there is no TorchScript)")
        raise AttributeError(f"'ScriptFunction' object has no attribute '{name}'")

    def __reduce__(self) -> Any:
        return ScriptFunction, (self._fn,)


class ScriptModule(Module):
    """A module given to `script` or `trace`, and the base of modules written for TorchScript."""

    def save(self, f: Any, **kwargs: Any) -> None:
        """Write it; see `torch.jit.save`."""
        from ._saving import save

        save(self, f, **kwargs)

    def save_to_buffer(self, **kwargs: Any) -> bytes:
        """It as bytes."""
        import io

        from ._saving import save

        file = io.BytesIO()
        save(self, file, **kwargs)
        return file.getvalue()

    def eval(self) -> Any:
        """As of every module."""
        return super().eval()

    def __getattr__(self, name: str) -> Any:
        if name in _GRAPHS:
            raise not_supported(f"ScriptModule.{name} (there is no TorchScript)")
        return super().__getattr__(name)


class RecursiveScriptModule(ScriptModule):
    """What `script` makes of a module: the same parameters, buffers and submodules."""

    @property
    def original_name(self) -> str:
        """The name of the module's class."""
        return self._original_class.__name__

    def _get_name(self) -> str:
        return type(self)._kind

    def extra_repr(self) -> str:
        return f"original_name={self.original_name}"

    _kind = "RecursiveScriptModule"
    _original_class: type = Module

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _made, (self._original_class, self._kind, self.__dict__.copy())


class TracedModule(RecursiveScriptModule):
    """What `trace` makes of a module."""

    _kind = "TopLevelTracedModule"


TopLevelTracedModule = TracedModule


@functools.cache
def _class_of(kind: str, original: type) -> type:
    base = TracedModule if kind == "TopLevelTracedModule" else RecursiveScriptModule
    own = {"_original_class": original, "__module__": original.__module__}
    return types.new_class(base.__name__, (base, original), exec_body=lambda ns: ns.update(own))


def _made(original: type, kind: str, state: dict[str, Any]) -> Any:
    cls: Any = _class_of(kind, original)
    made = cls.__new__(cls)
    made.__dict__.update(state)
    return made


def _as_script(module: Module, kind: str) -> Any:
    return _made(type(module), kind, _unmarked(module, kind))


def _unmarked(module: Module, kind: str) -> dict[str, Any]:
    """The module's state, with the values of what stands in it as an `Attribute`."""
    state = {k: v.value if isinstance(v, Attribute) else v for k, v in module.__dict__.items()}
    children = state["_modules"]
    if any(isinstance(v, Attribute) for m in module.modules() for v in m.__dict__.values()):
        state["_modules"] = {name: m and _as_script(m, kind) for name, m in children.items()}
    return state


def script(
    obj: Any, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None,
    example_inputs: Any = None,
) -> Any:  # fmt: skip
    """`obj` with TorchScript's interface: a function, or a module with the same parameters.

    Classes, dicts and lists are given back as they are.
    Differs from torch: the Python runs, so what TorchScript rejects is accepted.
    """
    if isinstance(obj, ScriptModule | ScriptFunction | type | dict | list):
        return obj
    if isinstance(obj, Module):
        return _as_script(obj, "RecursiveScriptModule")
    if not callable(obj):
        raise RuntimeError(f"torch.jit.script expects a function, class or module, not {obj!r}")
    return ScriptFunction(obj)


def trace(
    func: Any, example_inputs: Any = None, optimize: Any = None, check_trace: bool = True,
    check_inputs: Any = None, check_tolerance: float = 1e-5, strict: bool = True,
    _force_outplace: bool = False, _module_class: Any = None, _compilation_unit: Any = None,
    example_kwarg_inputs: Any = None, _store_inputs: bool = True,
) -> Any:  # fmt: skip
    """`func` with TorchScript's interface, run once on the example.

    Differs from torch: control flow is not frozen to the example's.
    """
    if example_inputs is None and example_kwarg_inputs is None:
        raise ValueError("example_kwarg_inputs should be a dict")
    if isinstance(func, ScriptModule | ScriptFunction):
        return func
    if example_kwarg_inputs is not None:
        func(**example_kwarg_inputs)
    else:
        several = isinstance(example_inputs, tuple | list)
        func(*example_inputs) if several else func(example_inputs)
    if isinstance(func, Module):
        return _as_script(func, "TopLevelTracedModule")
    return ScriptFunction(func)


def trace_module(mod: Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    """`trace` of a module's methods, each with its example."""
    for name, example in inputs.items():
        method = getattr(mod, "__call__" if name == "forward" else name)
        method(*example) if isinstance(example, tuple) else method(example)
    return _as_script(mod, "TopLevelTracedModule")


def freeze(mod: Any, preserved_attrs: Any = None, optimize_numerics: bool = True) -> Any:
    """`mod`, which has to be scripted and in eval mode.

    Raises: RuntimeError if it is not.
    """
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(
            "Freezing expects a ScriptModule as input. Please use torch.jit.script or "
            "torch.jit.trace to script your 'nn.Module'."
        )
    if mod.training:
        raise RuntimeError("Freezing is currently only implemented for modules in eval mode. "
                           "Please call .eval() on your module before freezing.")  # fmt: skip
    return mod


def optimize_for_inference(mod: Any, other_methods: Any = None) -> Any:
    """`mod`, which has to be scripted."""
    return freeze(mod.eval() if isinstance(mod, Module) else mod)


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A future of the call, which runs at once: XLA's work is asynchronous anyway."""
    from ..futures import Future

    made: Future[Any] = Future()
    made.set_result(func(*args, **kwargs))
    return made


def wait(future: Any) -> Any:
    """The future's result."""
    return future.wait()
