"""What the names of a program stand for, as far as its text makes that certain.

A name stands for something only if everything that is ever bound to it in its scope agrees: there
is no order of execution here. Expressions are looked at when a name is asked for, so that what
stands further down in the file counts too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from ..._alias import PACKAGES
from . import names


@dataclass(frozen=True)
class Named:
    """A module, function or class of torch's."""

    path: names.Path


@dataclass(frozen=True)
class TensorValue:
    """Surely a tensor."""


TENSOR = TensorValue()
# What is being found out just now: says nothing for or against.
_OPEN = object()
Value = Named | TensorValue | None
Binding = ast.expr | Named | TensorValue | None


@dataclass
class Scope:
    """A module, function, class or comprehension."""

    parent: Scope | None = None
    is_class: bool = False
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    stars: list[names.Path] = field(default_factory=list)  # `from torch.nn import *`
    _known: dict[str, object] = field(default_factory=dict)

    def bind(self, name: str, value: Binding) -> None:
        """Note one more thing that `name` may stand for."""
        self.bindings.setdefault(name, []).append(value)

    def holder(self, name: str) -> Scope | None:
        """The scope in which a name that is used here is bound."""
        if name in self.bindings:
            return self
        outer = self.parent
        while outer is not None:
            if name in outer.bindings and not outer.is_class:
                return outer
            outer = outer.parent
        return None

    @property
    def top(self) -> Scope:
        """The module."""
        return self if self.parent is None else self.parent.top

    def lookup(self, name: str) -> object:
        """What a name stands for: a Value, or _OPEN."""
        holder = self.holder(name)
        if holder is None:
            return self._from_star(name)
        if name not in holder._known:
            holder._known[name] = _OPEN
            found = {holder.value(b) for b in holder.bindings[name]} - {_OPEN}
            holder._known[name] = found.pop() if len(found) == 1 else None
        return holder._known[name]

    def _from_star(self, name: str) -> Value:
        for path in self.top.stars:
            if name in names.starred(path):
                return Named((*path, name))
        return None

    def value(self, binding: Binding) -> object:
        """What an expression is."""
        if binding is None or isinstance(binding, Named | TensorValue):
            return binding
        rule = _RULES.get(type(binding))
        return rule(self, binding) if rule else None

    def named(self, node: ast.expr) -> names.Path | None:
        """The path of an expression that names something of torch's."""
        found = self.value(node)
        return found.path if isinstance(found, Named) else None


def _name(scope: Scope, node: ast.Name) -> object:
    return scope.lookup(node.id)


def _attribute(scope: Scope, node: ast.Attribute) -> object:
    owner = scope.value(node.value)
    if isinstance(owner, Named):
        return Named((*owner.path, node.attr))
    if owner is TENSOR or owner is _OPEN:
        return owner if names.is_tensor_view(node.attr) else None
    return None


def _call(scope: Scope, node: ast.Call) -> object:
    function = node.func
    if isinstance(function, ast.Attribute):
        owner = scope.value(function.value)
        if owner is TENSOR or owner is _OPEN:
            return owner if _keeps_tensor(function.attr) else None
    imported = import_call(scope, node) or constant_getattr(scope, node)
    if imported is not None:
        return Named(imported)
    path = scope.named(function)
    if path is None:
        return None
    fact = names.look(path)
    if any(k.arg == "out" for k in node.keywords):
        return None
    return TENSOR if fact.status == "present" and names.returns_tensor(fact.value) else None


def _keeps_tensor(method: str) -> bool:
    """Whether `x.method()` is a tensor; an absent method counts, since the program ends there."""
    fact = names.method(method)
    return fact.status != "present" or names.returns_tensor(fact.value)


def import_call(scope: Scope, node: ast.Call) -> names.Path | None:
    """The module of `importlib.import_module("torch.x")`."""
    if not node.args or not ast.unparse(node.func).endswith("import_module"):
        return None
    text = constant(node.args[0])
    return tuple(text.split(".")) if text and text.partition(".")[0] in PACKAGES else None


def constant_getattr(scope: Scope, node: ast.Call) -> names.Path | None:
    """The path of `getattr(torch, "name")`, with or without a default."""
    if not (isinstance(node.func, ast.Name) and node.func.id == "getattr") or len(node.args) < 2:
        return None
    path, name = scope.named(node.args[0]), constant(node.args[1])
    return (*path, name) if path and name and name.isidentifier() else None


def constant(node: ast.expr) -> str | None:
    """The text of a literal string."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _operation(*parts: Callable[[ast.expr], ast.expr]) -> Callable[[Scope, ast.expr], object]:
    def rule(scope: Scope, node: ast.expr) -> object:
        found = [scope.value(part(node)) for part in parts]
        return TENSOR if TENSOR in found else _OPEN if _OPEN in found else None

    return rule


def _choice(scope: Scope, node: ast.IfExp) -> object:
    found = {scope.value(node.body), scope.value(node.orelse)} - {_OPEN}
    return found.pop() if len(found) == 1 else None


_RULES: dict[type, Callable[..., object]] = {
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.IfExp: _choice,
    ast.NamedExpr: lambda scope, node: scope.value(node.value),
    ast.BinOp: _operation(lambda n: n.left, lambda n: n.right),  # type: ignore[attr-defined]
    ast.UnaryOp: lambda scope, node: (
        None if isinstance(node.op, ast.Not) else scope.value(node.operand)
        if scope.value(node.operand) in (TENSOR, _OPEN) else None
    ),
    ast.Compare: lambda scope, node: _compared(scope, node),
    ast.Subscript: lambda scope, node: (
        found if (found := scope.value(node.value)) in (TENSOR, _OPEN) else None
    ),
}  # fmt: skip


def _compared(scope: Scope, node: ast.Compare) -> object:
    plain = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
    if len(node.ops) != 1 or not isinstance(node.ops[0], plain):
        return None
    found = scope.value(node.left)
    return found if found in (TENSOR, _OPEN) else None


def annotated(scope: Scope, note: ast.expr | None) -> Binding:
    """What an annotation says of a parameter or variable: a tensor, or nothing."""
    if note is None:
        return None
    text = constant(note)
    if text is not None:
        try:
            note = ast.parse(text, mode="eval").body
        except SyntaxError:
            return None
    path = scope.named(note)
    return TENSOR if path and path[0] == "torch" and path[-1] == "Tensor" else None
