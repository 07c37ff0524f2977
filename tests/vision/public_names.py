"""The public names of torchvision and their signatures, as plain data.

Run it where torchvision is importable to write `torchvision_names.json` anew:

    python -m tests.vision.public_names

`tests/vision/test_public_names.py` compares torchish with that table, and the table with
torchvision itself where that is installed.
"""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

TABLE = Path(__file__).with_name("torchvision_names.json")
# The package itself, then its parts.
PACKAGES = ("", "transforms", "tv_tensors", "datasets", "io", "utils", "ops", "models")


def _shown(default: Any) -> str:
    """A default value as text that does not depend on the package it comes from."""
    if isinstance(default, functools.partial):
        options = ", ".join(f"{name}={_shown(value)}" for name, value in default.keywords.items())
        return f"{_shown(default.func)}({options})"
    if isinstance(default, enum.Enum):
        return f"{type(default).__name__}.{default.name}"
    if inspect.isclass(default) or inspect.isroutine(default):
        return str(getattr(default, "__qualname__", default))
    if isinstance(default, (tuple, list)):
        inside = ", ".join(_shown(item) for item in default)
        return f"({inside})" if isinstance(default, tuple) else f"[{inside}]"
    return repr(default)


def signature(thing: Any) -> list[str] | None:
    """Parameters as text, None where Python knows none."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    shown = []
    for p in parameters:
        text = stars.get(p.kind, "") + p.name
        if p.kind is inspect.Parameter.KEYWORD_ONLY:
            text = f"[kw] {text}"
        if p.default is not inspect.Parameter.empty:
            text += f"={_shown(p.default)}"
        shown.append(text)
    return shown


def _methods(cls: type, own: str) -> dict[str, Any]:
    """Public methods that the package itself defines."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith(own):
            continue
        for name, value in vars(base).items():
            if name.startswith("_") or isinstance(value, property):
                continue
            if inspect.isroutine(value) or isinstance(value, (staticmethod, classmethod)):
                found[name] = signature(getattr(cls, name))
    return dict(sorted(found.items()))


def describe(thing: Any, own: str) -> dict[str, Any] | None:
    """A class or a function of the package `own`; None for anything else."""
    if inspect.isclass(thing):
        if not thing.__module__.startswith(own):
            return None
        if issubclass(thing, enum.Enum):
            return {"kind": "enum", "members": sorted(thing.__members__)}
        return {"kind": "class", "signature": signature(thing), "methods": _methods(thing, own)}
    if inspect.isroutine(thing) and (thing.__module__ or "").startswith(own):
        return {"kind": "function", "signature": signature(thing)}
    return None


def load(package: str, name: str) -> ModuleType:
    """A module by its name below the package; the package itself has none."""
    return importlib.import_module(f"{package}.{name}" if name else package)


def modules(package: ModuleType) -> list[str]:
    """Dotted names, below the root package, of a package and its public submodules."""
    names = [package.__name__]
    if "." not in package.__name__:
        return [""]
    for info in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
        if not any(part.startswith("_") for part in info.name.split(".")[1:]):
            names.append(info.name)
    return [name.partition(".")[2] for name in sorted(names)]


def table() -> dict[str, Any]:
    """Everything public in the installed torchvision: names of each module, and what they are.

    A thing that several modules show is described once, under the place where it is defined.
    """
    names: dict[str, dict[str, str]] = {}
    things: dict[str, Any] = {}
    for part in PACKAGES:
        for name in modules(load("torchvision", part)):
            try:
                module = load("torchvision", name)
            except ModuleNotFoundError:  # `io.video` needs a package that is not public
                continue
            names[name] = {}
            for key, value in sorted(vars(module).items()):
                found = None if key.startswith("_") else describe(value, "torchvision")
                # What a module imports for its own use is no part of it; what a package shows is.
                is_own = getattr(value, "__module__", None) == module.__name__
                if found is not None and (is_own or hasattr(module, "__path__")):
                    place = f"{value.__module__.partition('.')[2]}:{value.__qualname__}"
                    names[name][key] = place
                    things[place] = found
    return {"names": names, "things": things}


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(), separators=(",", ":"), sort_keys=True) + "\n")
