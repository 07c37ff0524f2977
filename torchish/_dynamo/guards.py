"""What a call may depend on besides its arguments: the objects that it reads, and their state.

Invariant: `World.holds()` is true only if every object that the function can reach, through its
closure, globals, arguments and their attributes, is what it was when the world was looked at. What
cannot be looked into is refused (`Impure`).
"""

from __future__ import annotations

import builtins
import enum
import functools
import types
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter, is_
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics.devices import device
from .._basics.dtypes import dtype
from .._tensor.attributes import every_field
from ..func import JaxFunction
from ..nn.modules.module import Module
from ..optim.optimizer import Optimizer
from .purity import Code, Impure, is_library

_SIMPLE = (int, float, complex, str, bytes, bool, type(None), dtype, device, enum.Enum, range,
           slice, type(...))  # fmt: skip
_DICTS = (dict, OrderedDict, defaultdict)
_FIXED = (
    type,
    types.CodeType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
)
_MODULE_FIELDS = ("_parameters", "_buffers", "_modules")
_LIMIT = 20000
NO_GRAD = "no gradient"


class World:
    """The state that a call can see, and where each storage in it is held."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.items: list[tuple[Any, Any, Any]] = []  # container, key, value: the same object
        self.equals: list[tuple[Any, Any, Any]] = []  # container, key, value: equal
        self.sizes: list[tuple[Any, int]] = []
        # tensor, storage, requires_grad, strides of its gradient's storage (NO_GRAD: there is none)
        self.tensors: list[tuple[Any, Any, bool, Any]] = []
        self.facts: list[Any] = []  # of each of them, what `Watch` compares
        self.seen: dict[int, Any] = {}
        self.roots: list[Any] = []
        self.storages: frozenset[int] | None = None
        self.watch: Watch | None = None

    def look(self, roots: Any) -> None:
        """Look at (container, key, value) triples. Raises: Impure."""
        self.roots.append(roots)
        for container, key, value in roots:
            self._item(container, key, value)

    def _item(self, container: Any, key: Any, value: Any) -> None:
        if len(self.items) + len(self.equals) > _LIMIT:
            raise Impure("it can reach too much")
        if isinstance(value, _SIMPLE):
            self.equals.append((container, key, value))
            return
        self.items.append((container, key, value))
        self.visit(value)

    def visit(self, value: Any) -> None:
        """Look into an object. Raises: Impure."""
        if isinstance(value, _SIMPLE) or id(value) in self.seen:
            return
        self.seen[id(value)] = value
        if isinstance(value, (*_FIXED, functools.partial, JaxFunction)):
            self._callable(value)
            return
        if isinstance(value, TensorBase):
            self._tensor(value)
        elif isinstance(value, Module):
            self._module(value)
        elif isinstance(value, Optimizer):
            self._optimizer(value)
        elif isinstance(value, _DICTS):
            self.sizes.append((value, len(value)))
            for key, inner in value.items():
                if not isinstance(key, (*_SIMPLE, tuple, TensorBase, Module)):
                    raise Impure(f"a dict has a key of {type(key)}")
                self._item(value, key, inner)
        elif isinstance(value, list | tuple):
            self.sizes.append((value, len(value)))
            for k, inner in enumerate(value):
                self._item(value, k, inner)
        elif isinstance(value, set | frozenset):
            if not all(isinstance(v, _SIMPLE) for v in value):
                raise Impure("a set of objects")
            self.sizes.append((value, len(value)))
        elif type(value).__module__ in ("builtins", "_thread") or not hasattr(value, "__dict__"):
            raise Impure(f"it can reach a {type(value).__name__}")
        else:
            self._object(value)

    def _callable(self, value: Any) -> None:
        """Look at code that something holds: what it does counts as the function's own."""
        if isinstance(value, types.CodeType):
            return  # of a function that is looked at
        if isinstance(value, functools.partial):
            self.visit(value.func)
            self.visit(value.args)
            self.visit(value.keywords)
        elif isinstance(value, types.MethodType):
            self.visit(value.__self__)
            self.code.add(value)
        elif isinstance(value, types.FunctionType):
            self.code.add(value)
        elif isinstance(value, JaxFunction):
            return  # an operator: JAX functions have no effects
        elif isinstance(value, types.ModuleType):
            if not is_library(value.__name__):
                raise Impure(f"it can reach the module {value.__name__}")
        elif not (is_library(value.__module__) or _is_harmless(value)):
            raise Impure(f"it can reach {value!r}, which has no code to look at")

    def _object(self, value: Any) -> None:
        kind = type(value)
        if callable(value) and is_library(kind.__module__) and not value.__dict__:
            return
        if hasattr(kind, "__getattr__") and not is_library(kind.__module__):
            raise Impure(f"{kind.__name__} makes its attributes up")
        self.code.see_class(kind)
        self._dict(value.__dict__)

    def _dict(self, fields: dict[str, Any]) -> None:
        self.sizes.append((fields, len(fields)))
        for key, inner in fields.items():
            self._item(fields, key, inner)

    def _module(self, module: Any) -> None:
        self.code.see_class(type(module))
        fields = module.__dict__
        self.sizes.append((fields, len(fields)))
        for key, inner in fields.items():
            if key.endswith("_hooks") or "_hooks_" in key:
                if inner:
                    raise Impure("a module has hooks")
                self._hooks(fields, key, inner)
            elif key in _MODULE_FIELDS:
                self.items.append((fields, key, inner))
                self.sizes.append((inner, len(inner)))
                for name, part in inner.items():
                    self.items.append((inner, name, part))
                    if part is not None:
                        self.visit(part)
            else:
                self._item(fields, key, inner)

    def _hooks(self, fields: dict[str, Any], key: str, hooks: Any) -> None:
        self.items.append((fields, key, hooks))
        if hooks is not None:
            self.sizes.append((hooks, 0))

    def _optimizer(self, optimizer: Any) -> None:
        if not is_library(type(optimizer).__module__):
            raise Impure("an optimizer of the program's")
        for key, inner in optimizer.__dict__.items():
            if key.endswith("_hooks"):
                if inner:
                    raise Impure("an optimizer has hooks")
                self._hooks(optimizer.__dict__, key, inner)
            elif key == "param_groups":
                self.items.append((optimizer.__dict__, key, inner))
                for group in inner:
                    self.visit(group)
                self.sizes.append((inner, len(inner)))
            elif key == "state":
                self.sizes.append((inner, len(inner)))
                for parameter, fields in inner.items():
                    self.items.append((inner, parameter, fields))
                    self.visit(fields)
            elif isinstance(inner, _SIMPLE) and key not in ("_in_step", "_step_count"):
                self.equals.append((optimizer.__dict__, key, inner))

    def _tensor(self, tensor: Any) -> None:
        if tensor._grad_fn is not None or tensor._base is not None or tensor._inference:
            raise Impure("it can reach a tensor with a history, or a view")
        if tensor._leaf_hooks or tensor._post_accumulate_hooks:
            raise Impure("a tensor has hooks")
        grad = tensor._grad
        strides = NO_GRAD if grad is None else grad._storage.strides
        self.tensors.append((tensor, tensor._storage, tensor._requires_grad, strides))
        self.facts.append(_facts(tensor))
        for key in self.code.names & tensor.__dict__.keys():  # the program's own
            self._item(self.code.fields_of(tensor), key, getattr(tensor, key))
        if grad is not None:
            if grad._grad_fn is not None or grad._layout is not None:
                raise Impure("a gradient has a history, or is a view")
            self.seen[id(grad)] = grad

    def holds(self) -> bool:
        """Whether everything is as it was."""
        watch = self.watch
        assert watch is not None, "nobody settled it"
        return watch.tensors_hold() and (watch.is_untouched() or self.is_untouched())

    def settle(self) -> None:
        """Make ready to be asked `holds`, right after the call that it was looked at for."""
        self.watch = Watch(self)

    def aliases(self, leaves: Sequence[Any]) -> bool:
        """Whether an argument lies in the memory of a tensor that is reached otherwise."""
        if self.storages is None:
            self.storages = frozenset(id(s) for _, s, _, _ in self.tensors)
        return any(isinstance(x, TensorBase) and id(x._storage) in self.storages for x in leaves)

    def is_untouched(self) -> bool:
        """Whether everything but tensors is as it was."""
        for container, size in self.sizes:
            if len(container) != size:
                return False
        try:
            for container, key, value in self.items:
                if container[key] is not value:
                    return False
            for container, key, value in self.equals:
                now = container[key]
                if now is not value and (type(now) is not type(value) or now != value):
                    return False
        except (KeyError, IndexError, ValueError):
            return False
        return True

    def alike(self, other: World) -> bool:
        """Whether both looked at the same objects; their numbers may differ."""
        mine, theirs = self, other
        return (
            len(mine.items) == len(theirs.items)
            and len(mine.tensors) == len(theirs.tensors)
            and [(id(c), k) for c, k, _ in mine.equals] == [(id(c), k) for c, k, _ in theirs.equals]
            and all(a[2] is b[2] for a, b in zip(mine.items, theirs.items, strict=True))
            and all(
                a[0] is b[0] and a[1] is b[1] and a[2:] == b[2:]
                for a, b in zip(mine.tensors, theirs.tensors, strict=True)
            )
        )


