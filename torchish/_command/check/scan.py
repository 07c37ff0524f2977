"""The second walk over a program: every use of a name that torchish lacks, with its severity."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..._alias import PACKAGES
from . import names
from .binding import SCOPED, Binder
from .scopes import TENSOR, Named, Scope, constant, import_call

# Exceptions whose handlers stand ready for a missing name: as an import, and as a refusal.
_CATCHES = frozenset((
    "ImportError", "ModuleNotFoundError", "AttributeError", "NotImplementedError", "RuntimeError",
    "Exception", "BaseException",
))  # fmt: skip


class Severity(enum.IntEnum):
    """What happens when the program gets there."""

    STOPS = 0  # an import fails: the file cannot be loaded
    RAISES = 1  # the line raises
    NOTE = 2  # the program is prepared for it, or names it only (annotations, isinstance)


@dataclass(frozen=True, order=True)
class Finding:
    """One use of a name."""

    severity: Severity
    file: str
    line: int
    column: int
    name: str
    text: str

    def __str__(self) -> str:
        kind = self.severity.name.lower()
        return f"{self.file}:{self.line}:{self.column}: {kind}: {self.name}: {self.text}"


def scan(source: str, file: str) -> tuple[list[Finding], int]:
    """The findings of one file, and how many uses of torch's names it has."""
    try:
        tree = ast.parse(source, file)
    except SyntaxError as error:
        text = f"not valid Python: {error.msg}"
        return [Finding(Severity.STOPS, file, error.lineno or 1, error.offset or 1, "", text)], 0
    scanner = _Scanner(tree, file)
    scanner.visit(tree)
    return scanner.finished(), scanner.uses


