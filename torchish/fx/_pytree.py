"""Nested tuples, lists and dicts as a list of leaves and a spec."""

from __future__ import annotations

from typing import Any, NamedTuple


class TreeSpec(NamedTuple):
    """The containers of a flattened value: type (None: a leaf), its keys, its children."""

    kind: Any
    context: Any
    children: tuple[Any, ...]


_LEAF = TreeSpec(None, None, ())


def _children(tree: Any) -> tuple[list[Any], Any] | None:
    if isinstance(tree, dict):
        return list(tree.values()), list(tree)
    if isinstance(tree, list | tuple) and not hasattr(tree, "__torch_function__"):
        return list(tree), None
    return None


def tree_flatten(tree: Any) -> tuple[list[Any], TreeSpec]:
    """The leaves in order, and the spec."""
    found = _children(tree)
    if found is None:
        return [tree], _LEAF
    leaves: list[Any] = []
    specs = []
    for child in found[0]:
        inner, spec = tree_flatten(child)
        leaves += inner
        specs.append(spec)
    return leaves, TreeSpec(type(tree), found[1], tuple(specs))


def tree_flatten_spec(tree: Any, spec: TreeSpec) -> list[Any]:
    """The leaves of a value that is built as `spec` says."""
    if spec.kind is None:
        return [tree]
    items = [tree[k] for k in spec.context] if spec.context is not None else list(tree)
    return [x for t, s in zip(items, spec.children, strict=True) for x in tree_flatten_spec(t, s)]


def tree_unflatten(leaves: Any, spec: TreeSpec) -> Any:
    """The value whose leaves are given."""
    return _build(iter(leaves), spec)


def _build(stream: Any, spec: TreeSpec) -> Any:
    if spec.kind is None:
        return next(stream)
    items = [_build(stream, s) for s in spec.children]
    if spec.context is not None:
        return spec.kind(zip(spec.context, items, strict=True))
    return spec.kind(*items) if hasattr(spec.kind, "_fields") else spec.kind(items)


def tree_map(fn: Any, tree: Any) -> Any:
    """The value with `fn` applied to its leaves."""
    leaves, spec = tree_flatten(tree)
    return tree_unflatten([fn(x) for x in leaves], spec)
