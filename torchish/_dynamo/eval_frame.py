"""What `torch.compile` returns: a function or module whose calls are compiled regions.

Without a backend of the user's a region changes what `is_compiling` says and, under `fullgraph`,
what is allowed: the engine records and compiles anyway. Calls that do the same every time are
replayed without their Python (`replay.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sized
from types import MethodType
from typing import Any

from .._basics.state import state
from ..nn.modules.module import Module
from . import stance
from .backends.registry import lookup_backend
from .exc import Unsupported

_TITLES = {
    "__bool__": ("Data-dependent branching", "What comes next depends on a tensor's elements."),
    "disabled": ("Skip calling `torch.compiler.disable()`d function", "The function is marked."),
    "graph_break": ("Call to `torch._dynamo.graph_break()`", "The program asks for a break."),
    "autograd": ("Unsupported Tensor.backward() call", "A backward pass stands in no graph."),
}


class CompiledCall:
    """One call of a compiled function, while it runs."""

    def __init__(self, full: bool, capture: Any = None) -> None:
        self.full = full
        self.capture = capture

    def leave(self, reason: str, context: str = "") -> None:
        """Something comes that stands in no graph.

        Raises: Unsupported where all has to be one graph.
        """
        if stance.breaks_are_errors(self.full):
            title, why = _TITLES.get(reason, (f"Graph break: {reason}", ""))
            raise Unsupported(title, why, context)
        if self.capture is not None:
            self.capture.leave(reason)

    def outside(self, fn: Any, args: Any, kwargs: Any, reason: str, context: str = "") -> Any:
        """Call a function as if no compiled call was running."""
        self.leave(reason, context)
        modes, state.compiled = state.function_modes, None
        state.function_modes = [m for m in modes if m is not self.capture]
        try:
            return fn(*args, **kwargs)
        finally:
            state.function_modes, state.compiled = modes, self


class CompileContext:
    """The settings of one `torch.compile`; calling it wraps a function or module."""

    def __init__(
        self, backend: Any, fullgraph: bool = False, dynamic: bool | None = None,
        limit: int | None = None, config: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.backend = backend
        self.fullgraph = fullgraph
        self.dynamic = dynamic
        self.limit = limit
        self.config = dict(config or {})

    def __call__(self, fn: Any) -> Any:
        if isinstance(fn, Module):
            wrapped = OptimizedModule(fn, self)
            wrapped.__dict__["_torchdynamo_orig_callable"] = fn
            wrapped._torchdynamo_wrapper_id = id(wrapped)
            wrapped.get_compiler_config = lambda: dict(self.config)
            return wrapped
        if isinstance(fn, type):
            fn.__call__ = self(fn.__call__)  # type: ignore[method-assign]
            return fn
        if not callable(fn):
            raise AssertionError(f"A callable function is expected, but {type(fn)} is provided.")
        return self.wrap(fn)

    def wrap(self, fn: Callable[..., Any]) -> Any:
        """A function whose calls are regions."""
        fn = getattr(fn, "_torchdynamo_orig_callable", fn)
        graphs: Any = None
        whole: Any = None

        @functools.wraps(fn)
        def compiled(*args: Any, **kwargs: Any) -> Any:
            if state.compiled is not None or stance.eager():
                return fn(*args, **kwargs)
            nonlocal graphs, whole
            backend = stance.backend(self.backend)
            compile_by = lookup_backend(backend)
            if compile_by is not None:
                if graphs is None or graphs.backend is not compile_by:
                    graphs = _graphs(compile_by, self)
                graphs.calls += 1
                return captured(fn, args, kwargs, graphs, self.fullgraph)
            if whole is None:
                whole = extra._torchish_whole = _whole(fn, self)
            state.compiled = CompiledCall(self.fullgraph)
            try:
                return whole.call(args, kwargs)
            finally:
                state.compiled = None

        extra: Any = compiled
        extra._torchdynamo_orig_callable = fn
        extra._torchdynamo_wrapper_id = id(compiled)
        extra._torchdynamo_inline = fn
        extra._is_torch_compile = True
        extra.get_compiler_config = lambda: dict(self.config)
        return compiled


def _whole(fn: Callable[..., Any], context: CompileContext) -> Any:
    from .whole import Whole

    return Whole(fn, context.dynamic, context.limit)


def _graphs(backend: Callable[..., Any], context: CompileContext) -> Any:
    from .capture import Graphs

    made = Graphs(backend, context.limit, bool(context.dynamic))
    stance.remember(made)
    return made


def captured(fn: Any, args: Any, kwargs: Any, graphs: Any, full: bool) -> Any:
    """Call a function as a region whose graphs go to a backend."""
    from ..utils._pytree import tree_leaves
    from .capture import Capture
    from .naming import names_of

    capture = Capture(graphs, names_of(fn, args, kwargs), full)
    state.compiled = CompiledCall(full, capture)
    done = False
    try:
        with capture:
            result = fn(*args, **kwargs)
        done = True
        capture.finish(tuple(tree_leaves(result)))
        return result
    finally:
        if not done and not full:
            capture.finish(())  # what was written before an exception is written
        state.compiled = None


class DisableContext:
    """`torch.compiler.disable`: a function that leaves the region that calls it."""

    def __init__(self, recursive: bool = True, reason: str | None = None) -> None:
        self.recursive = recursive
        self.reason = reason

    def __call__(self, fn: Any) -> Any:
        if isinstance(fn, Module):
            made = OptimizedModule(fn, self)
            made.__dict__["_torchdynamo_orig_callable"] = fn
            return made
        if isinstance(fn, type):
            fn.__init__ = self(fn.__init__)  # type: ignore[misc]
            fn.__call__ = self(fn.__call__)  # type: ignore[method-assign]
            return fn
        if not callable(fn):
            raise AssertionError(f"A callable function is expected, but {type(fn)} is provided.")
        return self.wrap(fn)

    def wrap(self, fn: Callable[..., Any]) -> Any:
        """A function that runs outside of regions."""

        @functools.wraps(fn)
        def disabled(*args: Any, **kwargs: Any) -> Any:
            region = state.compiled
            if region is None:
                return fn(*args, **kwargs)
            return region.outside(fn, args, kwargs, "disabled", f"reason: {self.reason}")

        extra: Any = disabled
        extra._torchdynamo_disable = True
        extra._torchdynamo_disable_msg = self.reason
        extra._torchdynamo_disable_recursive = self.recursive
        extra._torchdynamo_orig_callable = fn
        extra._torchdynamo_wrapper_id = id(disabled)
        return disabled


class OptimizedModule(Module):
    """A module whose calls are compiled; everything else is the module's own.

    Its parameters are the module's, under names that begin with `_orig_mod.`.
    """

    _own = frozenset((
        "_orig_mod", "dynamo_ctx", "_torchdynamo_orig_callable", "_torchdynamo_wrapper_id",
        "get_compiler_config", "forward", "_forward", "__dict__", "_super_module_initialized",
    ))  # fmt: skip

    def __init__(self, mod: Module, dynamo_ctx: Any) -> None:
        # Attributes are the module's from the first one on, so it has to be there already.
        object.__setattr__(self, "_orig_mod", mod)
        object.__setattr__(self, "_super_module_initialized", False)
        super().__init__()
        self._super_module_initialized = True
        object.__delattr__(self, "_orig_mod")
        self._orig_mod = mod
        self.dynamo_ctx = dynamo_ctx
        self._initialize()

    def _initialize(self) -> None:
        self.forward = self.dynamo_ctx.wrap(
            MethodType(type(self._orig_mod).__call__, self._orig_mod)
        )

    def __len__(self) -> int:
        if isinstance(self._orig_mod, Sized):
            return len(self._orig_mod)
        raise TypeError(f"{type(self._orig_mod).__name__} does not support len()")

    def __reduce__(self) -> Any:
        return type(self), (self._orig_mod, self.dynamo_ctx)

    @property
    def training(self) -> bool:
        """The module's."""
        return bool(self._orig_mod.training)

    @training.setter
    def training(self, value: bool) -> None:
        if self._super_module_initialized:
            self._orig_mod.training = value

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self.__dict__["_modules"]["_orig_mod"]
        return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name in OptimizedModule._own:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        if hasattr(type(self), name) or name in OptimizedModule._own:
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        theirs = list(self._orig_mod.__dir__())
        return theirs + [name for name in super().__dir__() if name not in theirs]
