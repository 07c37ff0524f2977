"""`torch.compiler`: marks for `torch.compile`, and questions about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._basics.state import state
from .._compile import compile as compile
from .._dynamo import (
    allow_in_graph as allow_in_graph,
    assume_constant_result as assume_constant_result,
    disable as disable,
    list_backends as list_backends,
    reset as reset,
    set_stance as set_stance,
    substitute_in_graph as substitute_in_graph,
)
from .._dynamo.stance import (
    default_backend as get_default_backend,
    set_default_backend as set_default_backend,
)

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "get_default_backend",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "nested_compile_region",
    "reset",
    "set_default_backend",
    "set_stance",
    "substitute_in_graph",
    "wrap_numpy",
]  # fmt: skip


def is_compiling() -> bool:
    """Whether a compiled function runs: inside `torch.compile`, and not in what is disabled."""
    return state.compiled is not None


def is_dynamo_compiling() -> bool:
    """As `is_compiling`."""
    return state.compiled is not None


def is_exporting() -> bool:
    """False: exporting records operators, it does not trace Python."""
    return False


def _same(fn: Callable[..., Any]) -> Callable[..., Any]:
    return fn


def nested_compile_region(fn: Any = None, **kwargs: Any) -> Any:
    """`fn` itself, or a decorator that gives it back."""
    return _same if fn is None else fn


def wrap_numpy(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function on numpy arrays as one on tensors."""
    import functools

    import numpy as np

    from .._autograd.tensor_base import TensorBase
    from .._ops.registry import ops
    from ..utils._pytree import tree_map_only

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree_map_only(TensorBase, lambda t: t.numpy(), (args, kwargs))
        return tree_map_only(np.ndarray, ops.from_numpy, fn(*args, **kwargs))

    return wrapped


def cudagraph_mark_step_begin() -> None:
    """Do nothing: XLA reuses its programs' memory by itself."""
