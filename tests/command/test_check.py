"""`torchish --check`: exactly what is planted is found, at its line and with its severity."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.programs import ROOT, run
from torchish._command.check import scan_paths

PLANTED = Path(__file__).parent / "planted"
PROGRAMS = ["training.py", "careful.py", "pack"]
MARK = re.compile(r"# (stops|raises|note) ([\w.]+)")


def marked(path):
    """(file, line, severity, name) of each mark in a script or package."""
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return {
        (str(file), number, kind, name)
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), 1)
        for kind, name in MARK.findall(line)
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_exactly_the_planted_names_are_found(name):
    found, files, uses = scan_paths([str(PLANTED / name)])
    assert {(f.file, f.line, f.severity.name.lower(), f.name) for f in found} == marked(
        PLANTED / name
    )
    assert files == (2 if name == "pack" else 1)
    assert uses > len(found)
    assert found == sorted(found)  # the worst first


def test_the_command(tmp_path):
    done = run("--check", PLANTED / "training.py", PLANTED / "pack", ok=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and not done.stderr
    kinds = [line.split(": ")[1] for line in lines[:-1]]
    assert kinds == sorted(kinds, key=["stops", "raises", "note"].index)
    assert re.fullmatch(r"3 files, \d+ uses of torch: \d+ stops, \d+ raises, \d+ note", lines[-1])
    quant = next(line for line in lines if "QuantStub" in line)
    assert "training.py:21:22: raises: torch.ao.quantization.QuantStub: " in quant
    assert "Nearest: modules of float32 or bfloat16" in quant and "--check" not in quant

    good = tmp_path / "good.py"
    good.write_text("import torch\nprint(torch.ones(2).sum())\nraise SystemExit('it was run')\n")
    done = run("--check", good)  # exit code 0
    assert done.stdout == "1 file, 3 uses of torch: all are here\n"
    done = run("--check", tmp_path / "absent.py", ok=False)
    assert done.returncode == 2 and "no such file, folder or package" in done.stderr


def test_an_installed_package_is_found_by_its_name_and_not_imported(tmp_path):
    package = tmp_path / "planted_package"
    package.mkdir()
    (package / "__init__.py").write_text("import torch\ntorch.no_such_name\nraise SystemExit(3)\n")
    (package / "broken.py").write_text("def f(:\n")
    code = (
        "import sys; sys.argv = ['torchish', '--check', 'planted_package']\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from torchish.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert "broken.py:1:7: stops: : not valid Python: invalid syntax" in done.stdout
    assert "__init__.py:2:7: raises: torch.no_such_name: torchish has no name" in done.stdout


def test_our_own_programs_use_nothing_absent():
    found, _, uses = scan_paths([str(ROOT / folder) for folder in ("examples", "benchmarks")])
    assert uses > 200
    assert not [str(f) for f in found if f.severity < 2]
