"""Imports go downward only, and never in a circle, function-level imports included."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import torchish

ROOT = Path(torchish.__file__).parent
# Layers from the bottom; a module may import its own layer and those below it.
LAYERS = (
    ("_basics",),
    ("_interpret",),
    ("_core",),
    ("_ahead",),
    ("_autograd",),
    ("_random", "_parallel"),
    ("_ops",),
    ("_tensor",),
)


def layer_of(module: str) -> int:
    """The layer of a dotted module name inside the package."""
    first = module.split(".")[0]
    return next((k for k, names in enumerate(LAYERS) if first in names), len(LAYERS))


def name_of(path: Path) -> str:
    """`_ops.conv.cpu`; the package itself is `""`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Every module of the package and its file."""
    return {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def _is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _named(node: ast.AST, name: str, path: Path) -> list[str]:
    """The dotted names, within the package, that an import statement may mean."""
    if isinstance(node, ast.Import):
        return [a.name.removeprefix("torchish").lstrip(".") for a in node.names
                if a.name.split(".")[0] == "torchish"]  # fmt: skip
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        base = [p for p in package[: len(package) - node.level + 1] if p]
        base += node.module.split(".") if node.module else []
    elif node.module and node.module.split(".")[0] == "torchish":
        base = node.module.split(".")[1:]
    else:
        return []
    inner = [".".join([*base, a.name]) for a in node.names]
    return [n if n in modules() else ".".join(base) for n in inner]


def _imports(node: ast.AST, name: str, path: Path) -> set[str]:
    found = set()
    for child in ast.iter_child_nodes(node):
        if not _is_typing_only(child):
            found |= {n for n in _named(child, name, path) if n in modules()}
            found |= _imports(child, name, path)
    return found


@cache
def graph() -> dict[str, set[str]]:
    """What each module imports, anywhere in its file but under TYPE_CHECKING."""
    return {
        name: _imports(ast.parse(path.read_text()), name, path) - {name}
        for name, path in modules().items()
    }


def circles() -> list[list[str]]:
    """Groups of modules that import each other (the strongly connected components)."""
    order: list[str] = []
    seen: set[str] = set()

    def walk(start: str, edges: dict[str, set[str]], out: list[str]) -> None:
        stack = [(start, iter(sorted(edges[start])))]
        seen.add(start)
        while stack:
            name, rest = stack[-1]
            step = next((n for n in rest if n not in seen), None)
            if step is None:
                out.append(name)
                stack.pop()
            else:
                seen.add(step)
                stack.append((step, iter(sorted(edges[step]))))

    for name in graph():
        if name not in seen:
            walk(name, graph(), order)
    reverse: dict[str, set[str]] = {name: set() for name in graph()}
    for name, targets in graph().items():
        for target in targets:
            reverse[target].add(name)
    seen.clear()
    found = []
    for name in reversed(order):
        if name not in seen:
            group: list[str] = []
            walk(name, reverse, group)
            found.append(sorted(group))
    return [group for group in found if len(group) > 1]


def test_the_graph_sees_function_level_imports() -> None:
    assert len(graph()) > 500
    assert "_autograd.backward" in graph()["_autograd"]
    assert "_core.trace" in graph()["_core.view"]
    inner = "def f():\n    from .._core import trace\n    import torchish.nn\n"
    found = _imports(ast.parse(inner), "_ops.registry", ROOT / "_ops" / "registry.py")
    assert found == {"_core.trace", "nn"}


def test_imports_go_downward_only() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, targets in graph().items()
        for target in targets
        if layer_of(target) > layer_of(name)
    ]
    assert not wrong


def test_no_modules_import_each_other() -> None:
    assert circles() == []


def test_what_is_called_upwards_by_name_is_there() -> None:
    paths = [p for path in modules().values()
             for p in re.findall(r'later\("(torchish[\w.]*:\w+)"\)', path.read_text())]  # fmt: skip
    assert len(paths) > 10
    for path in paths:
        module, _, name = path.partition(":")
        if name != "f":  # the docstring's example
            assert callable(getattr(importlib.import_module(module), name)), path


def test_the_root_holds_few_private_modules() -> None:
    private = [path.name for path in ROOT.glob("_[a-z]*.py")]
    assert len(private) <= 6, private
    assert all(ast.get_docstring(ast.parse((ROOT / name).read_text())) for name in private)
    folders = list(ROOT.glob("_[a-z]*/__init__.py"))
    assert all(ast.get_docstring(ast.parse(path.read_text())) for path in folders)
