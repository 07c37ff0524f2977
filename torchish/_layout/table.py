"""What `modules.txt` says.

Invariant: imports nothing of torchish, since it is asked while torchish is being imported.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

PACKAGE = "torchish"

Origin = tuple[str, str]

# Modules that torch enters in `sys.modules` under a second path, where it has no file.
SECOND_NAMES = {
    f"torch.distributed._tensor.{name}": f"torch.distributed.tensor.{name}"
    for name in ("_shards_wrapper", "_utils", "device_mesh", "experimental")
}


# Packages that stand under a second path with all that is in them.
SECOND_PACKAGES = {
    "torch.distributed._shard.checkpoint.": "torch.distributed.checkpoint.",
    "torch.distributed._sharded_tensor.": "torch.distributed._shard.sharded_tensor.",
    "torch.distributed._sharding_spec.": "torch.distributed._shard.sharding_spec.",
}


def first_name(module: str) -> str:
    """The path that a module's file has."""
    for second, first in SECOND_PACKAGES.items():
        if module.startswith(second):
            return first + module[len(second) :]
    return SECOND_NAMES.get(module, module)


@dataclass(frozen=True)
class Entry:
    """One of PyTorch's modules."""

    name: str
    loaded: bool  # by `import torch`
    package: bool
    unlisted: bool  # its names are not known: any may be there
    names: dict[str, Origin]


@functools.cache
def lines() -> dict[str, str]:
    """The line of each module."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "modules.txt")
    with open(path, encoding="ascii") as file:
        next(file)
        return {line[: line.index("\t")]: line.rstrip("\n") for line in file}


@functools.cache
def entry(module: str) -> Entry | None:
    """What is known of a module; None if PyTorch has no such module."""
    line = lines().get(first_name(module))
    if line is None:
        return None
    name, flags, *rest = line.split("\t")
    names: dict[str, Origin] = {}
    for own in rest[0].split(",") if rest and rest[0] else ():
        names[own] = (name, own)
    for part in rest[1:]:
        home, _, listed = part.partition(":")
        for item in listed.split(","):
            mine, _, original = item.partition("=")
            names[mine] = (home, original or mine)
    return Entry(name, "L" in flags, "P" in flags, "A" in flags, names)


def is_module(path: str) -> bool:
    """Whether PyTorch has a module of that path."""
    return first_name(path) in lines()


def ours(module: str) -> str:
    """`torch.x` -> `torchish.x`; a module of Python's library is the same one."""
    return PACKAGE + module.removeprefix("torch") if is_torchs(module) else module


def is_torchs(module: str) -> bool:
    """Whether it is PyTorch's, rather than of Python's library."""
    return module == "torch" or module.startswith("torch.")


def theirs(module: str) -> str:
    """`torchish.x` -> `torch.x`."""
    return "torch" + module.removeprefix(PACKAGE)


def own_name(module: ModuleType) -> str:
    """The name of a module here; the package calls itself torch while it stands in for it."""
    return PACKAGE if module.__name__ == "torch" else module.__name__


def above(module: str) -> Iterator[str]:
    """The packages that a module is in, the nearest first."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


@functools.cache
def torch_home(module: str, qualname: str) -> str | None:
    """PyTorch's module of a class that is defined in our `module`; None if PyTorch has none."""
    path, first = theirs(module), qualname.partition(".")[0]
    for place in (path, *above(path)):
        found = entry(place)
        origin = found.names.get(first) if found else None
        if origin is not None and origin[1] == first and is_torchs(origin[0]):
            return origin[0]
    if first.startswith("_"):
        return None
    package = next((p for p in above(path) if p in lines()), "torch")
    for beside in lines():
        if beside.rpartition(".")[0] == package:
            found = entry(beside)
            if found is not None and found.names.get(first) == (beside, first):
                return beside
    return None
