"""What README and docs say is so: code prints what its comments say, links lead somewhere."""

import contextlib
import io
import re

import pytest

from tests.e2e.programs import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_code_runs(path):
    for code in BLOCK.findall(path.read_text()):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(path), "exec"), {"__name__": "example"})
        if EXPECTED.search(code):
            assert printed.getvalue().splitlines() == EXPECTED.findall(code)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_make_targets_exist(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("reference/"):  # made by tools/manual.py
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", text))
    assert named <= targets


def test_no_machine_paths_or_hosts():
    for path in [*DOCUMENTS, ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "pyproject.toml"]:
        assert not re.search(
            r"/(work|home|root|opt|tmp)/|https?://[^ )]*(pypi|index)", path.read_text()
        )
