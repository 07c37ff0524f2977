"""What tracing a kernel found, kept on disk: avals of its results, its recipe, what its gradient
saves. A second run of a script then traces nothing that it does not compile.

Invariants: an entry is found by all that it depends on (the kernel's identity: operator, static
arguments, avals; versions; the package's own source files). What cannot be named in words, or
pickled, is traced anew in each process. Nothing here changes a result: the recipe is the one that
tracing would give.
"""

from __future__ import annotations

import atexit
import dataclasses
import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._basics.disk import Folder
from .._basics.dtypes import dtype
from .._basics.forking import in_child, new_lock
from .._basics.settings import settings
from .._basics.state import process
from .._interpret.recipe import Recipe
from .values import Aval

LIMIT = 64 << 20  # bytes of the folder
BATCH = 64  # entries that are written together
_MODULES = ("numpy", "ml_dtypes", "jax", "torchish", "builtins", "jaxlib")


class Entry(NamedTuple):
    """What is kept of a kernel."""

    out_avals: tuple[tuple[tuple[int, ...], str], ...]
    saved: tuple[int, ...] | None  # of a gradient: which inputs it needs
    recipe: Any


class _NoName(Exception):
    """Something that has no name in words."""


def identity(*parts: Any) -> str | None:
    """The name of a kernel, from all that its function depends on; None if something has none."""
    if _folder() is None:
        return None
    try:
        text = "\n".join([process.default_dtype.name, *map(_named, parts)])
    except _NoName:
        return None
    return hashlib.blake2b((_stamp() + text).encode(), digest_size=16).hexdigest()


def _named(x: Any) -> str:
    kind = type(x)
    if x is None or x is ... or kind in (bool, int, float, complex, str, bytes, slice):
        return repr(x)
    if kind is Aval or kind is dtype:
        return repr(x)
    if isinstance(x, tuple | list):
        return f"({','.join(map(_named, x))})"
    if isinstance(x, type):
        return f"{x.__module__}.{x.__qualname__}"
    if dataclasses.is_dataclass(x):
        fields = [_named(getattr(x, f.name)) for f in dataclasses.fields(x)]
        return f"{kind.__name__}({','.join(fields)})"
    if isinstance(x, np.dtype):
        return str(x)
    raise _NoName


def find(name: str | None) -> Entry | None:
    """What is kept under a name."""
    folder = _folder()
    if name is None or folder is None:
        return None
    contents = folder.get(name)
    if contents is None:
        return None
    try:
        found = _Unpickler(io.BytesIO(contents)).load()
    except Exception:  # whatever an old or foreign file makes of unpickling: it is no entry
        return None
    return found if isinstance(found, Entry) else None


def keep(name: str | None, out_avals: tuple[Aval, ...], saved: Any, recipe: Any) -> None:
    """Note what was found out about a kernel; it is written soon."""
    if name is None or recipe is None or process.interpret_only:
        return
    avals = tuple((tuple(a.shape), a.dtype.name) for a in out_avals)
    with _lock:
        _waiting.append((name, Entry(avals, saved, recipe)))
        due = len(_waiting) >= BATCH
    if due:
        write()


def write() -> None:
    """Write what waits."""
    folder = _folder()
    with _lock:
        entries, _waiting[:] = list(_waiting), []
    if folder is None or process.interpret_only:
        return
    for name, entry in entries:
        contents = io.BytesIO()
        try:
            _Pickler(contents, protocol=5).dump(entry)
        except (pickle.PicklingError, AttributeError, TypeError):
            continue  # holds something of JAX's that is not data
        folder.put(name, contents.getvalue())


_lock = new_lock()
_waiting: list[tuple[str, Entry]] = []
_found: list[Any] = []  # the folder and the stamp, once known


def _folder() -> Folder | None:
    if not _found:
        path = settings.cache_folder
        _found.append(None if path is None else Folder(os.path.join(path, "plans"), LIMIT))
    return _found[0]  # type: ignore[no-any-return]


def _stamp() -> str:
    """Versions, settings, and when each source file of the package was last changed."""
    if len(_found) == 1:
        import jax
        import jaxlib
        import scipy

        versions = [m.__version__ for m in (jax, jaxlib, np, scipy)]
        chosen = {k: v for k, v in vars(settings).items() if k != "cache_folder"}
        _found.append(repr((versions, chosen, sorted(_sources(Path(__file__).parents[1])))))
    return _found[1]  # type: ignore[no-any-return]


def _sources(folder: Path) -> list[tuple[str, int, int]]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                found += _sources(Path(entry.path))
            elif entry.name.endswith(".py"):
                status = entry.stat()
                found.append((entry.name, status.st_size, status.st_mtime_ns))
    return found


class _Pickler(pickle.Pickler):
    """Writes jaxprs inside of parameters as recipes; other things of JAX's if they are data."""

    def reducer_override(self, x: Any) -> Any:
        kind = type(x).__name__
        if kind == "ClosedJaxpr":
            return _same, (Recipe(x),)
        # A combination of elements is vectorised by JAX when its rule is made.
        if kind == "Jaxpr" or (kind == "Equation" and x.name == "reduce"):
            raise pickle.PicklingError
        return NotImplemented


def _same(x: Any) -> Any:
    return x


class _Unpickler(pickle.Unpickler):
    """Reads data of the packages that write it, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] not in _MODULES or (module == "builtins" and name not in _PLAIN):
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


_PLAIN = {"slice", "complex", "range", "frozenset", "set"}


@in_child
def _leave_to_parent() -> None:
    _waiting.clear()


atexit.register(write)
