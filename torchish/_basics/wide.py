"""JAX's 64-bit mode: torch has int64 and float64, so all that torchish traces and runs needs it.

Invariant: whoever turned it off for JAX code of their own (`jax.enable_x64(False)`, a later
`jax.config.update`, TORCHISH_JAX_X64=0) changes nothing for tensors.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import jax

_AS_IT_IS: AbstractContextManager[Any] = contextlib.nullcontext()
Function = TypeVar("Function", bound=Callable[..., Any])


def wide() -> AbstractContextManager[Any]:
    """A context in which JAX keeps 64-bit types."""
    if jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        return _AS_IT_IS
    return jax.enable_x64(True)  # type: ignore[no-any-return]


def widened(function: Function) -> Function:
    """A function that runs under `wide`."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        if jax.config.jax_enable_x64:  # type: ignore[attr-defined]
            return function(*args, **kwargs)
        with wide():
            return function(*args, **kwargs)

    return inner  # type: ignore[return-value]
