"""Write torchish/_layout/modules.txt: the modules of PyTorch's Python package and their names.

    python tools/torch_layout.py            write the file
    python tools/torch_layout.py --check    fail if the file is not what would be written

The sources of the installed PyTorch (the `test` extra pins its version) are parsed, not imported:
half of its modules need packages or hardware of their own. One line a module, tabs between fields:

    module   flags   names it defines   origin:names ...

Flags: L if `import torch` loads it, P if it is a package, A if its names are not listed (any name
may be there); `origin` is the module, of PyTorch or of Python's library, that defines what this one
imports from elsewhere (`from torch.jit.annotations import List`).
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import torch

TARGET = Path(__file__).resolve().parents[1] / "torchish" / "_layout" / "modules.txt"
PACKAGE = Path(torch.__file__).parent
# Parts of which not even names are kept: a module there refuses any name.
UNNAMED = tuple(
    f"torch.{name}" for name in (
        "_inductor.", "testing._internal.", "_vendor", "_dynamo.", "_refs.", "_decomp.",
        "_meta_registrations", "_prims", "_functorch._", "_export.", "_native.", "_C._te.",
        "_C._jit_tree", "onnx._internal.", "ao.quantization.", "ao.ns", "_numpy.", "_lazy.",
        "_higher_order_ops.", "_subclasses.", "utils._sympy.", "_strobelight", "utils.benchmark.ex",
        "_C._dynamo", "package.", "distributed.tensor._ops.", "distributed.pipelining._",
    )
)  # fmt: skip
# Parts that nobody's program imports names of, but for a few public ones.
INNER = tuple(
    f"torch.{name}" for name in (
        "_inductor", "_dynamo.", "testing._internal", "_vendor", "_export", "_functorch", "_refs",
        "_native", "_decomp", "_prims", "_lazy", "_higher_order_ops", "_subclasses", "_numpy",
        "ao.", "onnx.", "fx.", "package.", "export.", "distributed.", "quantization.",
        "_C._te", "_C._jit_tree", "_C._dynamo", "_strobelight", "utils.benchmark.", "utils._sympy",
        "utils.model_dump", "utils._strobelight", "_library", "_custom_op", "_dispatch",
    )
)  # fmt: skip
# What PyTorch's modules import names from beside its own.
PYTHONS = sys.stdlib_module_names - {"__future__"} | {"typing_extensions"}
# What a name of a module is: where it was defined, and as what.
Origin = tuple[str, str]


def paths() -> dict[str, Path]:
    """The file of each module."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["torch", *path.relative_to(PACKAGE).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        if all(part.isidentifier() for part in parts) and parts[-1] != "__main__":
            found[".".join(parts)] = path
    return found


PATHS = paths()


def is_package(module: str) -> bool:
    """Whether a module has submodules."""
    return PATHS[module].name == "__init__.py"


def is_typing_only(node: ast.If) -> bool:
    """Whether a block is there for type checkers."""
    return "TYPE_CHECKING" in ast.unparse(node.test)


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported."""
    for node in body:
        if isinstance(node, ast.If):
            if not is_typing_only(node):
                yield from statements(node.body)
            yield from statements(node.orelse)
        elif isinstance(node, ast.Try):
            for part in (node.body, node.orelse, node.finalbody, *(h.body for h in node.handlers)):
                yield from statements(part)
        elif isinstance(node, ast.With):
            yield from statements(node.body)
        else:
            yield node


def targets(node: ast.stmt) -> Iterator[str]:
    """Names that a definition or assignment binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id


