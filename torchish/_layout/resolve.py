"""Where here the names of PyTorch's modules live."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .._basics.errors import MissingName, absent
from .areas import nearest
from .own import own_attribute
from .placeholders import Refused, refused
from .table import Origin, above, entry, is_module, ours, own_name, theirs


class TableMiss(Exception):
    """A name that is not to be had; `error` is what to raise (None: the usual AttributeError)."""

    def __init__(self, error: AttributeError | None = None) -> None:
        self.error = error


def _places(origin: Origin) -> Iterator[Origin]:
    """The paths that PyTorch knows an object by: where it is defined, then packages above."""
    yield origin
    if origin[0] in MOVED:
        yield MOVED[origin[0]], origin[1]
    for package in (*above(origin[0]), "torch.nn", "torch.autograd"):
        found = entry(package)
        for name, where in found.names.items() if found else ():
            if where == origin:
                yield package, name


def resolve(module: str, name: str) -> Any:
    """Our object for what PyTorch's `module` has under `name`.

    Raises: TableMiss if torchish lacks it.
    """
    found = entry(module)
    origin = found.names.get(name) if found else None
    if origin is None:
        raise TableMiss
    for place, there in _places(origin):
        try:
            ours_there = importlib.import_module(ours(place))
        except ImportError:
            continue
        try:
            value = own_attribute(ours_there, there)
        except AttributeError:
            continue
        if not isinstance(value, ModuleType):
            return value
    raise TableMiss


# Modules whose contents are elsewhere here, beside the packages above them.
MOVED = {"torch._ops": "torch.library.packets"}

# Where programs ask whether a name is there, to do without it: an absent one is absent there.
PROBED = frozenset(("torch", "torch.nn.functional", "torch.linalg", "torch.special", "torch.fft"))


def attribute(module: ModuleType, name: str) -> Any:
    """A name that the file of one of our modules lacks: a submodule, an object from elsewhere, or
    the placeholder of what torchish lacks.

    Raises: TableMiss.
    """
    own = own_name(module)
    path = theirs(own)
    if is_module(f"{path}.{name}"):
        return importlib.import_module(f"{own}.{name}")
    found = entry(path)
    if found is None or name not in found.names:
        raise TableMiss
    try:
        value = resolve(path, name)
    except TableMiss:
        probed = path in PROBED or path.startswith("torch.backends")
        if not probed or name[0].isupper():  # classes are named in annotations and isinstance
            value = refused(path, name)
            setattr(module, name, value)
            return value
        text = absent(f"{path}.{name}", nearest(f"{path}.{name}"))
        raise TableMiss(MissingName(f"module {path!r} has no attribute {name!r}. {text}")) from None
    setattr(module, name, value)
    return value


def status(module: str, name: str) -> str:
    """ "present", "refused" (a use of it raises) or "absent", for what PyTorch's `module` has.

    >>> status("torch.optim", "Adam")
    'present'
    """
    try:
        value = getattr(importlib.import_module(ours(module)), name)
    except NotImplementedError:
        return "refused"
    except (AttributeError, ImportError):
        return "absent"
    return "refused" if isinstance(value, Refused) else "present"