class Watch:
    """The quick way to see that a world is as it was: few passes, none of them Python's loops.

    It says "yes" or "perhaps not": whole dicts and lists are compared by the identity of what they
    hold, in order, where a number may have been replaced by an equal one.
    """

    def __init__(self, world: World) -> None:
        # Most tensors set three of the facts only, and the others cannot change unseen.
        tensors = list(zip((t for t, *_ in world.tensors), world.facts, strict=True))
        plain = [(t, f) for t, f in tensors if not _RARE & every_field(t).keys()]
        self.plain = [t for t, _ in plain]
        self.fields = [every_field(t) for t in self.plain]
        self.counts = list(map(len, self.fields))
        self.brief = [f[:3] for _, f in plain]
        others = [(t, f) for t, f in tensors if _RARE & every_field(t).keys()]
        self.others = [t for t, _ in others]
        self.facts = [f for _, f in others]
        self.every = world.tensors, world.facts
        self.bare = [t for t, _, _, strides in world.tensors if strides is NO_GRAD]
        self.graded = [(t, s) for t, _, _, s in world.tensors if s is not NO_GRAD]
        self.empty = [c for c, n in world.sizes if not n]
        sized = [c for c, n in world.sizes if n]
        held: dict[int, tuple[Any, dict[Any, Any]]] = {}
        for container, key, value in (*world.items, *world.equals):
            held.setdefault(id(container), (container, {}))[1][key] = value
        whole = [
            (c, fields) for c, fields in held.values()
            if type(c) in (*_DICTS, list) and len(fields) == len(c)
        ]  # fmt: skip
        self.dicts = [c for c, _ in whole if type(c) is not list]
        self.lists = [c for c, _ in whole if type(c) is list]
        self.sized = [*sized, *(c for c, _ in whole)]
        self.lengths = list(map(len, self.sized))
        self.views = [c.values() for c in self.dicts]  # they follow their dicts
        self.keys = list(chain.from_iterable(self.dicts))
        self.values = [held[id(c)][1][key] for c in self.dicts for key in c]
        self.elements = [held[id(c)][1][k] for c in self.lists for k in range(len(c))]
        taken = {id(c) for c, _ in whole}
        self.single = [
            (c, key, value) for c, fields in held.values() if id(c) not in taken
            for key, value in fields.items()
        ]  # fmt: skip

    def tensors_hold(self) -> bool:
        """Whether tensors and their gradients lie where they lay, without hooks or history."""
        if list(map(_brief, self.plain)) != self.brief:
            return False
        if list(map(len, self.fields)) != self.counts:
            tensors, facts = self.every
            if [_facts(t) for t, *_ in tensors] != facts:
                return False
        elif self.others and list(map(_facts, self.others)) != self.facts:
            return False
        if [1 for t in self.bare if t._grad is not None]:
            return False
        for tensor, strides in self.graded:
            grad = tensor._grad
            if (
                grad is None or grad._layout is not None or grad._grad_fn is not None
                or grad._storage.strides != strides
            ):  # fmt: skip
                return False
        return True

    def is_untouched(self) -> bool:
        """Whether everything but tensors is surely as it was."""
        if any(self.empty) or list(map(len, self.sized)) != self.lengths:
            return False
        try:
            if [1 for container, key, value in self.single if container[key] is not value]:
                return False
        except (KeyError, IndexError, ValueError):
            return False
        return (
            all(map(is_, chain.from_iterable(self.dicts), self.keys))
            and all(map(is_, chain.from_iterable(self.views), self.values))
            and all(map(is_, chain.from_iterable(self.lists), self.elements))
        )


# Compared in one go: storages, nodes and avals are equal only to themselves.
_FACTS = ("_storage", "_aval", "_requires_grad", "_layout", "_grad_fn", "_leaf_hooks",
          "_post_accumulate_hooks")  # fmt: skip
_RARE = frozenset(_FACTS[3:])
_facts, _brief = attrgetter(*_FACTS), attrgetter(*_FACTS[:3])


def _is_harmless(value: Any) -> bool:
    """Whether a class or function of Python's own only computes."""
    name = getattr(value, "__name__", "")
    return getattr(builtins, name, None) is value and name not in ("print", "open", "input", "exec")
