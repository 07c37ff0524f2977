"""Operators with a look at the values of their operands before they are recorded.

An operator's body sees shapes only; whether an index is in range is seen here, at every call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._autograd.apply import apply_kernel
from ..protocol import overriding
from ..registry import operators, parameters, register
from .binding import MISSING, Binder, plain
from .calling import call, call_inplace, call_out, check_inplace_history
from .operator import Layout, Operator


def guarded(
    guard: Callable[..., None],
    *,
    into: tuple[str, ...] = ("torch", "method"),
    inplace: bool = False,
    name: str | None = None,
    grad_name: str | Callable[..., str] | None = None,
    layout: Layout | None = None,
    overlap: str | None = None,
    expanded: str = "refuse",
) -> Callable[[Callable[..., Any]], Any]:
    """Like `@op("none")`, with `guard(**arguments)` run first: tensors, numbers, static values."""

    def wrap(body: Callable[..., Any]) -> Any:
        public = name or body.__name__
        made = Operator(
            public, body, Binder(public, parameters(body)), "none", grad_name=grad_name,
            layout=layout, overlap=overlap, expanded=expanded,
        )  # fmt: skip

        def look(args: Any, kwargs: Any) -> None:
            operands, key = made.binder.bind(args, kwargs)
            made.kernels.get(tuple(key)) or made.specialise(tuple(key))  # shape errors come first
            guard(**_arguments(made, operands, key))

        def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            found = overriding.look(args, kwargs) if overriding.engaged else None
            if found is not None:
                every = kwargs if out is None else {**kwargs, "out": out}
                return overriding.send(function, found, args, every)
            try:
                look(args, kwargs)
            except TypeError as error:
                return overriding.refused(function, args, kwargs, error)
            if out is not None:
                return call_out(made, args, kwargs, out)
            return call(made, args, kwargs)

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = overriding.look((self, *args), kwargs) if overriding.engaged else None
            if found is not None:
                return overriding.send(method, found, (self, *args), kwargs)
            try:
                look((self, *args), kwargs)
            except TypeError as error:
                return overriding.refused(method, (self, *args), kwargs, error)
            return call(made, (self, *args), kwargs)

        def in_place(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = overriding.look((self, *args), kwargs) if overriding.engaged else None
            if found is not None:
                return overriding.send(in_place, found, (self, *args), kwargs)
            try:
                check_inplace_history(made, self, args, kwargs)
                look((self, *args), kwargs)
            except TypeError as error:
                return overriding.refused(in_place, (self, *args), kwargs, error)
            return call_inplace(made, self, args, kwargs)

        for place in into:
            operators[f"{place}.{public}"] = made
            register(place, public, method if place == "method" else function)
        if inplace:
            register("method", public + "_", in_place)
        for made_function, label in (
            (function, public),
            (method, public),
            (in_place, public + "_"),
        ):
            made_function.__name__ = made_function.__qualname__ = label
            made_function.__doc__ = body.__doc__
            made_function.operator = made  # type: ignore[attr-defined]
            made_function.looks_first = True  # type: ignore[attr-defined]  # autocast comes before
        return function

    return wrap


def call_strided(function: Any, args: tuple[Any, ...], strides: tuple[int, ...] | None) -> Any:
    """Call an operator whose single result has the given strides (None: row-major)."""
    made = function.operator
    operands, key = made.binder.bind(args, {})
    kernel = made.kernels.get(tuple(key)) or made.specialise(tuple(key))
    return apply_kernel(kernel, operands, strides)[0]


def _arguments(operator: Operator, operands: list[Any], key: list[Any]) -> dict[str, Any]:
    """A bound call as the guard sees it."""
    stream = iter(operands)
    found: dict[str, Any] = {}
    for p, k in zip(operator.binder.params, key, strict=True):
        if k is MISSING:
            found[p.name] = p.default
        elif p.kind == "static" or k is None:
            found[p.name] = plain(k)
        elif p.kind == "tensors":
            found[p.name] = [next(stream) for _ in k]
        else:
            found[p.name] = next(stream)
    return found
