"""The `__torch_function__` protocol in the call path.

Invariant: nothing here is looked at for plain tensors until `engage` was called, which the first
tensor subclass, the first function mode and `torch.fx` do; operators then read one module global.
Objects that are no tensors but have `__torch_function__` are found where an operator refuses them,
and at every call of a function that is plain Python over tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import FunctionType
from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics.dtypes import dtype
from ..._basics.state import process, state
from .overriding_forms import FUNCTIONAL, arranged

# Whether calls are looked at; written by `engage` only.
engaged = False
# Types whose instances need no look. Subclasses are of other types, so membership is exact.
_PLAIN: set[type] = {
    int, float, bool, complex, str, bytes, type(None), dtype, slice, type(Ellipsis), type,
}  # fmt: skip
_at_engagement: list[Callable[[], None]] = []
# What takes a call that no argument and no function mode took: dispatch modes, once there are any.
_below: list[Callable[[Any, Sequence[Any], dict[str, Any]], Any]] = []


def engage() -> None:
    """From now on every call looks for overriding arguments and modes."""
    global engaged
    if not engaged:
        engaged = True
        for action in _at_engagement:
            action()


def pass_down(takes: Callable[[Any, Sequence[Any], dict[str, Any]], Any]) -> None:
    """Let `takes(public, args, kwargs)` have the calls that nothing above it took."""
    _below[:] = [takes]


def when_engaged(action: Callable[[], None]) -> None:
    """Run `action` when the protocol is first needed (at once if it is already)."""
    _at_engagement.append(action)
    if engaged:
        action()


def declare_plain(cls: type) -> None:
    """Instances of exactly this class never override anything."""
    _PLAIN.add(cls)


def disabled_impl(*call: Any) -> Any:
    """The `__torch_function__` of classes that take no part: calls `func` with it switched off."""
    func, _, args, kwargs = call[-4:] if len(call) >= 4 else (*call, {})[-4:]
    with DisableTorchFunctionSubclass():
        return func(*args, **(kwargs or {}))


def disabled_dispatch(*call: Any) -> Any:
    """`__torch_dispatch__` of classes that take no part, in torch's position of arguments."""
    func, _, args, kwargs = call[-4:] if len(call) >= 4 else (*call, {})[-4:]
    return func(*args, **(kwargs or {}))


class _Switch:
    """A context in which `__torch_function__` is not called."""

    level = 1

    def __enter__(self) -> None:
        self.before = state.overriding_off
        state.overriding_off = max(self.before, self.level)

    def __exit__(self, *exc: object) -> None:
        state.overriding_off = self.before


class DisableTorchFunctionSubclass(_Switch):
    """No argument's `__torch_function__` is called; modes are."""


class DisableTorchFunction(_Switch):
    """Neither an argument's nor a mode's `__torch_function__` is called."""

    level = 2


class EnableTorchFunction(_Switch):
    """The protocol is on again inside a context that switched it off."""

    def __enter__(self) -> None:
        self.before = state.overriding_off
        state.overriding_off = 0


def implementation(x: Any) -> Any:
    """`type(x).__torch_function__`, or None where it is missing or switched off."""
    kind = type(x)
    if kind in _PLAIN or issubclass(kind, type):
        return None
    found = getattr(kind, "__torch_function__", None)
    return None if found is disabled_impl else found


def collect(values: Iterable[Any], plain: bool = False) -> list[Any]:
    """The overriding arguments, one a type, subclasses before their bases.

    Looks at the values and at the elements of lists and tuples among them. `plain`: tensors of
    the very class Tensor count too.
    """
    found: list[Any] = []
    for x in values:
        kind = type(x)
        if kind in _PLAIN and not (plain and kind is process.tensor_class):
            continue
        if isinstance(x, tuple | list) and getattr(kind, "__torch_function__", None) is None:
            for y in x:
                if type(y) not in _PLAIN or (plain and type(y) is process.tensor_class):
                    add_overloaded(found, y)
        else:
            add_overloaded(found, x)
    return found


def add_overloaded(found: list[Any], x: Any) -> None:
    """Put `x` into the list of overriding arguments if its type is new there."""
    if type(x) is not process.tensor_class and implementation(x) is None:
        return
    kind = type(x)
    place = len(found)
    for k, y in enumerate(found):
        if type(y) is kind:
            return
        if place == len(found) and issubclass(kind, type(y)):
            place = k
    found.insert(place, x)


def look(args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any] | None:
    """The overriding arguments of a call when it must be dispatched, else None."""
    off = state.overriding_off
    modes = (off < 2 and bool(state.function_modes)) or bool(state.dispatch_modes)
    if not off:
        for x in args:
            if type(x) not in _PLAIN:
                break
        else:
            if not kwargs:
                return [] if modes else None
        found = collect((*args, *kwargs.values()) if kwargs else args)
        if found:
            return found
    return [] if modes else None


