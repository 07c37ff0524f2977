"""Marks on functions and tensors, as programs put them for `torch.compile`."""

from __future__ import annotations

from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics.state import state
from .eval_frame import CompileContext, DisableContext


def disable(
    fn: Any = None, recursive: bool = True, *, reason: str | None = None, wrapping: bool = True
) -> Any:
    """A function, module or class that no compiled region contains; also a decorator."""
    context = DisableContext(recursive, reason)
    return context if fn is None else context(getattr(fn, "_torchdynamo_orig_callable", fn))


def skip(fn: Any = None) -> Any:
    """`fn` marked as one that is not compiled itself; what it calls may be."""
    if fn is None:
        return skip
    fn = getattr(fn, "_torchdynamo_orig_callable", fn)
    if not callable(fn):
        raise AssertionError(f"Expected fn to be callable, got {type(fn)}")
    return disable(fn, recursive=False)


def run(fn: Any = None) -> Any:
    """`fn` as it is: no graph is compiled for it."""
    if fn is None:
        return run
    return getattr(fn, "_torchdynamo_orig_callable", fn)


def graph_break(msg: str = "") -> None:
    """End the graph of the compiled region that runs, if one does.

    Raises: Unsupported under `fullgraph`.
    """
    if state.compiled is not None:
        state.compiled.leave("graph_break", f"Called `torch._dynamo.graph_break()`: {msg}")


def optimize(
    backend: Any = "inductor", *, nopython: bool = False, dynamic: bool | None = None,
    disable: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """The decorator form of `torch.compile`."""
    from .backends.registry import lookup_backend

    lookup_backend(backend)
    if disable:
        return lambda fn: fn
    return CompileContext(backend, nopython, dynamic)


def optimize_assert(backend: Any, **kwargs: Any) -> Any:
    """`optimize` for one graph."""
    return optimize(backend, nopython=True, **kwargs)


def _mark(tensor: Any, name: str, index: Any) -> None:
    indices = [index] if isinstance(index, int) else index
    if not isinstance(indices, list | tuple):
        raise AssertionError(f"Expected index to be int, list, or tuple, got {type(index)}")
    held = getattr(tensor, name, None)
    if held is None:
        held = set()
        setattr(tensor, name, held)
    held.update(indices)


def mark_dynamic(t: Any, index: Any, **kwargs: Any) -> None:
    """Note dims of a tensor whose size will change.

    Every size has a program of its own; those that differ in such dims only count once towards
    `recompile_limit`. Raises: AssertionError for an index of another type.
    """
    _mark(t, "_dynamo_dynamic_indices", index)


def maybe_mark_dynamic(t: Any, index: Any, **kwargs: Any) -> None:
    """As `mark_dynamic`."""
    _mark(t, "_dynamo_weak_dynamic_indices", index)


def mark_unbacked(t: Any, index: Any, **kwargs: Any) -> None:
    """As `mark_dynamic`: sizes are always known here."""
    _mark(t, "_dynamo_unbacked_indices", index)


def mark_static(t: Any, index: Any = None) -> None:
    """Note dims (all, if None) whose size will not change."""
    if index is None:
        index = list(range(t.dim())) if isinstance(t, TensorBase) else []
    _mark(t, "_dynamo_static_indices", index)


def mark_static_address(t: Any, guard: bool = False) -> None:
    """Do nothing: no memory addresses are recorded."""


def is_compiling() -> bool:
    """Whether a compiled function runs."""
    return state.compiled is not None