class _Scanner(ast.NodeVisitor):
    def __init__(self, tree: ast.Module, file: str) -> None:
        self.file = file
        self.uses = 0
        self.binder = Binder(tree)
        self.scope: Scope = self.binder.scopes[tree]
        self.found: dict[tuple[int, int, str], Finding] = {}
        self.imported: list[tuple[Finding, names.Path]] = []  # placeholders, by an import alone
        self.used: set[names.Path] = set()
        self.caught = 0  # inside so many `try` that catch a missing name
        self.naming = 0  # inside an annotation, or the classes of isinstance
        self.probed: list[str] = []  # names that the program asked for with hasattr

    # --- findings ---------------------------------------------------------------------------------

    def finished(self) -> list[Finding]:
        """All of them; an import of what is used further down is not told twice."""
        found = list(self.found.values())
        found += [f for f, path in self.imported if path not in self.used]
        return sorted(found)

    def report(self, node: ast.AST, severity: Severity, name: str, text: str) -> Finding:
        if self.caught or self.naming or name.rpartition(".")[2] in self.probed:
            severity = Severity.NOTE
        place: Any = node
        made = Finding(severity, self.file, place.lineno, place.col_offset + 1, name, text)
        self.found.setdefault((made.line, made.column, name), made)
        return made

    def use(self, node: ast.AST, path: names.Path) -> None:
        """A name of torch's at a place where the program needs it."""
        self.uses += 1
        fact = names.look(path)
        if fact.status == "present" or path[-1] in self.binder.stored:
            return
        self.used.add(path)
        self.report(node, Severity.RAISES, ".".join(path), fact.text)

    # --- imports ----------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._import(node, tuple(alias.name.split(".")))

    def _import(self, node: ast.AST, path: names.Path) -> bool:
        if path[0] not in PACKAGES:
            return False
        self.uses += 1
        fact = names.module(path)
        if fact.status != "present":
            self.report(node, Severity.STOPS, ".".join(path), fact.text)
            return False
        return True

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        path = tuple((node.module or "").split("."))
        if node.level or not self._import(node, path):
            return
        for alias in node.names:
            if alias.name == "*":
                continue
            self.uses += 1
            whole = (*path, alias.name)
            fact = names.look(whole)
            if fact.status == "present":
                continue
            where = alias if hasattr(alias, "lineno") else node
            if fact.importable:
                made = self.report(where, Severity.NOTE, ".".join(whole), fact.text)
                self.found.pop((made.line, made.column, made.name))
                self.imported.append((made, whole))
            else:
                self.used.add(whole)
                self.report(where, Severity.STOPS, ".".join(whole), fact.text)

    # --- uses -------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            path = self.scope.named(node)
            if path is not None and len(path) > 1:
                self.use(node, path)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            owner = self.scope.value(node.value)
            if isinstance(owner, Named):
                path = (*owner.path, node.attr)
                if names.look(owner.path).status != "present":
                    self.visit(node.value)  # told there
                else:
                    self.use(_end_of(node), path)
                return
            if owner is TENSOR:
                self._tensor_attribute(node)
        self.visit(node.value)

    def _tensor_attribute(self, node: ast.Attribute) -> None:
        self.uses += 1
        fact = names.method(node.attr)
        if fact.status != "present" and node.attr not in self.binder.stored:
            self.report(_end_of(node), Severity.RAISES, f"torch.Tensor.{node.attr}", fact.text)

    def visit_Call(self, node: ast.Call) -> None:
        asked = isinstance(node.func, ast.Name) and node.func.id
        if asked == "hasattr":
            return
        module = import_call(self.scope, node)
        if module is not None:
            self._import(node, module)
            return
        if asked == "getattr" and len(node.args) in (2, 3):
            self._getattr(node)
            return
        if asked in ("isinstance", "issubclass") and len(node.args) == 2:
            self.visit(node.args[0])
            self._naming(node.args[1])
            return
        self.generic_visit(node)

    def _getattr(self, node: ast.Call) -> None:
        path, name = self.scope.named(node.args[0]), constant(node.args[1])
        if path is None or name is None:
            self.generic_visit(node)
        elif len(node.args) == 2:
            self.use(node, (*path, name))

    def _naming(self, node: ast.AST | None) -> None:
        """An annotation, or classes to compare with: placeholders may be named there."""
        if node is not None:
            self.naming += 1
            self.visit(node)
            self.naming -= 1

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._naming(node.annotation)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    # --- scopes -----------------------------------------------------------------------------------

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, SCOPED):
            return super().visit(node)
        outer, inner = self.scope, self.binder.scopes[node]
        for part in _outside(node):
            self.visit(part)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for note in _annotations(node):
                self._naming(note)
        self.scope = inner
        for part in _inside(node):
            self.visit(part)
        self.scope = outer
        return None

    # --- guards -----------------------------------------------------------------------------------

    def visit_Try(self, node: ast.Try) -> None:
        ready = any(_catches(h.type) for h in node.handlers)
        self.caught += ready
        for step in node.body:
            self.visit(step)
        self.caught -= ready
        after: tuple[ast.AST, ...] = (*node.handlers, *node.orelse, *node.finalbody)
        for part in after:
            self.visit(part)

    def visit_With(self, node: ast.With) -> None:
        ready = any(_suppresses(item.context_expr) for item in node.items)
        for item in node.items:
            self.visit(item)
        self.caught += ready
        for part in node.body:
            self.visit(part)
        self.caught -= ready

    def _branches(self, node: ast.If | ast.IfExp | ast.BoolOp) -> None:
        """What a `hasattr` of the condition asks for is no surprise below it."""
        tests = node.values if isinstance(node, ast.BoolOp) else [node.test]
        asked = [name for test in tests for name in _asked(test)]
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for part in node.orelse:
                self.visit(part)
            return
        self.probed += asked
        self.generic_visit(node)
        del self.probed[len(self.probed) - len(asked) :]

    visit_If = visit_IfExp = visit_BoolOp = _branches


def _end_of(node: ast.Attribute) -> ast.AST:
    """The place of the attribute's own name, which may be lines below what it is of."""
    length = len(node.attr)
    at = ast.Name(node.attr, ast.Load())
    at.lineno = node.end_lineno or node.lineno
    at.col_offset = max((node.end_col_offset or length) - length, 0)
    return at


def _asked(test: ast.AST) -> Iterator[str]:
    for part in ast.walk(test):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            if part.func.id == "hasattr" and len(part.args) == 2:
                name = constant(part.args[1])
                if name:
                    yield name


def _catches(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(ast.unparse(k).rpartition(".")[2] in _CATCHES for k in kinds)


def _suppresses(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("suppress"):
        return False
    return any(_catches(kind) for kind in node.args)


def _outside(node: Any) -> Iterator[ast.AST]:
    """The parts of a node that opens a scope which belong to the scope around it."""
    if isinstance(node, ast.ClassDef):
        yield from (*node.bases, *node.keywords, *node.decorator_list)
    elif hasattr(node, "args"):
        yield from getattr(node, "decorator_list", ())
        yield from (*node.args.defaults, *filter(None, node.args.kw_defaults))


def _inside(node: Any) -> Iterator[ast.AST]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield from node.body
    elif isinstance(node, ast.Lambda):
        yield node.body
    else:
        yield from ast.iter_child_nodes(node)


def _annotations(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    a = node.args
    for argument in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg):
        if argument is not None and argument.annotation is not None:
            yield argument.annotation
    if node.returns is not None:
        yield node.returns
