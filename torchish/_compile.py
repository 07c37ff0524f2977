"""`torch.compile`: marks calls as compiled regions, and gives graphs to backends of the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] | None = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Any:
    """A function or module whose calls are compiled; a decorator without `model`.

    XLA compiles whole steps whether or not this is called. What this adds: a function whose calls
    do the same each time is replayed as one program without its Python, a whole training step with
    its optimizer too (guards watch everything that it can reach; code that does more than compute
    runs at every call). A `backend` that is a function is given
    each graph as a `torch.fx.GraphModule` with example inputs, and what it returns is run.

    Args:
        model: a function, module or class.
        fullgraph: raise where one graph cannot hold all of it.
        dynamic: True: sizes may change, and graphs that differ in them alone count once towards
            `recompile_limit`. Every size still has a program of its own.
        backend: a name of `torch._dynamo.list_backends()`, or a function of a graph and inputs.
        mode, options: choices of PyTorch's own compiler; they change nothing here. `options` are
            handed to a backend that is a function.
        disable: give `model` back as it is.
        recompile_limit: how many graphs one place may have before it runs uncompiled.
    Raises: RuntimeError for an unknown mode, or mode together with options; InvalidBackend for an
        unknown name; `torch._dynamo.exc.Unsupported` in calls that break under `fullgraph`.
    """
    if model is None:
        given = {
            "fullgraph": fullgraph, "dynamic": dynamic, "backend": backend, "mode": mode,
            "options": options, "name": name, "disable": disable, "shapes_spec": shapes_spec,
            "recompile_limit": recompile_limit, "isolate_recompiles": isolate_recompiles,
        }  # fmt: skip
        return lambda fn: _named(fn, given)
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if shapes_spec is not None:
        from ._basics.errors import not_supported

        raise not_supported("torch.compile(shapes_spec=)", "calls with the shapes themselves")
    from ._dynamo.backends.registry import lookup_backend
    from ._dynamo.eval_frame import CompileContext
    from ._dynamo.stance import default_backend

    backend = default_backend() if backend is None else backend
    if backend == "inductor" and mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    compiler = lookup_backend(backend)
    if disable:
        return model
    chosen = _with_choices(compiler, mode, options) if callable(compiler) else backend
    return CompileContext(chosen, fullgraph, dynamic, recompile_limit, options)(model)


def _named(fn: Any, given: dict[str, Any]) -> Any:
    if fn is None:
        raise RuntimeError("Model can't be None")
    return compile(fn, **given)


def _with_choices(backend: Any, mode: str | None, options: dict[str, Any] | None) -> Any:
    """A backend that is given the mode and options too, if there are some."""
    given: dict[str, Any] = {} if options is None else {"options": options}
    if mode is not None and mode != "default":
        given["mode"] = mode
    if not given:
        return backend

    def called(module: Any, inputs: Any) -> Any:
        return backend(module, inputs, **given)

    called.__name__ = getattr(backend, "__name__", "backend")
    return called
