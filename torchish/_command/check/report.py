"""Find the files, print what was found, choose the exit code."""

from __future__ import annotations

import importlib.util
import os
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence

from .scan import Finding, Severity, scan

_PASSED_OVER = frozenset(("__pycache__", "node_modules", "site-packages", "build", "dist"))


def check(paths: Sequence[str]) -> int:
    """Print the findings of scripts, folders or packages; 1 if a run of them could fail, 2 for a
    path that is not there."""
    try:
        found, files, uses = scan_paths(paths)
    except FileNotFoundError as error:
        print(f"torchish: no such file, folder or package: {error}", file=sys.stderr)
        return 2
    for finding in found:
        print(finding)
    count = Counter(f.severity for f in found)
    kinds = ", ".join(f"{count[s]} {s.name.lower()}" for s in Severity if count[s])
    print(f"{files} file{'s' * (files != 1)}, {uses} uses of torch: {kinds or 'all are here'}")
    return int(any(f.severity < Severity.NOTE for f in found))


def scan_paths(paths: Sequence[str]) -> tuple[list[Finding], int, int]:
    """The findings, worst first; how many files were read; how many uses of torch they have.

    Raises: FileNotFoundError.
    """
    found: list[Finding] = []
    files = uses = 0
    for path in paths:
        for file in _files(path):
            with tokenize.open(file) as opened:
                more, count = scan(opened.read(), file)
            found += more
            files += 1
            uses += count
    return sorted(found), files, uses


def _files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
        return
    folder = path if os.path.isdir(path) else _package(path)
    if folder is None:
        raise FileNotFoundError(path)
    if os.path.isfile(folder):
        yield folder
        return
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not _is_foreign(where, f))
        yield from (os.path.join(where, n) for n in sorted(names) if n.endswith(".py"))


def _is_foreign(where: str, folder: str) -> bool:
    """Whether a folder holds no source of the program's own."""
    if folder in _PASSED_OVER or folder.startswith("."):
        return True
    return os.path.exists(os.path.join(where, folder, "pyvenv.cfg"))


def _package(name: str) -> str | None:
    """Where the installed package `name` lies; it is not imported."""
    if not name.isidentifier():
        return None
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    return next(iter(spec.submodule_search_locations or ()), spec.origin)
