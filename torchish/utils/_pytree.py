"""Containers of tensors, taken apart and put together: `torch.utils._pytree`.

A container is a tuple, list, dict, named tuple, OrderedDict, defaultdict, deque, or an object of a
class that was registered; everything else is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ._trees.nodes import (
    BUILTIN_TYPES as BUILTIN_TYPES,
    CONSTANTS as CONSTANT_NODES,
    STANDARD_DICT_TYPES as STANDARD_DICT_TYPES,
    SUPPORTED_NODES as SUPPORTED_NODES,
    Context as Context,
    GetAttrKey as GetAttrKey,
    KeyEntry as KeyEntry,
    MappingKey as MappingKey,
    NodeDef as NodeDef,
    SequenceKey as SequenceKey,
    deregister as _deregister_pytree_node,  # noqa: F401
    is_namedtuple_class as is_namedtuple_class,
    is_structseq_class as is_structseq_class,
    node_type as _get_node_type,
    register as register_pytree_node,
    register_constant as register_constant,
    register_dataclass as register_dataclass,
    register_namedtuple as _register_namedtuple,  # noqa: F401
)
from ._trees.spec import (
    LEAF as _LEAF_SPEC,
    LeafSpec as LeafSpec,
    TreeSpec as TreeSpec,
    treespec_dumps as treespec_dumps,
    treespec_loads as treespec_loads,
)

PyTree = Any
PyTreeSpec = TreeSpec
KeyPath = tuple[KeyEntry, ...]
_register_pytree_node = _private_register_pytree_node = register_pytree_node
Leaf = Callable[[Any], bool] | None

__all__ = [
    "Context", "FlattenFunc", "GetAttrKey", "KeyEntry", "KeyPath", "LeafSpec", "MappingKey",
    "PyTree", "PyTreeSpec", "SequenceKey", "TreeSpec", "UnflattenFunc", "key_get", "keystr",
    "register_constant", "register_dataclass", "register_pytree_node", "tree_all", "tree_all_only",
    "tree_any", "tree_any_only", "tree_flatten", "tree_flatten_with_path", "tree_is_leaf",
    "tree_iter", "tree_leaves", "tree_leaves_with_path", "tree_map", "tree_map_", "tree_map_only",
    "tree_map_only_", "tree_map_with_path", "tree_structure", "tree_unflatten", "treespec_dict",
    "treespec_dumps", "treespec_leaf", "treespec_loads", "treespec_pprint", "treespec_tuple",
]  # fmt: skip

FlattenFunc = Callable[[Any], tuple[list[Any], Context]]
UnflattenFunc = Callable[[Iterable[Any], Context], Any]


def is_namedtuple(obj: Any) -> bool:
    """Whether `obj` is a named tuple, or such a class."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_namedtuple_instance(obj: Any) -> bool:
    """Whether `obj` is a named tuple."""
    return is_namedtuple_class(type(obj))


def is_structseq(obj: Any) -> bool:
    """Whether `obj` is a struct sequence, or such a class."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_instance(obj: Any) -> bool:
    """Whether `obj` is a struct sequence."""
    return is_structseq_class(type(obj))


def is_constant_class(cls: type) -> bool:
    """Whether the class was given to `register_constant`."""
    return cls in CONSTANT_NODES


def tree_is_leaf(tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether `tree` is no container."""
    if is_leaf is not None and is_leaf(tree):
        return True
    return _get_node_type(tree) not in SUPPORTED_NODES


_is_leaf = tree_is_leaf


def tree_flatten(tree: Any, is_leaf: Leaf = None) -> tuple[list[Any], TreeSpec]:
    """The leaves and the shape of a container."""
    leaves: list[Any] = []
    return leaves, _taken_apart(tree, is_leaf, leaves)


def _taken_apart(tree: Any, is_leaf: Leaf, leaves: list[Any]) -> TreeSpec:
    if tree_is_leaf(tree, is_leaf):
        leaves.append(tree)
        return _LEAF_SPEC
    kind = _get_node_type(tree)
    parts, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    return TreeSpec(kind, context, [_taken_apart(part, is_leaf, leaves) for part in parts])


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The container of that shape with these leaves.

    Raises: TypeError if `treespec` is none, ValueError for another number of leaves.
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "tree_unflatten(leaves, treespec): Expected `treespec` to be instance of PyTreeSpec "
            f"but got item of type {type(treespec)}."
        )
    return treespec.unflatten(leaves)


def tree_iter(tree: Any, is_leaf: Leaf = None) -> Iterable[Any]:
    """The leaves, one by one."""
    if tree_is_leaf(tree, is_leaf):
        yield tree
        return
    parts, _ = SUPPORTED_NODES[_get_node_type(tree)].flatten_fn(tree)
    for part in parts:
        yield from tree_iter(part, is_leaf)


def tree_leaves(tree: Any, is_leaf: Leaf = None) -> list[Any]:
    """The leaves."""
    return list(tree_iter(tree, is_leaf))


def arg_tree_leaves(*args: Any, **kwargs: Any) -> list[Any]:
    """The leaves of a call's arguments."""
    leaves = [leaf for a in args for leaf in tree_iter(a)]
    return leaves + [leaf for a in kwargs.values() for leaf in tree_iter(a)]


