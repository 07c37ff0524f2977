"""Which classes are containers, how each is taken apart and put together, and by which keys.

Dicts keep the order in which keys were inserted, and None is a leaf: both as in PyTorch's own
Python version, which is why optree (sorted keys, None a node) does not stand below it.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from ..._basics.forking import new_lock

Context = Any
Flatten = Callable[[Any], tuple[list[Any], Context]]
Unflatten = Callable[[Any, Context], Any]


class KeyEntry:
    """One step into a container."""


@dataclasses.dataclass(frozen=True)
class SequenceKey(KeyEntry):
    """`tree[idx]`."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        """The part of `sequence`."""
        return sequence[self.idx]


@dataclasses.dataclass(frozen=True)
class MappingKey(KeyEntry):
    """`tree[key]`."""

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        """The part of `mapping`."""
        return mapping[self.key]


@dataclasses.dataclass(frozen=True)
class GetAttrKey(KeyEntry):
    """`tree.name`."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        """The part of `obj`."""
        return getattr(obj, self.name)


class NodeDef(NamedTuple):
    """How one class is taken apart and put together."""

    type: type
    flatten_fn: Flatten
    unflatten_fn: Unflatten
    flatten_with_keys_fn: Callable[[Any], Any] | None


class SerializeDef(NamedTuple):
    """How one class and its context are written as JSON."""

    typ: type
    serialized_type_name: str
    to_dumpable_context: Callable[[Context], Any] | None
    from_dumpable_context: Callable[[Any], Context] | None


SUPPORTED_NODES: dict[type, NodeDef] = {}
SERIALIZED: dict[type, SerializeDef] = {}
BY_SERIALIZED_NAME: dict[str, type] = {}
CONSTANTS: set[type] = set()
_lock = new_lock()


def is_namedtuple_class(cls: Any) -> bool:
    """Whether `cls` is made by `namedtuple` or derives from such a class."""
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and isinstance(fields := getattr(cls, "_fields", None), tuple)
        and all(type(f) is str for f in fields)
        and callable(getattr(cls, "_make", None))
        and callable(getattr(cls, "_asdict", None))
    )


def is_structseq_class(cls: Any) -> bool:
    """Whether `cls` is a struct sequence, as `time.struct_time` is."""
    counts = ("n_fields", "n_sequence_fields", "n_unnamed_fields")
    return (
        isinstance(cls, type)
        and cls.__bases__ == (tuple,)
        and all(isinstance(getattr(cls, name, None), int) for name in counts)
    )


def node_type(tree: Any) -> Any:
    """The class that a container is registered under; a named tuple's is `namedtuple`."""
    kind = type(tree)
    if kind not in SUPPORTED_NODES and issubclass(kind, tuple):
        if is_namedtuple_class(kind):
            return namedtuple
        if kind.__module__ == "torch.return_types":
            _structure(kind)
    return kind


def register(
    cls: type,
    flatten_fn: Flatten,
    unflatten_fn: Unflatten,
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Callable[[Context], Any] | None = None,
    from_dumpable_context: Callable[[Any], Context] | None = None,
    flatten_with_keys_fn: Callable[[Any], Any] | None = None,
) -> None:
    """Make a class a container.

    Raises: ValueError if it is one already, or if only one of both context functions is given.
    """
    if (to_dumpable_context is None) != (from_dumpable_context is None):
        raise ValueError(
            f"Both to_dumpable_context and from_dumpable_context for {cls} must be None or "
            "registered."
        )
    with _lock:
        if cls in SUPPORTED_NODES:
            raise ValueError(f"{cls} is already registered as pytree node.")
        SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)
        name = serialized_type_name or "NO_SERIALIZED_TYPE_NAME_FOUND"
        SERIALIZED[cls] = SerializeDef(cls, name, to_dumpable_context, from_dumpable_context)
        BY_SERIALIZED_NAME[name] = cls


def deregister(cls: type) -> None:
    """Make a class a leaf again."""
    with _lock:
        SUPPORTED_NODES.pop(cls)
        gone = SERIALIZED.pop(cls)
        BY_SERIALIZED_NAME.pop(gone.serialized_type_name, None)


def register_dataclass(
    cls: type,
    *,
    field_names: list[str] | None = None,
    drop_field_names: list[str] | None = None,
    serialized_type_name: str | None = None,
) -> None:
    """Make a dataclass a container of its fields; fields that are None go into the context."""
    if field_names is None:
        if not dataclasses.is_dataclass(cls):
            raise TypeError(
                "field_names must be specified with a list of all fields used to initialize the "
                f"class '{cls.__name__}', as it is not a dataclass."
            )
        field_names = [f.name for f in dataclasses.fields(cls) if f.init]
    names = [n for n in field_names if n not in (drop_field_names or ())]

    def flatten(obj: Any) -> tuple[list[Any], Context]:
        kept = [n for n in names if getattr(obj, n) is not None]
        empty = [n for n in names if getattr(obj, n) is None]
        return [getattr(obj, n) for n in kept], [kept, empty]

    def flatten_with_keys(obj: Any) -> Any:
        parts, context = flatten(obj)
        keys = map(GetAttrKey, context[0])
        return list(zip(keys, parts, strict=True)), context

    def unflatten(parts: Any, context: Context) -> Any:
        kept, empty = context
        return cls(**dict(zip(kept, parts, strict=True)), **dict.fromkeys(empty))

    register(cls, flatten, unflatten, serialized_type_name=serialized_type_name,
             flatten_with_keys_fn=flatten_with_keys)  # fmt: skip


