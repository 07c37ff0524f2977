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
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics.devices import device
from .._basics.dtypes import dtype
from ..func import JaxFunction
from ..nn.modules.module import Module
from ..optim.optimizer import Optimizer
from .purity import Code, Impure, is_library

_SIMPLE = (int, float, complex, str, bytes, bool, type(None), dtype, device, enum.Enum, range,
           slice, type(...))  # fmt: skip
_DICTS = (dict, OrderedDict, defaultdict)
_FIXED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)
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
        self.seen: dict[int, Any] = {}
        self.roots: list[Any] = []

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
                self.sizes.append((inner, 0)) if inner is not None else None
            elif key in _MODULE_FIELDS:
                self.sizes.append((inner, len(inner)))
                for name, part in inner.items():
                    self.items.append((inner, name, part))
                    if part is not None:
                        self.visit(part)
            else:
                self._item(fields, key, inner)

    def _optimizer(self, optimizer: Any) -> None:
        if not is_library(type(optimizer).__module__):
            raise Impure("an optimizer of the program's")
        for key, inner in optimizer.__dict__.items():
            if key.endswith("_hooks"):
                if inner:
                    raise Impure("an optimizer has hooks")
                self.sizes.append((inner, 0))
            elif key == "param_groups":
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
        if grad is not None:
            if grad._grad_fn is not None or grad._layout is not None:
                raise Impure("a gradient has a history, or is a view")
            self.seen[id(grad)] = grad

    def holds(self) -> bool:
        """Whether everything is as it was."""
        for tensor, storage, requires, strides in self.tensors:
            if (
                tensor._storage is not storage
                or tensor._requires_grad is not requires
                or tensor._grad_fn is not None
            ):
                return False
            grad = tensor._grad
            if grad is None:
                if strides is not NO_GRAD:
                    return False
            elif grad._layout is not None or grad._storage.strides != strides:
                return False
        return self.is_untouched()

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


def _is_harmless(value: Any) -> bool:
    """Whether a class or function of Python's own only computes."""
    name = getattr(value, "__name__", "")
    return getattr(builtins, name, None) is value and name not in ("print", "open", "input", "exec")
