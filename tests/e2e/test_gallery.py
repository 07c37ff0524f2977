"""The gallery of examples, with few steps: each runs, says what it learned and writes a picture."""

import os
import re

import numpy as np
import pytest
from PIL import Image

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
DEVICES = {"TORCHISH_FAKE_CUDA": "1", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def test_all_programs_are_here():
    assert {path.stem for path in GALLERY.glob("*.py")} == {*SMALL, "common"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.usefixtures("jax_libraries")
@pytest.mark.filterwarnings("ignore")  # of Flax's own
def test_program(name, tmp_path):
    options, said = SMALL[name]
    picture = tmp_path / f"{name}.png"
    env = DEVICES if name == "data_parallel" else {"TORCHISH_EAGER": "1"}
    if name == "flax_model":
        pytest.importorskip("flax.nnx")
        env["PYTHONPATH"] = os.environ.get("TORCHISH_LIBRARIES", "")
    done = run(GALLERY / f"{name}.py", *options.split(), "--out", picture, env=env)
    assert re.search(f"^{said}", done.stdout, re.MULTILINE), done.stdout
    assert f"picture: {picture}" in done.stdout
    assert re.search(r"100%\|.*step", done.stderr)  # tqdm
    pixels = np.asarray(Image.open(picture).convert("L"), dtype=float)
    assert min(pixels.shape) > 300 and pixels.std() > 10
