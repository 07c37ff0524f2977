"""`torch._dynamo`, as libraries touch it: marks without effect, and switches that are kept."""

from __future__ import annotations

from typing import Any

from .._compile import compile as _compile
from ..compiler import (
    allow_in_graph as allow_in_graph,
    assume_constant_result as assume_constant_result,
    disable as disable,
    is_compiling as is_compiling,
    list_backends as list_backends,
    reset as reset,
    substitute_in_graph as substitute_in_graph,
)
from . import config as config
from .eval_frame import OptimizedModule as OptimizedModule


def optimize(backend: Any = "inductor", *, nopython: bool = False, **kwargs: Any) -> Any:
    """The decorator form of `torch.compile`."""
    return _compile(backend=backend, fullgraph=nopython)


def is_dynamo_supported() -> bool:
    """False: no Python code is traced."""
    return False


def mark_dynamic(t: Any, index: Any, **kwargs: Any) -> None:
    """Do nothing: a new shape is a new program."""


maybe_mark_dynamic = mark_unbacked = mark_static = mark_dynamic


def mark_static_address(t: Any, guard: bool = False) -> None:
    """Do nothing: no memory addresses are recorded."""


def graph_break(msg: str = "") -> None:
    """Do nothing: there is no graph of Python code to break."""


def skip(fn: Any = None) -> Any:
    """`fn` itself."""
    return (lambda f: f) if fn is None else fn


run = forbid_in_graph = disallow_in_graph = skip
