"""Whole models over simulated GPUs, and the DCGAN example over four of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.parallel import model_checks
from tests.parallel.processes import ROOT, checks_of, environment, run_checks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(once: Any) -> dict[str, str]:
    return once("model_checks", lambda: run_checks("tests.parallel.model_checks", 8))


@pytest.mark.parametrize("name", checks_of(vars(model_checks)))
def test_check(results: dict[str, str], name: str) -> None:
    assert not results[name], results[name]


SPY = """
import runpy, sys
import torch
from torchish.nn.parallel import spmd
from torchish._parallel.replicas import ReplicaCall

devices = []
make = ReplicaCall.__init__
def spied(self, name, places, *rest):
    devices.append([str(p) for p in places])
    make(self, name, places, *rest)
ReplicaCall.__init__ = spied
sys.argv = ["dcgan.py", *sys.argv[1:]]
runpy.run_path("examples/dcgan.py", run_name="__main__")
assert devices and all(d == [f"cuda:{k}" for k in range(4)] for d in devices), devices
print("calls over four devices:", len(devices))
"""


def test_dcgan_example_on_four_gpus(tmp_path: Path) -> None:
    options = ["--dataset", "fake", "--dry-run", "--cuda", "--ngpu", "4", "--imageSize", "32",
               "--ngf", "4", "--ndf", "4", "--nz", "8", "--batchSize", "8", "--workers", "0",
               "--outf", str(tmp_path)]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "torchish", "-c", SPY, *options],
        env=environment(4), cwd=ROOT, text=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # The discriminator on real, fake and again fake images, the generator, and a sample picture.
    assert "calls over four devices: 5" in done.stdout, done.stdout
    assert list(tmp_path.glob("*.pth")) and list(tmp_path.glob("*.png"))
