"""Whether a function's Python may be left out once its operators are known.

A step is replayed without its Python, so that Python must do nothing but compute on tensors and on
state that guards watch. This is decided from the code, before anything is replayed, and whatever
is not known to be harmless is refused: then the function simply runs at every call.
"""

from __future__ import annotations

import builtins
import dis
import functools
import types
from typing import Any

from ..nn.modules.module import Module

_LIBRARIES = frozenset(
    "torch torchish functorch math operator functools itertools typing collections dataclasses "
    "einops types numbers enum abc __future__".split()
)
_BUILTINS = frozenset(
    "abs all any bool callable complex dict divmod enumerate filter float frozenset "
    "hasattr id int isinstance issubclass iter len list map max min next object pow range repr "
    "reversed round set slice sorted str sum super tuple zip NotImplemented Ellipsis".split()
)
# Methods and functions whose effect is neither an operator nor seen by a guard.
_EFFECTS = frozenset(
    "manual_seed manual_seed_all seed set_rng_state set_state fork_rng write writelines print "
    "save load compile register_hook register_forward_hook register_backward_hook "
    "register_full_backward_hook register_post_accumulate_grad_hook set_default_dtype "
    "set_default_device set_num_threads record_stream synchronize barrier all_reduce".split()
)
# What says something of the process that no guard watches.
_STATE = frozenset(
    "backends initial_seed get_rng_state get_rng_state_all get_num_threads memory_allocated "
    "get_num_interop_threads max_memory_allocated memory_reserved mem_get_info".split()
)
_STORES = frozenset(("STORE_GLOBAL", "DELETE_GLOBAL", "IMPORT_NAME", "IMPORT_FROM"))


class Impure(Exception):
    """Why a function's Python has to run at every call."""


def is_library(name: Any) -> bool:
    """Whether a module's name belongs to a library whose functions only compute."""
    return isinstance(name, str) and name.split(".")[0] in _LIBRARIES


