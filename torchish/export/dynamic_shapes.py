"""`Dim`: which sizes of an exported program's arguments may change."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from .._basics.errors import not_supported

__all__ = ["Dim", "dims"]


class _Kind(Enum):
    AUTO = auto()
    STATIC = auto()
    DYNAMIC = auto()


class _Hint:
    """`Dim.AUTO` and its kin, as they are and with bounds."""

    def __init__(self, kind: _Kind, min: int | None = None, max: int | None = None) -> None:
        self.type, self.min, self.max = kind, min, max

    def __call__(self, min: int | None = None, max: int | None = None) -> _Hint:
        """The hint with bounds."""
        if self.type is _Kind.STATIC:
            raise TypeError("'DimHint' object is not callable")
        return _Hint(self.type, min, max)

    def __repr__(self) -> str:
        bounds = [f"{k}={v}" for k, v in (("min", self.min), ("max", self.max)) if v is not None]
        return f"DimHint({', '.join([self.type.name, *bounds])})"


class Dim:
    """A size with a name; arguments that share it have equal sizes there.

    Args:
        name: an identifier.
        min, max: bounds, which calls of the program are held to.
    """

    AUTO = _Hint(_Kind.AUTO)
    DYNAMIC = _Hint(_Kind.DYNAMIC)
    STATIC = _Hint(_Kind.STATIC)

    def __init__(self, name: str, *, min: int | None = None, max: int | None = None) -> None:
        low, high = 0 if min is None else min, math.inf if max is None else max
        if high <= low:
            raise AssertionError(f"Cannot create Dim with inconsistent min={low}, max={high}")
        if not name.isidentifier():
            raise AssertionError(f"Dim name must be a valid identifier, got {name}")
        self.__name__ = name
        self.min, self.max = low, high

    def _derived(self, *_: Any) -> Any:
        raise not_supported("sizes derived from a Dim (2 * batch)", "a Dim of its own")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _derived

    def __repr__(self) -> str:
        bounds = [f"'{self.__name__}'", f"min={self.min}"]
        if self.max != math.inf:
            bounds.append(f"max={self.max}")
        return f"Dim({', '.join(bounds)})"


def dims(*names: str, min: int | None = None, max: int | None = None) -> tuple[Dim, ...]:
    """Several `Dim`s with the same bounds."""
    return tuple(Dim(name, min=min, max=max) for name in names)


class Shapes:
    """The symbols that each array among the arguments has, and their bounds."""

    def __init__(self) -> None:
        self.symbols: dict[str, tuple[int, float]] = {}
        self.examples: dict[str, int] = {}
        self.optional: set[str] = set()  # symbols of Dim.AUTO
        # For each leaf of the arguments: symbol by dim.
        self.leaves: dict[int, dict[int, str]] = {}

    def note(self, leaf: int, dim: int, size: int, wanted: Any) -> None:
        """Make a dim of an argument a symbol, if that is what is `wanted` of it.

        Raises: UserError for a size out of bounds or two sizes under one name.
        """
        if wanted is None or isinstance(wanted, int):
            return
        if isinstance(wanted, _Hint):
            if wanted.type is _Kind.STATIC:
                return
            name = f"s{leaf}_{dim}"
            low, high = wanted.min or 0, wanted.max or math.inf
            if wanted.type is _Kind.AUTO:
                self.optional.add(name)
        else:
            name, low, high = wanted.__name__, wanted.min, wanted.max
        if not low <= size <= high:
            raise _user_error(f"the example size {size} is outside of {wanted}")
        if self.examples.setdefault(name, size) != size:
            raise _user_error(f"{name} has two sizes: {self.examples[name]} and {size}")
        self.symbols[name] = (low, high)
        self.leaves.setdefault(leaf, {})[dim] = name

    def without(self, names: set[str]) -> Shapes:
        """The same with these symbols fixed to their examples."""
        made = Shapes()
        made.symbols = {k: v for k, v in self.symbols.items() if k not in names}
        made.examples = {k: v for k, v in self.examples.items() if k not in names}
        for leaf, by_dim in self.leaves.items():
            kept = {d: n for d, n in by_dim.items() if n not in names}
            if kept:
                made.leaves[leaf] = kept
        return made


def _user_error(text: str) -> Exception:
    from .._dynamo.exc import UserError

    return UserError(text)


def bound_names(function: Callable[..., Any], args: Any, kwargs: Any) -> list[str]:
    """A name for each argument of a call: its parameter's; of `*args` numbered."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return [f"arg{k}" for k in range(len(args))] + list(kwargs)
    names = []
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}_{k}" for k in range(len(value))]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            names += list(value)
        else:
            names.append(name)
    return names


def read(dynamic_shapes: Any, names: list[str], given: list[Any], numbering: Any) -> Shapes:
    """The symbols of `dynamic_shapes` for these arguments.

    `numbering` replaces each array of a tree by the number of its leaf, and is called with one
    argument after the other. Raises: UserError for names and structures that do not fit.
    """
    shapes = Shapes()
    if dynamic_shapes is None:
        return shapes
    if isinstance(dynamic_shapes, dict):
        if set(dynamic_shapes) != set(names):
            raise _user_error(
                "When `dynamic_shapes` is specified as a dict, its top-level keys must be the arg "
                f"names {names} of `inputs`, but here they are {list(dynamic_shapes)}. "
                "Alternatively, you could also ignore arg names entirely and specify "
                "`dynamic_shapes` as a list/tuple matching `inputs`."
            )
        specs = [dynamic_shapes[name] for name in names]
    else:
        specs = list(dynamic_shapes)
        if len(specs) != len(given):
            raise _user_error(
                f"`dynamic_shapes` has {len(specs)} entries for {len(given)} arguments"
            )
    for name, value, spec in zip(names, given, specs, strict=True):
        _visit(shapes, name, value, numbering(value), spec)
    return shapes


def _visit(shapes: Shapes, name: str, value: Any, numbers: Any, spec: Any) -> None:
    if spec is None:
        return
    if isinstance(value, dict) and isinstance(spec, dict):
        for key in spec:
            _visit(shapes, f"{name}[{key!r}]", value[key], numbers[key], spec[key])
    elif isinstance(value, list | tuple) and isinstance(spec, list | tuple):
        for k, one in enumerate(spec):
            _visit(shapes, f"{name}[{k}]", value[k], numbers[k], one)
    elif hasattr(value, "shape") and isinstance(numbers, int):
        by_dim = spec.items() if isinstance(spec, dict) else _each(spec, value)
        for dim, wanted in by_dim:
            if not 0 <= dim < len(value.shape):
                raise _user_error(
                    f"dynamic_shapes names dim {dim} of {name}, which has {len(value.shape)}"
                )
            shapes.note(numbers, dim, int(value.shape[dim]), wanted)
    else:
        raise _user_error(f"dynamic_shapes has {spec!r} for {name}, which is {type(value)}")


def _each(spec: Any, value: Any) -> Any:
    if isinstance(spec, list | tuple):
        return enumerate(spec)
    return [(d, spec) for d in range(len(value.shape))]
