"""Wrong calls of `torch.distributed`: PyTorch's classes and texts; wrong devices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.parallel.processes import ROOT, environment, free_port
from tests.parallel.scripts import bad_input

pytestmark = pytest.mark.slow

SCRIPT = str(Path(__file__).parent / "scripts" / "bad_input.py")
# gloo's own texts name its C++ functions and source lines.
OWN_TEXT = {
    "into tensor": "output tensor size must be equal to world_size times input tensor size",
    "reduce_scatter": "input tensor must be the same size as output size times world size",
}


def said(*launch: str) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, *launch, SCRIPT],
        env=environment(0, PORT_TO_USE=str(free_port())), cwd=ROOT,
        text=True, capture_output=True, timeout=200,
    )  # fmt: skip
    assert "said: " in done.stdout, done.stderr
    line = done.stdout.partition("said: ")[2].splitlines()[0]
    return dict(json.loads(line))


@pytest.fixture(scope="module")
def both(once: Any) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    return once("bad_input", lambda: (said("-m", "torchish"), said()))


@pytest.mark.parametrize("name", [*bad_input.BEFORE, *bad_input.AFTER])
def test_error_is_pytorch_s(both: tuple[dict[str, list[str]], ...], name: str) -> None:
    (kind, text), (real_kind, real_text) = both[0][name], both[1][name]
    assert kind == real_kind
    if name in OWN_TEXT:
        assert text.startswith(OWN_TEXT[name])
    else:
        assert text == real_text


def test_unknown_device() -> None:
    """On two simulated GPUs the third is unknown, wherever it is named."""
    code = """
import torch
from torch import nn
def text(fn):
    try:
        fn()
    except RuntimeError as error:
        return str(error)
    raise AssertionError('no error')
net = nn.Linear(2, 2).to('cuda:0')
x = torch.ones(4, 2)
for fn in (
    lambda: x.to('cuda:2'),
    lambda: nn.DataParallel(net, [0, 2])(x),
    lambda: nn.DataParallel(net, [0, 1], output_device=2)(x),
    lambda: nn.parallel.data_parallel(net, x, [0, 5]),
    lambda: nn.parallel.scatter(x, [0, 2]),
    lambda: nn.parallel.replicate(net, [0, 2]),
    lambda: torch.cuda.set_device(2),
):
    assert 'invalid device ordinal' in text(fn), text(fn)
assert text(lambda: x.to('cude:0')).startswith('Expected one of cpu, cuda, ')
assert text(lambda: x.to('cuda:a')) == "Invalid device string: 'cuda:a'"
got = text(lambda: x.to('cuda:0') + x.to('cuda:1'))
assert got.startswith('Expected all tensors to be on the same device'), got
"""
    done = subprocess.run(
        [sys.executable, "-m", "torchish", "-c", code],
        env=environment(2), cwd=ROOT, text=True, capture_output=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