class Code:
    """The functions that a call may reach, and the objects that they read from outside.

    `roots` are (name, value) of closures and globals that guards have to watch.
    """

    def __init__(self) -> None:
        self.seen: set[Any] = set()
        self.roots: list[tuple[Any, Any, Any]] = []  # container, key, value
        self.names: set[str] = set()
        self.classes: set[type] = set()
        self.members: set[tuple[type, str]] = set()
        self.fields: dict[int, Fields] = {}

    def fields_of(self, owner: Any) -> Fields:
        """An object's attributes, the same container each time."""
        return self.fields.setdefault(id(owner), Fields(owner))

    def add(self, function: Any) -> None:
        """Follow a function or method. Raises: Impure."""
        if isinstance(function, functools.partial):
            raise Impure("a functools.partial")
        if isinstance(function, types.MethodType):
            function = function.__func__
        function = getattr(function, "_torchdynamo_orig_callable", function)
        if isinstance(function, types.MethodType):
            function = function.__func__
        if is_library(getattr(function, "__module__", None)) and not _is_local(function):
            return
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self.add(wrapped)
        code = getattr(function, "__code__", None)
        if code is None:
            raise Impure(f"{function!r} has no code to look at")
        if code in self.seen:
            return
        self.seen.add(code)
        parts = Fields(function)
        for key in _PARTS:
            self.roots.append((parts, key, getattr(function, key, None)))
        for cell, name in zip(function.__closure__ or (), code.co_freevars, strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            self._outside(_Cell(cell), 0, value, name)
        self._code(code, function.__globals__)
        self._follow_names()

    def _code(self, code: Any, space: dict[str, Any]) -> None:
        if code.co_flags & 0x2A0:  # generators and coroutines
            raise Impure(f"{code.co_name} is a generator or coroutine")
        for instruction in dis.get_instructions(code):
            name = instruction.opname
            if name in _STORES:
                raise Impure(f"{code.co_name} imports, or writes to a global")
            if name == "STORE_DEREF" and instruction.argval in code.co_freevars:
                raise Impure(f"{code.co_name} writes to {instruction.argval} outside of it")
            if name in ("LOAD_GLOBAL", "LOAD_NAME"):
                self._global(str(instruction.argval), space)
            elif name in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"):
                self._attribute(instruction.argval, code.co_name)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType) and constant not in self.seen:
                self.seen.add(constant)
                if constant.co_flags & 0x20 and constant.co_name == "<genexpr>":
                    self._names_of(constant, space)
                else:
                    self._code(constant, space)

    def _names_of(self, code: Any, space: dict[str, Any]) -> None:
        for instruction in dis.get_instructions(code):
            if instruction.opname == "LOAD_GLOBAL":
                self._global(str(instruction.argval), space)
            elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                self._attribute(instruction.argval, code.co_name)

    def _attribute(self, name: str, where: str) -> None:
        if name in _EFFECTS:
            raise Impure(f"{where} calls {name}")
        if name in _STATE:
            raise Impure(f"{where} reads {name}")
        self.names.add(name)

    def _global(self, name: str, space: dict[str, Any]) -> None:
        if name in space:
            self._outside(space, name, space[name], name)
        elif not hasattr(builtins, name):
            raise Impure(f"{name} is not defined")
        elif name not in _BUILTINS and not _is_exception(getattr(builtins, name)):
            raise Impure(f"{name}() has effects")

    def _outside(self, container: Any, key: Any, value: Any, name: str) -> None:
        if isinstance(value, types.ModuleType):
            if not is_library(value.__name__):
                raise Impure(f"{name} is the module {value.__name__}")
            return
        self.roots.append((container, key, value))
        if isinstance(value, type):
            if not (is_library(value.__module__) or _is_exception(value)):
                raise Impure(f"{name} is a class of the program's")
        elif isinstance(value, types.FunctionType | types.MethodType):
            self.add(value)
        elif isinstance(value, types.BuiltinFunctionType):
            if not is_library(value.__module__):
                raise Impure(f"{name} is a function of {value.__module__}")

    def see_class(self, kind: type) -> None:
        """Note the class of an object that the call may use: its methods may be called."""
        if kind in self.classes:
            return
        self.classes.add(kind)
        if issubclass(kind, Module):
            self.names.add("forward")
        self._follow_names()

    def _follow_names(self) -> None:
        for kind in list(self.classes):
            for base in kind.__mro__:
                if is_library(base.__module__) or base is object:
                    continue
                fields = base.__dict__
                for name in list(fields):
                    if name in self.names or (name.startswith("__") and name not in _NEVER_CALLED):
                        self._member(base, name, fields)

    def _member(self, base: type, name: str, fields: Any) -> None:
        if (base, name) in self.members:
            return
        self.members.add((base, name))
        member = fields[name]
        self.roots.append((fields, name, member))
        if isinstance(member, property):
            member = member.fget
        if isinstance(member, staticmethod | classmethod):
            member = member.__func__
        if isinstance(member, types.FunctionType):
            if member.__code__ not in self.seen:
                self.add(member)
        elif callable(member) and not isinstance(member, Module):
            raise Impure(f"{member!r} has no code to look at")


# Special methods that a call does not run by itself.
_NEVER_CALLED = frozenset(
    "__init__ __new__ __repr__ __str__ __doc__ __module__ __dict__ __weakref__ __qualname__ "
    "__annotations__ __slots__ __del__ __reduce__ __reduce_ex__ __getstate__ __setstate__ "
    "__init_subclass__ __class_getitem__ __match_args__ __dataclass_fields__ __hash__ __dir__ "
    "__dataclass_params__ __static_attributes__ __firstlineno__ __parameters__ __orig_bases__ "
    "__abstractmethods__ __annotate__ __annotate_func__ __annotations_cache__ __constants__ "
    "__jit_unused_properties__ __jit_ignored_attributes__".split()
)


_PARTS = ("__code__", "__defaults__", "__kwdefaults__")


class Fields:
    """An object's attributes as items."""

    __slots__ = ("owner",)

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __getitem__(self, name: str) -> Any:
        return getattr(self.owner, name, None)


class _Cell:
    """A closure's cell as a container with one item."""

    __slots__ = ("cell",)

    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def __getitem__(self, _: Any) -> Any:
        return self.cell.cell_contents


def _is_local(function: Any) -> bool:
    """Whether a function that bears a library's name was made inside another one."""
    return "<locals>" in getattr(function, "__qualname__", "") and not isinstance(
        function, types.BuiltinFunctionType
    )


def _is_exception(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)
