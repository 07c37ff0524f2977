"""docs/parallel.md: every command and every Python block of the page is run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parallel.processes import ROOT, environment
from torchish.distributed.run import parse_args

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "parallel.md").read_text()
BLOCKS = re.findall(r"^```(\S+)( needs-hosts| 8-devices)?\n(.*?)^```$", PAGE, re.M | re.S)
COMMANDS = [text for kind, hosts, text in BLOCKS if kind == "sh" and not hosts]
FOR_HOSTS = [text for kind, hosts, text in BLOCKS if kind == "sh" and hosts]
PYTHON = [text for kind, where, text in BLOCKS if (kind, where) == ("python", " 8-devices")]


def test_the_page_has_no_other_blocks() -> None:
    assert PAGE.count("```") == 2 * len(BLOCKS)
    assert len(COMMANDS) + len(FOR_HOSTS) + len(PYTHON) == len(BLOCKS)
    # A command in a sentence is one of a block, or this file would not run it.
    for command in re.findall(r"`(python -m [^`]*)`", PAGE):
        assert any(command in text for text in COMMANDS), command


@pytest.mark.parametrize("text", COMMANDS, ids=range(len(COMMANDS)))
def test_command(text: str, tmp_path: Path) -> None:
    bin_folder = str(Path(sys.executable).parent)
    for name in ("examples", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    script = f"export PATH={shlex.quote(bin_folder)}:$PATH\n{text}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment(0), cwd=tmp_path, text=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if "examples/ddp.py" in text:
        losses = [float(x) for x in re.findall(r"epoch \d: loss (\d\.\d+)", done.stdout)]
        epochs = int(re.findall(r"--epochs (\d)", text)[0])
        assert len(losses) == epochs and losses == sorted(losses, reverse=True), done.stdout
    if "benchmarks" in text:
        assert len(re.findall(r"x one device's", done.stdout)) == 2
        assert len(re.findall(r"% of the parallel step", done.stdout)) == 2


@pytest.mark.parametrize("text", FOR_HOSTS, ids=range(len(FOR_HOSTS)))
def test_command_for_several_hosts_is_understood(text: str) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        assert words[:3] == ["python", "-m", "torchish.distributed.run"]
        options = parse_args(words[3:])
        assert options.nnodes == "2" and (ROOT / options.training_script).exists()


def test_python_blocks() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "torchish", "-c", "\n".join(PYTHON)],
        env=environment(8), cwd=ROOT, text=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert PYTHON and done.returncode == 0, done.stderr