def tree_structure(tree: Any, is_leaf: Leaf = None) -> TreeSpec:
    """The shape of a container."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Leaf = None) -> Any:
    """`func` of every leaf, and of what stands there in `rests`, in the same shape."""
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(spec.flatten_up_to(r) for r in rests)]
    return spec.unflatten(list(map(func, *columns)))


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Leaf = None) -> Any:
    """Call `func` on every leaf; gives `tree`."""
    leaves, spec = tree_flatten(tree, is_leaf)
    for row in zip(leaves, *(spec.flatten_up_to(r) for r in rests), strict=True):
        func(*row)
    return tree


def _chosen(kinds: Any) -> Callable[[Any], bool]:
    if isinstance(kinds, type | tuple) or type(kinds).__name__ == "UnionType":
        return lambda x: isinstance(x, kinds)
    if callable(kinds):
        return kinds  # type: ignore[no-any-return]
    raise TypeError("Argument must be a type, a tuple of types, or a callable predicate function.")


def map_only(type_or_types_or_pred: Any, /) -> Callable[[Any], Any]:
    """Decorate a function so that other values pass unchanged."""
    fits = _chosen(type_or_types_or_pred)

    def wrap(func: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: func(x) if fits(x) else x

    return wrap


def tree_map_only(
    type_or_types_or_pred: Any, /, func: Callable[[Any], Any], tree: Any, is_leaf: Leaf = None
) -> Any:
    """`tree_map` over the leaves of some types; the others stay."""
    return tree_map(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_map_only_(
    type_or_types_or_pred: Any, /, func: Callable[[Any], Any], tree: Any, is_leaf: Leaf = None
) -> Any:
    """`tree_map_` over the leaves of some types."""
    return tree_map_(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether `pred` holds for all leaves."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether `pred` holds for a leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(
    type_or_types: Any, /, pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None
) -> bool:
    """Whether `pred` holds for all leaves of some types."""
    return all(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, type_or_types))


def tree_any_only(
    type_or_types: Any, /, pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None
) -> bool:
    """Whether `pred` holds for a leaf of some types."""
    return any(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, type_or_types))


def _broadcast_to_and_flatten(
    tree: Any, treespec: TreeSpec, is_leaf: Leaf = None
) -> list[Any] | None:
    """Leaves for `treespec`, where a leaf of `tree` stands for all below it; None if unlike."""
    if tree_is_leaf(tree, is_leaf):
        return [tree] * treespec.num_leaves
    kind = _get_node_type(tree)
    if treespec.is_leaf() or kind != treespec.type:
        return None
    parts, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    if len(parts) != treespec.num_children or context != treespec.context:
        return None
    found: list[Any] = []
    for part, spec in zip(parts, treespec.children_specs, strict=True):
        below = _broadcast_to_and_flatten(part, spec, is_leaf)
        if below is None:
            return None
        found += below
    return found


# --- paths --------------------------------------------------------------------------------------


def _paths(prefix: KeyPath, tree: Any, is_leaf: Leaf) -> Iterable[tuple[KeyPath, Any]]:
    if tree_is_leaf(tree, is_leaf):
        yield prefix, tree
        return
    kind = _get_node_type(tree)
    with_keys = SUPPORTED_NODES[kind].flatten_with_keys_fn
    if with_keys is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {kind}. Please pass a "
            "flatten_with_keys_fn argument to register_pytree_node."
        )
    for key, part in with_keys(tree)[0]:
        yield from _paths((*prefix, key), part, is_leaf)


def tree_flatten_with_path(
    tree: Any, is_leaf: Leaf = None
) -> tuple[list[tuple[KeyPath, Any]], TreeSpec]:
    """The leaves, each with the keys that lead to it, and the shape."""
    spec = tree_structure(tree, is_leaf)
    return list(_paths((), tree, is_leaf)), spec


def tree_leaves_with_path(tree: Any, is_leaf: Leaf = None) -> list[tuple[KeyPath, Any]]:
    """The leaves, each with the keys that lead to it."""
    return list(_paths((), tree, is_leaf))


def tree_map_with_path(
    func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Leaf = None
) -> Any:
    """`tree_map` of a function whose first argument is the leaf's path."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    columns = [*zip(*found, strict=True)] if found else [(), ()]
    columns += [tuple(spec.flatten_up_to(r)) for r in rests]
    return spec.unflatten([func(*row) for row in zip(*columns, strict=True)])


def keystr(kp: KeyPath) -> str:
    """A path as Python writes it: `['a'].x[0]`."""
    return "".join(map(str, kp))


def key_get(obj: Any, kp: KeyPath) -> Any:
    """The part of a container that a path leads to."""
    for key in kp:
        obj = key.get(obj)  # type: ignore[attr-defined]
    return obj


# --- shapes -------------------------------------------------------------------------------------


def treespec_leaf() -> LeafSpec:
    """The shape of one leaf."""
    return _LEAF_SPEC


def treespec_tuple(iterable: Iterable[TreeSpec] = (), /) -> TreeSpec:
    """The shape of a tuple of such parts."""
    return TreeSpec(tuple, None, list(iterable))


def treespec_dict(mapping: Any = (), /, **kwargs: TreeSpec) -> TreeSpec:
    """The shape of a dict of such parts."""
    parts = dict(mapping, **kwargs)
    return TreeSpec(dict, list(parts), list(parts.values()))


class _Star:
    def __repr__(self) -> str:
        return "*"


def treespec_pprint(treespec: TreeSpec) -> str:
    """A shape, printed as the container would be with * for every leaf."""
    import pprint

    return pprint.pformat(treespec.unflatten([_Star()] * treespec.num_leaves), sort_dicts=False)


def pytree_to_str(treespec: TreeSpec) -> str:
    """The old name of `treespec_dumps`."""
    return treespec_dumps(treespec)


def str_to_pytree(json: str) -> TreeSpec:
    """The old name of `treespec_loads`."""
    return treespec_loads(json)
