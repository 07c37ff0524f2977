"""Values taken apart as a spec says: what generated code calls for its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..utils._pytree import (
    TreeSpec,
    tree_flatten as tree_flatten,
    tree_map as tree_map,
    tree_unflatten as tree_unflatten,
)

_Children = Callable[[Any, TreeSpec], list[Any]]
SUPPORTED_NODES: dict[type, _Children] = {
    dict: lambda value, spec: [value[key] for key in spec.context],
    list: lambda value, spec: [value[k] for k in range(spec.num_children)],
    tuple: lambda value, spec: [value[k] for k in range(spec.num_children)],
}


def register_pytree_flatten_spec(
    cls: type, flatten_fn_spec: _Children, flatten_fn_exact_match_spec: Any = None
) -> None:
    """Say how instances of `cls` are taken apart where a spec is known."""
    SUPPORTED_NODES[cls] = flatten_fn_spec


def tree_flatten_spec(pytree: Any, spec: TreeSpec) -> list[Any]:
    """The leaves of a value that is built as `spec` says.

    Raises: RuntimeError for one that is built otherwise.
    """
    if spec.is_leaf():
        return [pytree]
    children = SUPPORTED_NODES.get(spec.type)
    if children is not None:
        pairs = zip(children(pytree, spec), spec.children(), strict=True)
        return [leaf for part, inner in pairs for leaf in tree_flatten_spec(part, inner)]
    leaves, found = tree_flatten(pytree)
    if found != spec:
        raise RuntimeError(
            f"Real spec {found} of object {pytree} is different from expected spec {spec}. "
        )
    return leaves
