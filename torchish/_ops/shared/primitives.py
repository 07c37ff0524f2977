"""Primitives of our own: one function with a lowering of its own on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.interpreters import mlir

# jax.extend.core.Primitive; importing it from there would load all of jax.extend.
Primitive: Any = type(lax.add_p)


def define(
    name: str, shapes: Callable[..., Any], generic: Callable[..., Any],
    cpu: Callable[..., Any] | None = None, *, static: Sequence[str] = (), several: bool = False,
    around: Callable[[Any], Any] = lambda rule: rule,
) -> Any:  # fmt: skip
    """A primitive `name` that is `generic`, and `cpu` in programs for the CPU.

    Args:
        shapes: avals of the results from those of the operands; static: names of its parameters.
        several: whether it gives a list.
        around: what the rule for the CPU is wrapped in.
    """
    primitive = Primitive(name)
    primitive.multiple_results = several
    primitive.def_abstract_eval(shapes)

    def run(*operands: Any, **params: Any) -> Any:
        return primitive.bind(*operands, **params)

    primitive.def_impl(jax.jit(run, static_argnames=tuple(static)))
    mlir.register_lowering(primitive, mlir.lower_fun(generic, multiple_results=several))
    if cpu is not None:
        rule = around(mlir.lower_fun(cpu, multiple_results=several))
        mlir.register_lowering(primitive, rule, platform="cpu")
    return primitive
