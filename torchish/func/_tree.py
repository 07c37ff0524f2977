"""Containers of tensors, taken apart and put together (dicts keep their order, None is a leaf)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spec:
    """The shape of a container: its class, keys or class of a named tuple, and its parts."""

    kind: Any  # None for a leaf
    context: Any = None
    parts: tuple[Spec, ...] = ()

    @property
    def count(self) -> int:
        """How many leaves there are."""
        return 1 if self.kind is None else sum(p.count for p in self.parts)

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        if self.context is None and self.kind is tuple:
            inner = ", ".join(map(repr, self.parts))
            return f"({inner}{',' * (len(self.parts) == 1)})"
        if self.kind is list:
            return f"[{', '.join(map(repr, self.parts))}]"
        inner = ", ".join(f"{k!r}: {p!r}" for k, p in zip(self.context, self.parts, strict=False))
        return f"{{{inner}}}"

    def long(self) -> str:
        """As older error texts show it."""
        if self.kind is None:
            return "*"
        inner = ",\n  ".join(p.long() for p in self.parts)
        return f"TreeSpec({self.kind.__name__}, {self.context}, [{inner}])"


LEAF = Spec(None)


def children(tree: Any) -> tuple[Any, Any, Sequence[Any]] | None:
    """(class, context, parts) of a container, None for a leaf."""
    kind = type(tree)
    if kind in (dict, OrderedDict):
        return kind, list(tree), list(tree.values())
    if kind in (list, tuple):
        return kind, None, tree
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return tuple, kind, tree
    return None


def flatten(tree: Any) -> tuple[list[Any], Spec]:
    """The leaves and the shape of a container."""
    found = children(tree)
    if found is None:
        return [tree], LEAF
    kind, context, parts = found
    leaves: list[Any] = []
    specs = []
    for part in parts:
        some, spec = flatten(part)
        leaves += some
        specs.append(spec)
    return leaves, Spec(kind, _frozen(context), tuple(specs))


def _frozen(context: Any) -> Any:
    return tuple(context) if isinstance(context, list) else context


def unflatten(spec: Spec, leaves: Sequence[Any]) -> Any:
    """The container of this shape around the leaves."""
    if spec.kind is None:
        return leaves[0]
    parts = []
    start = 0
    for part in spec.parts:
        parts.append(unflatten(part, leaves[start : start + part.count]))
        start += part.count
    if spec.kind in (dict, OrderedDict):
        return spec.kind(zip(spec.context, parts, strict=True))
    if spec.context is not None:
        return spec.context(*parts)
    return spec.kind(parts)


def tree_map(function: Callable[..., Any], tree: Any) -> Any:
    """The container with `function` of each leaf."""
    leaves, spec = flatten(tree)
    return unflatten(spec, [function(x) for x in leaves])


def broadcast(tree: Any, spec: Spec) -> list[Any] | None:
    """One entry of `tree` for each leaf of `spec` (one may stand for a whole part); None: no fit.

    A tuple fits a list: `in_dims` is often written so.
    """
    if spec.kind is None:
        return None if children(tree) is not None else [tree]
    found = children(tree)
    if found is None:
        return [tree] * spec.count
    kind, context, parts = found
    same = kind is spec.kind or {kind, spec.kind} == {list, tuple}
    if kind in (dict, OrderedDict):
        same = same and set(context) == set(spec.context)
        if same:
            parts = [tree[k] for k in spec.context]
    if not same or len(parts) != len(spec.parts):
        return None
    result: list[Any] = []
    for part, inner in zip(parts, spec.parts, strict=True):
        some = broadcast(part, inner)
        if some is None:
            return None
        result += some
    return result
