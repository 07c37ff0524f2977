"""Programs of every generated family (`benchmarks/programs.py`) give PyTorch's results."""

from __future__ import annotations

import pytest
import torch as oracle

import torchish
from benchmarks.programs import FAMILIES, run


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True")
@pytest.mark.parametrize("name", FAMILIES)
def test_a_program_of_each_family(name: str) -> None:
    """One of ten: `python -m benchmarks programs` runs all two hundred, with their times."""
    expected = run(oracle, name, 3)
    assert run(torchish, name, 3) == pytest.approx(expected, rel=1e-3, abs=1e-3)
