"""Unmodified wheels, run on torchish and on PyTorch by the same program (`programs/`).

A program is run from its text, so that the folder's names do not hide the libraries.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = os.environ["TORCHISH_LIBRARIES"]
# Where torchvision's Python lies for the process that runs PyTorch; torchish brings its own.
TORCHVISION = os.environ.get("TORCHISH_TORCHVISION", "")
PROGRAMS = {path.stem: path for path in sorted((Path(__file__).parent / "programs").glob("*.py"))}
NEED_TORCHVISION = {
    "denoising_diffusion", "fastai", "lightly", "lpips", "open_clip", "segmentation_models",
    "vit_pytorch",
}  # fmt: skip


def printed(program: str, *launcher: str, path: str = "") -> list[float]:
    """The numbers that a program prints."""
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join([part for part in (path, root, FOLDER) if part])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *launcher, "-c", program],
        env={**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [float(x) for x in done.stdout.split()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_numbers_are_pytorchs(name: str) -> None:
    if name in NEED_TORCHVISION and not TORCHVISION:
        pytest.skip("PyTorch's run imports torchvision: TORCHISH_TORCHVISION names its folder")
    program = PROGRAMS[name].read_text(encoding="utf-8")
    mine, theirs = printed(program, "-m", "torchish"), printed(program, path=TORCHVISION)
    assert mine
    assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-6)
