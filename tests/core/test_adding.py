"""docs/adding.md, followed to the letter: its operator and its rule do what the page promises."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding.md").read_text()
BLOCKS = dict(re.findall(r"^```python (\w+)\n(.*?)^```$", PAGE, re.M | re.S))

# The oracle has no such operator: it is written in PyTorch here.
OPERATOR = """
import torch
from tests.ops import test_parity as parity
from torchish._basics.settings import settings

def swish(input, beta=1.0, *, out=None):
    x = input if input.is_floating_point() else input.float()
    made = (x.float() * torch.sigmoid(beta * x.float())).to(x.dtype)  # rounded once
    return made if out is None else out.copy_(made)

def swish_(self, beta=1.0):
    if not self.is_floating_point():
        name = "Bool" if self.dtype == torch.bool else "Long"
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {name}"
        )
    return self.copy_(swish(self, beta))

torch.swish, torch.Tensor.swish, torch.Tensor.swish_ = swish, swish, swish_
samples = parity.SAMPLES["torch.swish"]
assert len(samples) > 5
for tier in ("eager", "compiled"):
    settings.eager, settings.compiled = tier == "eager", tier == "compiled"
    for sample in samples:
        found = parity.differences("torch.swish", sample)
        assert not found, (tier, found)

import torchish

batch = torchish.arange(6.0).reshape(2, 3)
assert torchish.func.vmap(torchish.swish)(batch).tolist() == batch.swish().tolist()
"""

RULE = """
import jax
import numpy as np
exec(blocks["rule"])
from jax.extend.core import Primitive
from torchish._interpret.rules import Plan

weighted_square = Primitive("weighted_square")
weighted_square.def_abstract_eval(lambda x, *, weight: x)
closed = jax.make_jaxpr(lambda x: weighted_square.bind(x, weight=3) + 1)(np.float32([1, 2]))
(made,) = Plan(closed).run([np.float32([1, 2])])
assert made.dtype == np.float32 and made.tolist() == [4.0, 13.0]
print("followed")
"""


def run(folder: Path, *call: str) -> str:
    """Run Python in a copy of the repository."""
    done = subprocess.run(
        [sys.executable, *call], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
        text=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_operator_is_one_file_and_one_line(tmp_path: Path) -> None:
    for name in ("torchish", "tests", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "torchish/_ops/pointwise/swish.py").write_text(BLOCKS["operator"])
    line = f"from tests.ops.sampling import S, f, unary\n\n{BLOCKS['sample']}"
    (tmp_path / "tests/ops/samples/swish.py").write_text(line)
    run(tmp_path, "-c", OPERATOR)
    run(tmp_path, "tools/stubs.py")
    generated = tmp_path / "torchish" / "_generated"
    lines = (generated / "torch.pyi").read_text().splitlines()
    (function,) = [line for line in lines if line.startswith("def swish(")]
    assert re.fullmatch(r"def swish\(input: Tensor, beta: .*= ?1\.0, \*, out: .*\) -> Tensor: ...",
                        function)  # fmt: skip
    methods = (generated / "methods.pyi").read_text()
    assert re.search(r"def swish_\(self, beta: .*= ?1\.0\) -> (Tensor|Self): ...", methods)


def test_the_pages_rule_is_used() -> None:
    assert run(ROOT, "-c", f"blocks = {BLOCKS!r}\n{RULE}") == "followed\n"


def test_the_paths_of_the_page_exist() -> None:
    paths = set(re.findall(r"`((?:torchish|tests|docs|_[a-z]+)/[\w/.]+)`", PAGE))
    assert len(paths) > 8
    for path in paths:
        found = path if (ROOT / path).exists() else f"torchish/{path}"
        assert (ROOT / found).exists(), path
