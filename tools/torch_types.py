"""What PyTorch's own type stubs say of its functions and methods: names, overloads, types.

Read for `tools/stubs.py`: the pinned PyTorch says which types an argument takes and what comes
back. Only facts that torchish shares are written out; a type that it has no name for becomes Any.
"""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Iterator
from pathlib import Path

import torch

PACKAGE = Path(torch.__file__).parent
# Names that the stubs of torchish know, or import (see HEAD in stubs.py).
KNOWN = frozenset((
    "Tensor", "_int", "_bool", "_float", "_complex", "_str", "_size", "_dtype", "_device",
    "_layout", "_Number", "_DeviceLike", "Sequence", "Callable", "Literal", "Any",
    "_Generator", "_memory_format", "_Size", "tuple", "list", "dict", "object", "_return_types",
    "_ndarray", "_Index", "Self", "_UntypedStorage", "_TypedStorage", "_symsize", "_size_any_t",
    "_ratio_any_t", "_size_1_t", "_size_2_t", "_size_3_t", "_size_2_opt_t", "_size_3_opt_t",
    "Iterator",
))  # fmt: skip
# Written without an underscore in places where nothing of that name hides Python's own.
_RENAMED = {
    "bool": "_bool", "int": "_int", "float": "_float", "complex": "_complex", "str": "_str",
    "IntLikeType": "_int", "SymInt": "_int", "type": "Any", "EllipsisType": "Any",
    "Number": "_Number", "DeviceLikeType": "_DeviceLike", "Generator": "_Generator",
    "memory_format": "_memory_format", "Size": "_Size", "UntypedStorage": "_UntypedStorage",
    "TypedStorage": "_TypedStorage",
}  # fmt: skip
# Where PyTorch's stubs say less than its documentation.
BETTER = {
    "split": "def split(self, split_size: _int | Sequence[_int], dim: _int = 0)"
    " -> tuple[Tensor, ...]: ...",
}
Found = dict[str, list[ast.FunctionDef]]


@functools.cache
def _tree(name: str) -> ast.Module:
    return ast.parse((PACKAGE / name).read_text())


def _functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    yield from (node for node in body if isinstance(node, ast.FunctionDef))


def _class(name: str, where: str) -> list[ast.stmt]:
    body = _tree(where).body
    return next(n.body for n in body if isinstance(n, ast.ClassDef) and n.name == name)


def _collected(functions: Iterator[ast.FunctionDef]) -> Found:
    found: Found = {}
    for node in functions:
        found.setdefault(node.name, []).append(node)
    return found


@functools.cache
def functions() -> Found:
    """`torch.x`: those of C++, then those of Python whose results are annotated."""
    found = _collected(_functions(_tree("_C/_VariableFunctions.pyi").body))
    return {**_annotated("functional.py"), **found}


def _annotated(where: str) -> Found:
    plain = _collected(f for f in _functions(_tree(where).body) if f.returns is not None)
    return {name: defs for name, defs in plain.items() if len(defs) == 1}


@functools.cache
def functional() -> Found:
    """`torch.nn.functional.x`."""
    return {
        **_collected(_functions(_tree("_C/_nn.pyi").body)),
        **_collected(_functions(_tree("nn/functional.pyi").body)),
    }


@functools.cache
def own_methods() -> Found:
    """`Tensor.x`, where PyTorch writes it as a method."""
    own = _collected(f for f in _functions(_class("Tensor", "_tensor.py")) if f.returns is not None)
    return {**own, **_collected(_functions(_class("TensorBase", "_C/__init__.pyi")))}


@functools.cache
def methods() -> Found:
    """`Tensor.x`: its methods, and functions that torchish has as methods too."""
    turned = {name: [_as_method(f) for f in defs] for name, defs in functions().items()}
    return {**turned, **own_methods()}


