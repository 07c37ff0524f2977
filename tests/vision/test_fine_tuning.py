"""A fine-tuning script in the style of PyTorch's tutorial prints the same text with both."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.programs import run

PROGRAM = Path(__file__).parent / "programs" / "fine_tuning.py"
# What PyTorch and torchvision print, for where torchvision is not installed.
EXPECTED = PROGRAM.with_suffix(".txt")


@pytest.fixture
def pictures(tmp_path):
    """Bright and dark noise, in the folders that the script reads."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 8)):
        for kind, low in (("ants", 0), ("bees", 120)):
            folder = tmp_path / part / kind
            folder.mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(low, low + 136, (80, 96, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{k}.png")
    return tmp_path


def with_pytorch(folder: Path) -> str:
    """What PyTorch prints; torchvision is found where this process finds it."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.replace(str(folder), "ROOT")


def test_the_printed_text_is_pytorchs(pictures):
    ours = run(PROGRAM, pictures).stdout.replace(str(pictures), "ROOT")
    expected = EXPECTED.read_text()
    if importlib.util.find_spec("torchvision") is not None:
        assert with_pytorch(pictures) == expected
    assert ours == expected