def absolute(module: str, node: ast.ImportFrom) -> str:
    """The module that `from X import ...` names."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    keep = len(parts) - node.level + is_package(module)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


class Names:
    """The names of every module, each with its origin."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Origin]] = {}
        self.listed: dict[str, list[str]] = {}

    def of(self, module: str) -> dict[str, Origin]:
        """Name -> origin for one module; a module being read gives what is known so far."""
        if module in self.found:
            return self.found[module]
        names = self.found[module] = {}
        try:
            body = ast.parse(PATHS[module].read_text()).body
        except SyntaxError:  # written for a later Python: names unknown, as nobody here imports it
            return names
        for node in statements(body):
            if isinstance(node, ast.ImportFrom):
                self.take(names, module, node)
            for name in targets(node):
                names[name] = (module, name)
                if name == "__all__" and isinstance(getattr(node, "value", None), ast.List):
                    self.listed[module] = [
                        e.value for e in node.value.elts if isinstance(e, ast.Constant)
                    ]
        return names

    def take(self, names: dict[str, Origin], module: str, node: ast.ImportFrom) -> None:
        """What `from X import ...` adds."""
        source = absolute(module, node)
        if source not in PATHS:
            if source.split(".")[0] in PYTHONS:
                there = importlib.import_module(source)
                for a in node.names:
                    listed = there.__all__ if a.name == "*" else (a.name,)
                    names.update({a.asname or n: (source, n) for n in listed})
            if source.split(".")[0] == "torch":  # of the compiled part
                names.update({a.asname or a.name: (source, a.name) for a in node.names
                              if a.name != "*"})  # fmt: skip
            if source not in ("torch._C", "torch._C._VariableFunctions"):  # see `compiled`
                star = any(a.name == "*" for a in node.names)
                inner = star and source.split(".")[0] == "torch" and source in sys.modules
                stars = vars(sys.modules[source]) if inner else ()
                names.update({n: (source, n) for n in stars if not n.startswith("_")})
            return
        theirs = self.of(source)
        for alias in node.names:
            if alias.name == "*":
                public = [n for n in theirs if not n.startswith("_")]
                names.update({n: theirs[n] for n in self.listed.get(source, public)
                              if n in theirs})  # fmt: skip
            elif f"{source}.{alias.name}" in PATHS and alias.name not in theirs:
                continue  # a module
            else:
                known = theirs.get(alias.name, (source, alias.name))
                names[alias.asname or alias.name] = known


def compiled(names: Names) -> None:
    """Add what C++ defines: the contents of `torch._C`, and torch's names that come from there."""
    own = names.found["torch._C"] = {}
    for name, value in inspect.getmembers(torch._C):
        if not name.startswith("__") and not isinstance(value, ModuleType):
            home = getattr(value, "__module__", None)
            own[name] = ("torch" if home == "torch" else "torch._C", name)
    for name, value in vars(torch).items():
        if name.startswith("__") or isinstance(value, ModuleType):
            continue
        if name not in names.of("torch"):
            is_same = getattr(torch._C, name, None) is value and name in own
            names.of("torch")[name] = own[name] if is_same else ("torch", name)


def renamed(names: Names) -> None:
    """Let classes count as defined where their `__module__` says, as printing and pickling do."""
    for module, found in names.found.items():
        loaded = sys.modules.get(module)
        for name, (home, own) in list(found.items()):
            value = getattr(loaded, name, None)
            if not isinstance(value, type) or home == value.__module__:
                continue
            place = sys.modules.get(value.__module__)
            if value.__module__ in names.found and getattr(place, own, None) is value:
                found[name] = (value.__module__, own)
                names.found[value.__module__].setdefault(own, (value.__module__, own))


def is_inner(module: str) -> bool:
    """Whether only a module's public names are listed: PyTorch's compilers, and its own tests."""
    return module.startswith(INNER)


def line(module: str, names: dict[str, Origin]) -> str:
    """The line of one module."""
    own, others = [], {}
    path = PATHS.get(module)
    package = path is None or path.name == "__init__.py"
    inner = is_inner(module)
    if module.startswith(UNNAMED):
        return f"{module}\t{'L' * (module in LOADED)}{'P' * package}A"
    for name, (home, original) in sorted(names.items()):
        if name.startswith("__") or not name.isidentifier():
            continue
        if not package and home != module and (inner or home.startswith("torch._C")):
            continue
        if (home, original) == (module, name):
            own.append(name)
        else:
            text = name if name == original else f"{name}={original}"
            others.setdefault(home, []).append(text)
    flags = "L" * (module in LOADED) + "P" * package
    rest = [f"{home}:{','.join(found)}" for home, found in sorted(others.items())]
    return "\t".join([module, flags, ",".join(own), *rest])


LOADED = frozenset(name for name in sys.modules if name.split(".")[0] == "torch")


def render() -> str:
    """The whole file."""
    names = Names()
    for module in PATHS:
        names.of(module)
    compiled(names)
    for module in sorted(LOADED - names.found.keys()):  # made in C++, or at run time
        names.found[module] = {
            n: (module, n) for n in sorted(vars(sys.modules[module])) if not n.startswith("__")
        } if module.startswith("torch._C") else {}  # fmt: skip
    renamed(names)
    version = torch.__version__.split("+")[0]
    lines = [f"# PyTorch {version}, written by tools/torch_layout.py"]
    skipped = ("torch.ops.", "torch.classes.")
    lines += [line(m, found) for m, found in sorted(names.found.items())
              if not m.startswith(skipped)]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Write the file, or check it."""
    text = render()
    if "--check" in arguments:
        if not TARGET.exists() or TARGET.read_text() != text:
            raise SystemExit("modules.txt is stale: run tools/torch_layout.py")
        return
    TARGET.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
