"""The gallery of examples, with few steps: each runs, says what it learned and writes a picture."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.in_turn import MARK
from tests.e2e.programs import ROOT, run

GALLERY = ROOT / "examples" / "gallery"
# Script -> options that make it small, and the beginning of the line that says what it learned.
SMALL = {
    "mnist_classifier": ("--steps 12", "accuracy on digits held out"),
    "char_rnn": ("--steps 6 --width 32 --length 16", "cross entropy"),
    "vae": ("--steps 8 --width 32", "evidence lower bound"),
    "ddpm": ("--steps 4 --width 8 --times 10 --batch 8", "squared error of the noise"),
    "gpt": ("--steps 5 --width 32 --blocks 1 --length 32", "cross entropy"),
    "dqn_cartpole": ("--steps 260 --batch 16", r"\d+ episodes"),
    "fine_tuning": ("--steps 8", "even or odd"),
    "wgan_gp": ("--steps 3 --critics 2 --batch 8", "distance of the distributions"),
    "data_parallel": ("--steps 8 --batch 32", "2 devices"),
    "jax_model": ("--steps 6 --width 16", "squared error of the brightness"),
    "flax_model": ("--steps 8 --width 8", "accuracy on digits held out"),
}
# Programs with a process of their own, and what its environment is; the others share one.
APART = {
    "data_parallel": {
        "TORCHISH_FAKE_CUDA": "1", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"
    },
    "flax_model": {
        "TORCHISH_EAGER": "1", "PYTHONPATH": os.environ.get("TORCHISH_LIBRARIES", "")
    },
}  # fmt: skip


def test_all_programs_are_here():
    assert {path.stem for path in GALLERY.glob("*.py")} == {*SMALL, "common"}


def call(name: str, folder: Path) -> tuple[list[str | Path], Path]:
    """The command line of a program, and the picture that it writes."""
    picture = folder / f"{name}.png"
    return [GALLERY / f"{name}.py", *SMALL[name][0].split(), "--out", picture], picture


def run_the_others(folder: Path) -> dict[str, tuple[str, str, Path]]:
    """Program -> what it prints to stdout and to stderr, and its picture."""
    names = [name for name in SMALL if name not in APART]
    commands = [part for name in names for part in ("--", *call(name, folder)[0])]
    done = run("-m", "tests.e2e.in_turn", *commands, env={"TORCHISH_EAGER": "1"}, cwd=ROOT)
    printed = json.loads(done.stdout.rpartition(MARK)[2])
    return {
        name: (*texts, call(name, folder)[1]) for name, texts in zip(names, printed, strict=True)
    }


def run_apart(name: str, folder: Path) -> tuple[str, str, Path]:
    """The same of one program, in a process of its own."""
    command, picture = call(name, folder)
    done = run(*command, env=APART[name])
    return done.stdout, done.stderr, picture


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.usefixtures("jax_libraries")
@pytest.mark.filterwarnings("ignore")  # of Flax's own
def test_program(name, once, tmp_path_factory):
    if name == "flax_model":
        pytest.importorskip("flax.nnx")
    folder = tmp_path_factory.mktemp(name)
    if name in APART:
        out, err, picture = run_apart(name, folder)
    else:
        out, err, picture = once("gallery", lambda: run_the_others(folder))[name]
    assert re.search(f"^{SMALL[name][1]}", out, re.MULTILINE), out + err
    assert f"picture: {picture}" in out
    assert re.search(r"100%\|.*step", err)  # tqdm
    pixels = np.asarray(Image.open(picture).convert("L"), dtype=float)
    assert min(pixels.shape) > 300 and pixels.std() > 10
