"""Let `import torch` and `import torchvision` find torchish.

Invariants: an alias is the same module object as the torchish module it stands for; nothing is
imported before it is asked for; this file imports nothing of torchish, since
`_site/sitecustomize.py` runs it at the start of every child process.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from types import CodeType, ModuleType
from typing import Any

PACKAGES = {"torch": "torchish", "torchvision": "torchish.vision"}
VERSIONS = {"torch": "2.13.0+torchish", "torchvision": "0.28.0+torchish"}
SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_site")


class _Loader(importlib.abc.Loader):
    """Loads an alias by importing what it stands for."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.own_spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.target)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The module has run already. The import system has just given it the alias's spec, with
        # which its relative imports would warn.
        module.__spec__ = self.own_spec

    def get_code(self, fullname: str) -> CodeType | None:
        """What `-m torch.distributed.run` executes: the code of the module that it stands for."""
        spec = importlib.util.find_spec(self.target)
        found = getattr(None if spec is None else spec.loader, "get_code", None)
        return None if found is None else found(self.target)


def _find(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:  # of a parent
        return None


class _Distribution(importlib.metadata.Distribution):
    """What `importlib.metadata.version("torch")` should see."""

    def __init__(self, name: str) -> None:
        self.alias = name

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: {self.alias}\nVersion: {VERSIONS[self.alias]}\n"

    def locate_file(self, path: str | os.PathLike[str]) -> Any:
        raise FileNotFoundError(f"{self.alias} is provided by torchish and has no files")


class AliasFinder(importlib.metadata.DistributionFinder):
    """Finds `torch.x.y` as `torchish.x.y` and `torchvision.x` as `torchish.vision.x`."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        root, dot, rest = fullname.partition(".")
        if root not in PACKAGES:
            return None
        real = PACKAGES[root] + dot + rest
        found = sys.modules.get(real) or _find(real)
        if found is None:
            raise ModuleNotFoundError(
                f"No module named {fullname!r} (torchish has no {real})", name=fullname
            )
        if isinstance(found, ModuleType):
            origin, folders = getattr(found, "__file__", None), getattr(found, "__path__", None)
        else:
            origin, folders = found.origin, found.submodule_search_locations
        spec = importlib.machinery.ModuleSpec(fullname, _Loader(real), origin=origin)
        spec.submodule_search_locations = None if folders is None else list(folders)
        return spec

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context | None = None
    ) -> Iterable[importlib.metadata.Distribution]:
        wanted = getattr(context, "name", None)
        return [_Distribution(name) for name in VERSIONS if wanted is None or wanted == name]


def install() -> None:
    """Put the finder in front of all others; a second call changes nothing.

    Raises: RuntimeError if the real torch or torchvision is imported already.
    """
    for name, real in PACKAGES.items():
        module = sys.modules.get(name)
        if module is not None and module is not sys.modules.get(real):
            where = getattr(module, "__file__", None) or "an unknown place"
            raise RuntimeError(
                f"torchish cannot stand in for {name}: {where} is imported already. "
                "Start the program with `python -m torchish` instead."
            )
    if not any(type(finder).__name__ == AliasFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, AliasFinder())
        finder = sys.modules.get("torchish._layout.finder")
        if finder is not None:
            finder.rename_all()


def install_in_children() -> None:
    """Make Python processes that this one starts find the aliases too, through PYTHONPATH."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if SITE not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([SITE, *filter(None, paths)])
