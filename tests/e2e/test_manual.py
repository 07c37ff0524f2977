"""The manual's programs: files that its pages show are written, commands run, outputs compared.

A fence `python title="f.py"` is a file; `sh` is run where the files are (`sh fails`: exit code 1,
`sh skip`: not run, `sh jupyter`: where Jupyter is installed); the lines of `text` are in the output
of the command before it. Plain `python` blocks are run by test_documents.py.
"""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.programs import ROOT

PAGES = ["index", "moving", "devices", "checkpoints", "notebooks", "errors"]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
JUPYTER = importlib.util.find_spec("jupyter_client") and importlib.util.find_spec("ipykernel")


def commands(folder: Path) -> Path:
    """`torchish` and `python`, as an environment with the package installed has them."""
    for name, rest in (("torchish", "-m torchish "), ("python", "")):
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {rest}"$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, tmp_path: Path) -> None:
    found = os.pathsep.join([str(commands(tmp_path)), os.environ["PATH"]])
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PATH": found, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    printed = ""
    ran = 0
    for kind, marks, code in BLOCK.findall((ROOT / "docs" / f"{name}.md").read_text()):
        title = re.search(r'title="(.*?)"', marks)
        if kind == "python" and title:
            (tmp_path / title[1]).write_text(code)
        elif kind == "sh" and "skip" not in marks and (JUPYTER or "jupyter" not in marks):
            done = subprocess.run(
                ["sh", "-eu", "-c", code], cwd=tmp_path, env=environment, text=True,
                capture_output=True, timeout=300, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == (1 if "fails" in marks else 0), done.stdout + done.stderr
            printed = done.stdout
            ran += 1
        elif kind == "text":
            missing = [line for line in code.splitlines() if line not in printed.splitlines()]
            assert not missing, printed
    assert ran or not JUPYTER


def test_every_page_is_in_the_manual() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    listed = set(re.findall(r": (\w+\.md)$", text, re.MULTILINE))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")}
