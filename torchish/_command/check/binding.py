"""The first walk over a program: scopes, and what is bound to each name in them."""

from __future__ import annotations

import ast

from ..._alias import PACKAGES
from .scopes import Named, Scope, annotated, constant

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPED = (*_FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef)


class Binder(ast.NodeVisitor):
    """Fills `scopes`: the scope that each node which opens one has inside."""

    def __init__(self, tree: ast.Module) -> None:
        self.scope = Scope()
        self.scopes: dict[ast.AST, Scope] = {tree: self.scope}
        self.stored: set[str] = set()  # attributes that the program sets somewhere
        self._notes: list[tuple[Scope, str, ast.expr, Scope]] = []
        self.visit(tree)
        # Annotations name what imports bind, which are known only now.
        for scope, name, note, where in self._notes:
            scope.bind(name, annotated(where, note))

    def _inside(self, node: ast.AST, body: list[ast.AST], *, is_class: bool = False) -> Scope:
        made = self.scopes[node] = Scope(self.scope, is_class)
        self.scope = made
        for part in body:
            self.visit(part)
        self.scope = made.parent or made
        return made

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root not in PACKAGES:
                self.scope.bind(alias.asname or root, None)
            elif alias.asname:
                self.scope.bind(alias.asname, Named(tuple(alias.name.split("."))))
            else:
                self.scope.bind(root, Named((root,)))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = tuple((node.module or "").split("."))
        ours = node.level == 0 and module[0] in PACKAGES
        for alias in node.names:
            if alias.name == "*":
                if ours:
                    self.scope.top.stars.append(module)
                continue
            found = Named((*module, alias.name)) if ours else None
            self.scope.bind(alias.asname or alias.name, found)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        arguments = node.args
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            self.visit(default)
        outer = self.scope
        if not isinstance(node, ast.Lambda):
            outer.bind(node.name, None)
            for decorator in node.decorator_list:
                self.visit(decorator)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        inner = self.scopes[node] = Scope(outer)
        plain = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        for argument in plain:
            if argument.annotation is None:
                inner.bind(argument.arg, None)
            else:
                self._notes.append((inner, argument.arg, argument.annotation, outer))
        for starred in filter(None, (arguments.vararg, arguments.kwarg)):
            inner.bind(starred.arg, None)
        self.scope = inner
        for part in body:
            self.visit(part)
        self.scope = outer

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.bind(node.name, None)
        for part in (*node.bases, *node.keywords, *node.decorator_list):
            self.visit(part)
        self._inside(node, list(node.body), is_class=True)

    def _comprehension(self, node: ast.AST) -> None:
        self._inside(node, list(ast.iter_child_nodes(node)))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        for name in node.names:  # changed from here: nothing is sure of it any more
            scope: Scope | None = self.scope
            while scope is not None:
                scope.bind(name, None)
                scope = scope.parent

    visit_Nonlocal = visit_Global

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.scope.bind(target.id, node.value)
            else:
                self.visit(target)
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._notes.append((self.scope, node.target.id, node.annotation, self.scope))
        else:
            self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            # `x += y` keeps what x was, if that was a tensor
            left = ast.Name(node.target.id, ast.Load())
            self.scope.bind(node.target.id, ast.BinOp(left, node.op, node.value))
        else:
            self.visit(node.target)
        self.visit(node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.scope.bind(node.target.id, node.value)
        self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):  # loops, with, unpacking, del
            self.scope.bind(node.id, None)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store):
            self.stored.add(node.attr)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "setattr" and len(node.args) == 3:
            name = constant(node.args[1])
            if name:
                self.stored.add(name)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.scope.bind(node.name, None)
        self.generic_visit(node)

    def _matched(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self.scope.bind(node.name, None)
        self.generic_visit(node)

    visit_MatchAs = visit_MatchStar = _matched
