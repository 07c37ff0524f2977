"""Aliasing and in-place writes: random programs give what PyTorch gives.

TORCHISH_FUZZ=10000 sets how many programs run; by default those that fit into a minute.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import pytest
import torch

import torchish
from tests.fuzz import programs
from tests.fuzz.same import same
from torchish._basics.settings import settings as engine

COUNT = int(os.environ.get("TORCHISH_FUZZ", "400"))
CHUNK = 100


@pytest.fixture(autouse=True)
def node_by_node():
    """Random programs never repeat: none is worth compiling."""
    before, engine.eager = engine.eager, True
    yield
    engine.eager = before


def first_difference(program: dict[str, Any]) -> str | None:
    """Where the two libraries part, if they do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn alike; the texts are tested elsewhere
        theirs = programs.run(torch, program)
        ours = programs.run(torchish, program)
    if len(ours) != len(theirs):
        return f"{ours[-1]} instead of {theirs[-1]}"
    for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if not same(a, b):
            return f"at {position}:\n ours  {a}\n torch {b}"
    return None


@pytest.mark.parametrize("start", range(0, COUNT, CHUNK))
def test_random_programs_equal_torch(start: int) -> None:
    for number in range(start, min(start + CHUNK, COUNT)):
        program = programs.program(number)
        found = first_difference(program)
        assert found is None, f"program {number}, {program}: {found}"


def test_programs_are_the_same_every_time() -> None:
    assert programs.program(17) == programs.program(17)
    assert programs.program(17) != programs.program(18)
