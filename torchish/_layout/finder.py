"""The import hook for `torchish.*`: modules without a file here, and what all modules get.

It stands before Python's own finders, so that a module with a file gets its fallback for absent
names, and PyTorch's module names on its classes when torchish stands in for torch.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from . import table
from .own import OWN
from .resolve import TableMiss, attribute
from .shells import Shell
from .table import own_name

PACKAGE = "torchish"
_standing_in: list[bool] = []


class _ShellLoader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Shell(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class LayoutFinder(importlib.abc.MetaPathFinder):
    """Finds `torchish.x.y`: its file, or else a shell if PyTorch has `torch.x.y`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(PACKAGE + ".") or fullname.startswith(__package__):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None:
            return shell_spec(fullname)
        loader = spec.loader
        if isinstance(loader, importlib.machinery.SourceFileLoader):
            run = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                # What is one file here may be a package there, whose submodules are shells.
                module.__dict__.setdefault("__path__", [])
                run(module)
                finish(module)

            loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def shell_spec(fullname: str) -> importlib.machinery.ModuleSpec | None:
    """The spec of a module that has no file here; None if PyTorch has none of that name."""
    entry = table.entry("torch" + fullname.removeprefix(PACKAGE))
    if entry is None:
        return None
    spec = importlib.machinery.ModuleSpec(fullname, _ShellLoader(), is_package=True)
    return spec


def finish(module: ModuleType) -> None:
    """Give a module its fallback for names that it lacks; rename its classes if torch's names
    are in use."""
    space = module.__dict__
    own = space.get("__getattr__")
    space[OWN] = own
    space["__getattr__"] = _fallback(module, own)
    if _stands_in():
        rename(module)


def _fallback(module: ModuleType, own: Callable[[str], Any] | None) -> Callable[[str], Any]:
    def __getattr__(name: str) -> Any:
        error: AttributeError | None = None
        if own is not None:
            try:
                return own(name)
            except AttributeError as raised:
                if isinstance(raised, NotImplementedError):
                    raise  # refused by name
                error = raised
        if name == "torch":  # most of PyTorch's modules import it: `functional.torch`
            return sys.modules[PACKAGE]
        if not name.startswith("__"):
            if _has_file(module, name):
                return importlib.import_module(f"{own_name(module)}.{name}")
            try:
                return attribute(module, name)
            except TableMiss as miss:
                error = error or miss.error
        raise error or AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    return __getattr__


def _has_file(package: ModuleType, name: str) -> bool:
    """Whether a submodule has a file here: asked before the table is read."""
    path = package.__dict__.get("__path__")
    full = f"{own_name(package)}.{name}"
    return bool(path) and importlib.machinery.PathFinder.find_spec(full, path) is not None


def _stands_in() -> bool:
    """Whether `import torch` finds this package in this process."""
    if not _standing_in and any(type(f).__name__ == "AliasFinder" for f in sys.meta_path):
        _standing_in.append(True)
    return bool(_standing_in)


def rename(module: ModuleType) -> None:
    """Let the module's classes print and pickle under PyTorch's module names; the package itself
    is called torch."""
    name = own_name(module)
    if name == PACKAGE:
        module.__name__ = "torch"  # what programs compare with that name
    for value in list(module.__dict__.values()):
        if isinstance(value, type) and value.__module__ == name:
            home = table.torch_home(name, value.__qualname__)
            if home is not None:
                value.__module__ = home
                if home == "torch" + name.removeprefix(PACKAGE):
                    sys.modules.setdefault(home, module)


def rename_all() -> None:
    """What `rename` does, for every module that is loaded already."""
    for name, module in list(sys.modules.items()):
        if (name + ".").startswith(PACKAGE + ".") and own_name(module) == name:
            rename(module)


def install() -> None:
    """Put the finder in front of all others, once."""
    if not any(isinstance(finder, LayoutFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, LayoutFinder())
