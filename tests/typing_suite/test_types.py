"""What type checkers make of users' code: `snippets.py` says it line by line.

mypy runs here, over all snippets at once; pyright's engine runs where basedpyright is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = Path(__file__).with_name("snippets.py")
LINES = SNIPPETS.read_text().splitlines()
REVEALED = {n: m[1] for n, line in enumerate(LINES, 1) if (m := re.search(r"  # is (.*)$", line))}
WRONG = {n for n, line in enumerate(LINES, 1) if line.endswith("  # wrong")}

pytestmark = pytest.mark.slow


def plain(name: str) -> str:
    """A type as the marks write it: no modules, no quotes, no marks of the checkers' own."""
    name = re.sub(r"\b(?:\w+\.)+(\w)", r"\1", name).replace("*", "").replace("?", "")
    return name.replace("int | float | bool", "int | float")  # one checker folds bool into int


def compare(found: dict[int, str], refused: set[int]) -> None:
    """Revealed types and refused lines against the marks, all differences at once."""
    differences = [
        f"{n}: {LINES[n - 1].strip()}  -> {plain(found.get(n, 'nothing'))}"
        for n, expected in REVEALED.items()
        if plain(found.get(n, "nothing")) != expected
    ]
    differences += [f"{n}: passed: {LINES[n - 1]}" for n in sorted(WRONG - refused)]
    differences += [f"{n}: refused: {LINES[n - 1]}" for n in sorted(refused - WRONG)]
    assert not differences, "\n".join(differences)


def test_there_are_sixty() -> None:
    assert len(REVEALED) + len(WRONG) >= 60


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is of the dev extra")
def test_mypy(tmp_path: Path) -> None:
    """In a process of its own: what mypy knows of the package is millions of objects, which stay,
    and which each look for garbage would go through for three seconds."""
    options = ["--strict", "--follow-imports=silent", "--config-file=", "--no-pretty"]
    copy = tmp_path / "snippets.py"  # outside of the package's tree, as a user's file is
    copy.write_text(SNIPPETS.read_text())
    command = [sys.executable, "-m", "mypy", *options, f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run(
        [*command, str(copy)], env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert not done.stderr
    found = re.findall(r'snippets\.py:(\d+): note: Revealed type is "(.*)"$', done.stdout, re.M)
    refused = {int(n) for n in re.findall(r"snippets\.py:(\d+): error:", done.stdout)}
    compare({int(n): kind for n, kind in found}, refused)


@pytest.mark.skipif(
    importlib.util.find_spec("basedpyright") is None, reason="basedpyright is not installed"
)
def test_pyright(tmp_path: Path) -> None:
    (tmp_path / "snippets.py").write_text(SNIPPETS.read_text())
    settings = {"typeCheckingMode": "standard", "extraPaths": [str(ROOT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    found: dict[int, str] = {}
    refused: set[int] = set()
    for said in json.loads(done.stdout)["generalDiagnostics"]:
        line = said["range"]["start"]["line"] + 1
        revealed = re.fullmatch(r'Type of ".*" is "(.*)"', said["message"], re.S)
        if revealed:
            found[line] = revealed[1]
        elif said["severity"] == "error":
            refused.add(line)
    compare(found, refused)
