"""The shape of a container: what is left when its leaves are taken out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .nodes import (
    BY_SERIALIZED_NAME,
    SERIALIZED,
    STANDARD_DICT_TYPES,
    SUPPORTED_NODES,
    is_namedtuple_class,
    node_type,
)


@dataclass(init=True, frozen=True, eq=True, repr=False)
class TreeSpec:
    """A container's class, its context (keys, class of a named tuple ...) and its parts' shapes."""

    type: Any
    _context: Any
    _children: list[TreeSpec]

    def __post_init__(self) -> None:
        leaf = self.type is None
        set_ = object.__setattr__
        set_(self, "num_nodes", 1 + sum(c.num_nodes for c in self._children))
        set_(self, "num_leaves", 1 if leaf else sum(c.num_leaves for c in self._children))
        set_(self, "num_children", len(self._children))

    num_nodes = num_leaves = num_children = 0

    @property
    def context(self) -> Any:
        """What, with the parts, makes the container again."""
        return self._context

    @property
    def children_specs(self) -> list[TreeSpec]:
        """The parts' shapes."""
        return self._children

    def children(self) -> list[TreeSpec]:
        """The parts' shapes, in a list of their own."""
        return list(self._children)

    def child(self, index: int) -> TreeSpec:
        """One part's shape."""
        return self._children[index]

    def is_leaf(self) -> bool:
        """Whether this is one leaf."""
        return self.num_nodes == 1 and self.num_leaves == 1

    def __hash__(self) -> int:
        context = self._context
        if self.type in STANDARD_DICT_TYPES:
            context = None if context is None else str(context)
        elif isinstance(context, list):
            context = tuple(map(str, context))
        return hash((self.type, context, tuple(self._children)))

    def __repr__(self, indent: int = 0) -> str:
        if self.type is None:
            return "*"
        inner = ""
        if self._children:
            inner = self._children[0].__repr__(indent + 2)
            rest = self._children[1:]
            inner += "".join(f",\n{' ' * (indent + 2)}{c.__repr__(indent + 2)}" for c in rest)
        return f"TreeSpec({self.type.__name__}, {self._context}, [{inner}])"

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """`tree` cut into the parts that stand at this shape's leaves.

        Raises: ValueError where `tree` has another shape.
        """
        found: list[Any] = []
        self._cut(tree, found)
        return found

    def _cut(self, tree: Any, found: list[Any]) -> None:
        if self.is_leaf():
            found.append(tree)
            return
        kind = node_type(tree)
        dicts = self.type in STANDARD_DICT_TYPES and kind in STANDARD_DICT_TYPES
        if kind is not self.type and not dicts:
            raise ValueError(f"Node type mismatch; expected {self.type!r}, but got {kind!r}.")
        if dicts:
            keys = self._context[1] if self.type.__name__ == "defaultdict" else self._context
            self._check_count(len(tree))
            missing, extra = set(keys) - set(tree), set(tree) - set(keys)
            if missing or extra:
                text = "Node keys mismatch"
                text += f"; missing key(s): {missing}" if missing else ""
                text += f"; extra key(s): {extra}" if extra else ""
                raise ValueError(text + ".")
            parts = [tree[key] for key in keys]
        else:
            parts, context = SUPPORTED_NODES[kind].flatten_fn(tree)
            self._check_count(len(parts))
            if context != self._context and kind.__name__ != "deque":
                raise ValueError(
                    f"Node context mismatch for custom node type {self.type!r}."
                    if not is_namedtuple_class(type(tree))
                    else f"Node context mismatch; expected {self._context!r}, but got {context!r}."
                )
        for part, spec in zip(parts, self._children, strict=True):
            spec._cut(part, found)

    def _check_count(self, count: int) -> None:
        if count != self.num_children:
            raise ValueError(f"Node arity mismatch; expected {self.num_children}, but got {count}.")

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The container of this shape with these leaves.

        Raises: ValueError for another number of leaves.
        """
        values = leaves if isinstance(leaves, list | tuple) else list(leaves)
        if len(values) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(values)} but the spec "
                f"refers to a pytree that holds {self.num_leaves} items ({self})."
            )
        return self._made(iter(values))

    def _made(self, leaves: Any) -> Any:
        if self.is_leaf():
            return next(leaves)
        parts = [c._made(leaves) for c in self._children]
        return SUPPORTED_NODES[self.type].unflatten_fn(parts, self._context)


class LeafSpec(TreeSpec):
    """The shape of one leaf."""

    def __init__(self) -> None:
        super().__init__(None, None, [])

    def __repr__(self, indent: int = 0) -> str:
        return "*"


LEAF = LeafSpec()


# --- JSON ---------------------------------------------------------------------------------------


def _as_json(spec: TreeSpec) -> dict[str, Any]:
    if spec.is_leaf():
        return {"type": None, "context": None, "children_spec": []}
    known = SERIALIZED.get(spec.type)
    if known is None:
        raise NotImplementedError(f"Serializing {spec.type} in pytree is not registered.")
    if known.serialized_type_name == "NO_SERIALIZED_TYPE_NAME_FOUND":
        raise NotImplementedError(
            f"No registered serialization name for {spec.type} found. Please update your "
            "_register_pytree_node call with a `serialized_type_name` kwarg."
        )
    dump = known.to_dumpable_context
    try:
        context = json.dumps(spec.context) if dump is None else dump(spec.context)
    except TypeError as error:
        raise TypeError(
            "Unable to serialize context. Please make the context json dump-able, or register a "
            "custom serializer using _register_pytree_node."
        ) from error
    return {
        "type": known.serialized_type_name,
        "context": context,
        "children_spec": [_as_json(c) for c in spec.children_specs],
    }


def _from_json(found: dict[str, Any]) -> TreeSpec:
    if found["type"] is None and not found["children_spec"]:
        return LEAF
    if found["type"] not in BY_SERIALIZED_NAME:
        raise NotImplementedError(f"Deserializing {found['type']} in pytree is not registered.")
    kind = BY_SERIALIZED_NAME[found["type"]]
    load = SERIALIZED[kind].from_dumpable_context
    context = json.loads(found["context"]) if load is None else found["context"]
    parts = [_from_json(c) for c in found["children_spec"]]
    return TreeSpec(kind, context if load is None else load(context), parts)


def treespec_dumps(treespec: TreeSpec, protocol: int | None = None) -> str:
    """A shape as JSON text.

    Raises: ValueError for a protocol other than 1.
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            f"treespec_dumps(treespec, protocol): Expected `treespec` to be instance of TreeSpec "
            f"but got item of type {type(treespec)}."
        )
    version = 1 if protocol is None else protocol
    if version != 1:
        raise ValueError(f"Unknown protocol {version}. Available protocols: [1]")
    return json.dumps((version, _as_json(treespec)))


def treespec_loads(serialized: str) -> TreeSpec:
    """The shape that `treespec_dumps` wrote."""
    version, found = json.loads(serialized)
    if version != 1:
        raise ValueError(f"Unknown protocol {version}. Available protocols: [1]")
    return _from_json(found)