def dispatch(
    func: Any,
    found: Sequence[Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    python: bool = False,
) -> Any:
    """Call the innermost mode, then the arguments' `__torch_function__`, until one answers.

    Raises: torch's TypeError when all of them return NotImplemented.
    """
    types = tuple([type(x) for x in found])
    given: Any = kwargs if kwargs or python else None
    modes = state.function_modes
    if modes and state.overriding_off < 2:
        mode = modes.pop()
        try:
            result = mode.__torch_function__(func, types, args, given)
        finally:
            modes.append(mode)
        if result is not NotImplemented:
            return result
    for x in found:
        result = type(x).__torch_function__(func, types, args, given)
        if result is not NotImplemented:
            return result
    raise _nobody(func, types, python)


def _nobody(func: Any, types: Sequence[type], python: bool) -> TypeError:
    """The error when no `__torch_function__` implements the function."""
    error = TypeError(_nobodys_text(func, types, python))
    error._is_unhandled = True  # type: ignore[attr-defined]
    return error


def _nobodys_text(func: Any, types: Sequence[type], python: bool) -> str:
    name = qualified_name(func)
    if python:
        return (
            f"no implementation found for '{name}' on types that implement "
            f"__torch_function__: {list(types)}"
        )
    lines = "".join(f"\n  - tensor subclass {t}" for t in types)
    return (
        f"Multiple dispatch failed for '{name}'; all __torch_function__ handlers returned "
        f"NotImplemented:\n{lines}\n\nFor more information, try re-running with "
        "TORCH_LOGS=not_implemented"
    )


_places: dict[int, tuple[str, str]] = {}  # id of a public function -> its place and name


def qualified_name(func: Any) -> str:
    """`torch.add`, `torch.Tensor.add`: where a public function stands."""
    found = _places.get(id(func))
    if found is None:
        return f"{getattr(func, '__module__', None)}.{getattr(func, '__name__', func)}"
    place, name = found
    if place == "torch" and name in FUNCTIONAL:
        return f"torch.functional.{name}"
    return f"torch.{PREFIXES[place]}{name}"


def refused(func: Any, args: Sequence[Any], kwargs: dict[str, Any], error: Exception) -> Any:
    """After an operator refused its arguments: dispatch if one of them overrides, else raise."""
    if not hasattr(error, "_is_unhandled") and not state.overriding_off:
        found = collect((*args, *kwargs.values()))
        if found:
            return send(func, found, args, kwargs)
    raise error


# --- putting the look in front of functions ------------------------------------------------------

PREFIXES = {
    "torch": "", "method": "Tensor.", "nn.functional": "nn.functional.", "linalg": "linalg.",
    "fft": "fft.", "special": "special.",
}  # fmt: skip
# Functions that take any data and do not ask it: only modes see them.
_MODES_ONLY = frozenset({
    "torch.tensor", "torch.as_tensor", "torch.asarray", "torch.from_numpy", "torch.can_cast",
    "torch.promote_types",
})  # fmt: skip


def note_place(place: str, name: str, function: Any) -> None:
    """Remember where a public function stands (first come)."""
    if place in PREFIXES:
        _places.setdefault(id(function), (place, name))


def place_of(function: Any) -> tuple[str, str]:
    """The place and name of a public function; empty for another."""
    return _places.get(id(function), ("", ""))


def stands(function: Any) -> bool:
    """Whether a function is a public one that the protocol sees."""
    return id(function) in _places


def guard(function: Any, name: str, place: str) -> Any:
    """A public form of plain Python over tensors that looks for overriding arguments."""
    by_mode = f"{place}.{name}" in _MODES_ONLY
    body, cast = getattr(function, "body", function), getattr(function, "cast", None)

    def public(*args: Any, **kwargs: Any) -> Any:
        if engaged:
            found = look(() if by_mode else args, {} if by_mode else kwargs)
            if found is not None:
                return send(public, found, args, kwargs)
        elif not by_mode:
            for x in args:
                if type(x) not in _PLAIN:
                    found = collect(args)
                    if found and not state.overriding_off:
                        return send(public, found, args, kwargs)
                    break
        if kwargs and "out" in kwargs:
            return function(*args, **kwargs)
        if cast is not None and state.autocast is not None:
            return cast(args, kwargs)
        made = body(*args, **kwargs)  # as `composites.with_out` does it, without another call
        return made() if isinstance(made, partial) else made

    return dress(public, function, name, place)


def guard_method(function: Any, name: str) -> Any:
    """A method of the tensor class: nothing to look for until the protocol is engaged."""
    body, cast = getattr(function, "body", function), getattr(function, "cast", None)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if engaged:
            found = look((self, *args), kwargs)
            if found is not None:
                return send(method, found, (self, *args), kwargs)
        if kwargs and "out" in kwargs:
            return function(self, *args, **kwargs)
        if cast is not None and state.autocast is not None:
            return cast((self, *args), kwargs)
        made = body(self, *args, **kwargs)
        return made() if isinstance(made, partial) else made

    return dress(method, function, name, "method")


def send(public: Any, found: Sequence[Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Dispatch a call in the form in which torch's Python functions hand over their arguments."""
    if not found and (not state.function_modes or state.overriding_off == 2):
        return _below[0](public, args, kwargs)  # nothing is on but dispatch modes
    form = arranged(*_places.get(id(public), ("", "")), args, kwargs)
    if form is None:
        return dispatch(public, found, args, kwargs)
    # torch's Python functions count plain tensors among the overriding arguments.
    every = collect((*args, *kwargs.values()), plain=True)
    return dispatch(public, every, *form, python=True)


def dress(public: Any, function: Any, name: str, place: str) -> Any:
    """Give a guard the name and text of what it stands for."""
    public.__name__ = name
    public.__qualname__ = f"Tensor.{name}" if place == "method" else name
    public.__doc__ = function.__doc__
    public.__module__ = function.__module__
    public.__wrapped__ = function
    if hasattr(function, "operator"):
        public.operator = function.operator
    note_place(place, name, public)
    return public


def guard_table(place: str, table: dict[str, Any]) -> None:
    """Put the look in front of every public function of one place that has none of its own."""
    if place not in PREFIXES:
        return
    make: Any = guard_method if place == "method" else lambda f, n: guard(f, n, place)
    for name, function in table.items():
        if isinstance(function, FunctionType):
            # An operator looks itself, unless something else stands in front of it.
            if getattr(function, "operator", None) is None or hasattr(function, "__wrapped__"):
                table[name] = make(function, name)
            else:
                note_place(place, name, function)


_UNSEEN = frozenset((
    "__new__", "__init__", "__init_subclass__", "__hash__", "__getattr__", "__torch_function__",
    "__iter__", "as_subclass", "__torch_dispatch__",
))  # fmt: skip


def guard_class(cls: type) -> None:
    """Put the look in front of methods that were written on the tensor class itself.

    Attributes get theirs when the protocol is engaged: until then reading one costs nothing.
    """
    for kind in cls.__mro__[:-1]:
        for name, member in list(kind.__dict__.items()):
            special = name.startswith("__") and name.endswith("__")
            if name in _UNSEEN or (name.startswith("_") and not special and name != "_is_view"):
                continue
            if isinstance(member, FunctionType) and id(member) not in _places:
                setattr(kind, name, guard_method(member, name))
    when_engaged(lambda: _guard_attributes(cls))


def _guard_attributes(cls: type) -> None:
    for kind in cls.__mro__[:-1]:
        for name, member in list(kind.__dict__.items()):
            if type(member) is property and (not name.startswith("_") or name == "_version"):
                _guard_attribute(member)
                setattr(kind, name, member)  # tells the interpreter that the class has changed


def _guard_attribute(member: property) -> None:
    """Let one property look first; it stays the same object, as tables of handlers name it."""
    read, write, delete = member.fget, member.fset, member.fdel

    def getter(self: Any) -> Any:
        if not state.function_modes and (type(self) in _PLAIN or state.overriding_off):
            return read(self)  # type: ignore[misc]
        found = look((self,), {})
        if found is None:
            return read(self)  # type: ignore[misc]
        return dispatch(member.__get__, found or (self,), (self,), {})

    def setter(self: Any, value: Any) -> None:
        found = look((self, value), {})
        if found is None or not (found or state.function_modes):
            write(self, value)  # type: ignore[misc]
        else:
            dispatch(member.__set__, found or (self,), (self, value), {})

    def deleter(self: Any) -> None:
        found = look((self,), {})
        if found is None or not (found or state.function_modes):
            delete(self)  # type: ignore[misc]
        else:
            dispatch(member.__delete__, found or (self,), (self,), {})

    member.__init__(  # type: ignore[misc]
        getter, write and setter, delete and deleter, member.__doc__
    )


def convert(result: Any, cls: type) -> Any:
    """Results of `Tensor.__torch_function__` as instances of the subclass."""
    if cls is process.tensor_class:
        return result
    if isinstance(result, TensorBase) and not isinstance(result, cls):
        return result.as_subclass(cls)  # type: ignore[attr-defined]
    if isinstance(result, tuple | list):
        made = [convert(r, cls) for r in result]
        kind = type(result)
        if hasattr(result, "_fields") and kind is not tuple:
            return kind(*made)
        return kind(made)
    return result


__all__ = ["DisableTorchFunction", "DisableTorchFunctionSubclass", "EnableTorchFunction"]
