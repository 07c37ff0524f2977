"""Work on arrays that JAX must not trace, while JAX may be tracing something.

Invariant: what a Value holds is data. Tensors may be touched inside a function that JAX traces (a
captured tensor, a program that still has to run); JAX would trace that work too, and the Value
would hold a tracer that is of no use once the trace has ended.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

try:
    from jax._src.core import trace_state_clean as _is_clean
except ImportError:  # another version of JAX: then the context is entered always

    def _is_clean() -> bool:
        return False


is_clean = _is_clean  # whether JAX is surely tracing nothing
Function = TypeVar("Function", bound=Callable[..., Any])


def concrete(function: Function) -> Function:
    """A function that runs outside of all that JAX traces."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        if is_clean():
            return function(*args, **kwargs)
        with jax.ensure_compile_time_eval():
            return function(*args, **kwargs)

    return inner  # type: ignore[return-value]