def register_constant(cls: type) -> None:
    """Make a class a container without parts: its object is the context.

    Raises: TypeError for a class without an `__eq__` and `__hash__` of its own.
    """
    if cls.__eq__ is object.__eq__:
        raise TypeError(
            "register_constant(cls) expects `cls` to have a non-default `__eq__` implementation."
        )
    if cls.__hash__ is None:
        raise TypeError(
            "register_constant(cls) expects `cls` to have a non-default `__hash__` implementation."
        )
    register(cls, lambda obj: ([], obj), lambda parts, obj: obj)
    CONSTANTS.add(cls)


# --- Python's containers ------------------------------------------------------------------------


def _sequence_keys(obj: Any, context: Context = None) -> Any:
    return [(SequenceKey(i), part) for i, part in enumerate(obj)], context


def _mapping(obj: Any) -> tuple[list[Any], Context]:
    return list(obj.values()), list(obj.keys())


def _mapping_keys(obj: Any) -> Any:
    return [(MappingKey(key), part) for key, part in obj.items()], list(obj.keys())


def _default(obj: Any) -> tuple[list[Any], Context]:
    return list(obj.values()), [obj.default_factory, list(obj.keys())]


def _default_keys(obj: Any) -> Any:
    return _mapping_keys(obj)[0], [obj.default_factory, list(obj.keys())]


def _default_made(parts: Any, context: Context) -> Any:
    factory, keys = context
    return defaultdict(factory, zip(keys, parts, strict=True))


def _named_keys(obj: Any) -> Any:
    names = type(obj)._fields
    return [(GetAttrKey(n), part) for n, part in zip(names, obj, strict=True)], type(obj)


def _named_dumped(context: Any) -> Any:
    if context not in SERIALIZED:
        raise NotImplementedError(
            f"Can't serialize TreeSpec of namedtuple class {context} because we didn't register a "
            "serializated_type_name. Please register using `_register_namedtuple`."
        )
    return SERIALIZED[context].serialized_type_name


def _named_loaded(name: Any) -> Any:
    if name not in BY_SERIALIZED_NAME:
        raise NotImplementedError(
            f"Can't deserialize TreeSpec of namedtuple class {name} because we couldn't find a "
            "serializated name."
        )
    return BY_SERIALIZED_NAME[name]


def register_namedtuple(cls: type, *, serialized_type_name: str) -> None:
    """Give a named tuple's class a name for JSON."""
    SERIALIZED[cls] = SerializeDef(cls, serialized_type_name, None, None)
    BY_SERIALIZED_NAME[serialized_type_name] = cls


def _factory_dumped(context: Any) -> Any:
    factory, keys = context
    return {
        "default_factory_module": factory.__module__,
        "default_factory_name": factory.__qualname__,
        "dict_context": keys,
    }


def _factory_loaded(dumped: Any) -> Any:
    import importlib

    module = importlib.import_module(dumped["default_factory_module"])
    return [getattr(module, dumped["default_factory_name"]), dumped["dict_context"]]


def _structure(kind: type) -> None:
    """Make the class of an operator's named results a container of its items."""
    register(kind, lambda obj: (list(obj), None), lambda parts, context: kind(parts),
             flatten_with_keys_fn=_sequence_keys)  # fmt: skip


register(tuple, lambda t: (list(t), None), lambda parts, _: tuple(parts),
         serialized_type_name="builtins.tuple", flatten_with_keys_fn=_sequence_keys)  # fmt: skip
register(list, lambda t: (t, None), lambda parts, _: list(parts),
         serialized_type_name="builtins.list", flatten_with_keys_fn=_sequence_keys)  # fmt: skip
register(dict, _mapping, lambda parts, keys: dict(zip(keys, parts, strict=True)),
         serialized_type_name="builtins.dict", flatten_with_keys_fn=_mapping_keys)  # fmt: skip
register(namedtuple, lambda t: (list(t), type(t)),  # type: ignore[arg-type]
         lambda parts, kind: kind(*parts), serialized_type_name="collections.namedtuple",
         to_dumpable_context=_named_dumped, from_dumpable_context=_named_loaded,
         flatten_with_keys_fn=_named_keys)  # fmt: skip
register(OrderedDict, _mapping, lambda parts, keys: OrderedDict(zip(keys, parts, strict=True)),
         serialized_type_name="collections.OrderedDict",
         flatten_with_keys_fn=_mapping_keys)  # fmt: skip
register(defaultdict, _default, _default_made, serialized_type_name="collections.defaultdict",
         to_dumpable_context=_factory_dumped, from_dumpable_context=_factory_loaded,
         flatten_with_keys_fn=_default_keys)  # fmt: skip
register(deque, lambda t: (list(t), t.maxlen), lambda parts, size: deque(parts, maxlen=size),
         serialized_type_name="collections.deque",
         flatten_with_keys_fn=lambda t: _sequence_keys(t, t.maxlen))  # fmt: skip

BUILTIN_TYPES = frozenset(SUPPORTED_NODES)
STANDARD_DICT_TYPES = frozenset({dict, OrderedDict, defaultdict})
