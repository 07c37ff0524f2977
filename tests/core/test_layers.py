"""Imports go downward only: basics, interpreter, engine, autograd, operators, tensor, the rest."""

from __future__ import annotations

import ast
from pathlib import Path

import torchish

ROOT = Path(torchish.__file__).parent
# Layers from the bottom; a module may import its own layer and those below it at module level.
LAYERS = [
    ("_basics",),
    ("_interpret",),
    ("_core",),
    ("_autograd",),
    ("_random", "_parallel"),
    ("_ops",),
    ("_tensor",),
]


def layer_of(module: str) -> int:
    """The layer of a dotted module name inside the package."""
    first = module.split(".")[0]
    return next((k for k, names in enumerate(LAYERS) if first in names), len(LAYERS))


def module_level_imports(path: Path) -> set[str]:
    """Modules of this package that a file imports when it is loaded."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = parts[:-1]
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                names = [*base, *(node.module.split(".") if node.module else [])]
                found.add(".".join(names) if names else ".".join(a.name for a in node.names))
            elif node.module and node.module.startswith("torchish."):
                found.add(node.module.removeprefix("torchish."))
    return {f for f in found if f}


def test_imports_go_downward_only() -> None:
    wrong = []
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 100
    for path in files:
        own = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        wrong += [
            f"{path.relative_to(ROOT)} imports {name}"
            for name in module_level_imports(path)
            if layer_of(name) > own
        ]
    assert not wrong


def test_the_engine_never_imports_operators_at_all() -> None:
    engine = {name for names in LAYERS[:5] for name in names}
    wrong = []
    for path in sorted(file for name in engine for file in (ROOT / name).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level >= 2:
                names = [node.module] if node.module else [a.name for a in node.names]
                wrong += [
                    f"{path.parent.name}/{path.name}: from ..{name}"
                    for name in names
                    if name.split(".")[0] not in engine
                ]
    assert not wrong