def _as_method(function: ast.FunctionDef) -> ast.FunctionDef:
    """A function whose first argument becomes `self`, and which has no `out`."""
    made = copy.deepcopy(function)
    given = made.args
    plain = given.posonlyargs or given.args
    if plain:
        plain[0] = ast.arg("self")
    else:
        plain.append(ast.arg("self"))
    for place, argument in reversed(list(enumerate(given.kwonlyargs))):
        if argument.arg == "out":
            del given.kwonlyargs[place], given.kw_defaults[place]
    return made


@functools.cache
def attributes() -> dict[str, str]:
    """Attributes of tensors that are no methods -> their types."""
    return {
        node.target.id: translated(node.annotation)
        for node in _class("TensorBase", "_C/__init__.pyi")
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


@functools.cache
def result_classes() -> dict[str, list[str]]:
    """The named results and their fields."""
    found = {}
    for node in _tree("return_types.pyi").body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            fields = [
                f.name for f in _functions(node.body)
                if any(ast.unparse(d) == "property" for d in f.decorator_list)
            ]  # fmt: skip
            found[node.name] = fields
    return found


class _Renamer(ast.NodeTransformer):
    """Types as our stubs write them; `ok` turns false at one that they have no name for."""

    def __init__(self) -> None:
        self.ok = True

    def visit_Name(self, node: ast.Name) -> ast.AST:
        name = _RENAMED.get(node.id, node.id)
        if name not in KNOWN:
            self.ok = False
        return ast.Name(name, ast.Load())

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        text = ast.unparse(node)
        if text.startswith("torch.return_types."):
            return ast.parse("_" + text.removeprefix("torch."), mode="eval").body
        if text == "torch.Tensor":
            return ast.Name("Tensor", ast.Load())
        if text in ("numpy.ndarray", "torch.memory_format"):
            return ast.Name("_" + text.rpartition(".")[2], ast.Load())
        self.ok = False
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if ast.unparse(node.value) == "Literal":
            return node
        if ast.unparse(node.value) in ("Union", "Optional"):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            joined = " | ".join(ast.unparse(self.visit(p)) for p in parts)
            optional = " | None" if ast.unparse(node.value) == "Optional" else ""
            return ast.parse(joined + optional, mode="eval").body
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            return self.visit(ast.parse(node.value, mode="eval").body)
        return node


def translated(note: ast.expr | None) -> str:
    """A type, in the names of our stubs."""
    if note is None:
        return "Any"
    renamer = _Renamer()
    made = renamer.visit(copy.deepcopy(note))
    if not renamer.ok:
        return "Any"
    return ast.unparse(made)


def lines(name: str, defs: list[ast.FunctionDef]) -> Iterator[str]:
    """The stub of one function: a line for each overload."""
    if name in BETTER and defs[0].args.args[0].arg == "self":
        yield BETTER[name]
        return
    distinct: dict[str, str] = {}
    for node in defs:
        arguments = _arguments(node.args)
        distinct.setdefault(
            arguments, f"def {name}({arguments}) -> {translated(node.returns)}: ..."
        )
    static = any(ast.unparse(d) == "staticmethod" for d in defs[0].decorator_list)
    for line in distinct.values():
        if len(distinct) > 1:
            yield "@overload"
        if static:
            yield "@staticmethod"
        yield line


def _arguments(given: ast.arguments) -> str:
    made = copy.deepcopy(given)
    for place, argument in enumerate(
        (*made.posonlyargs, *made.args, *made.kwonlyargs, made.vararg, made.kwarg)
    ):
        if argument is None or (place == 0 and argument.arg in ("self", "cls")):
            continue
        argument.annotation = ast.Name(translated(argument.annotation), ast.Load())
    made.defaults = [_default(value) for value in made.defaults]
    made.kw_defaults = [None if value is None else _default(value) for value in made.kw_defaults]
    return ast.unparse(made)


def _default(value: ast.expr) -> ast.expr:
    """A literal as it is; what would have to be imported as `...`."""
    try:
        ast.literal_eval(value)
    except ValueError:
        return ast.Constant(...)
    return value
