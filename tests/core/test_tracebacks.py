"""Errors end with torch's message; tracebacks show the user's lines and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from typing import Any

import pytest

import torchish as torch

PROGRAM = """
import torch
def area(x):
    return x @ torch.ones(4, 5)
torch.nn.Sequential(torch.nn.Linear(3, 4))(torch.ones(2, 3))
area(torch.ones(2, 3))
"""
WRONG = [
    lambda: torch.ones(2, 3) @ torch.ones(4, 5),
    lambda: torch.nn.Linear(3, 4)(torch.ones(2, 5)),
    lambda: torch.cat([torch.ones(2, 3), torch.ones(4, 5)]),
    lambda: torch.ones(2).add_(torch.ones(3)),
    lambda: torch.add(torch.ones(2), torch.ones(3), out=torch.empty(0)),
    lambda: torch.nn.functional.conv2d(torch.ones(1, 3, 4, 4), torch.ones(2, 5, 3, 3)),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_errors_carry_nothing_of_jax(number: int) -> None:
    with pytest.raises(RuntimeError) as caught:
        WRONG[number]()
    error = caught.value
    assert not getattr(error, "__notes__", [])
    assert error.__cause__ is None and error.__context__ is None
    lines = traceback.format_exception(error)
    assert not any("site-packages/jax" in line for line in lines)
    assert str(error).splitlines()[-1] in lines[-1]
    for entry in traceback.extract_tb(error.__traceback__):
        assert entry.name not in ("fn", "body"), "frames that hold tracers"


def uncaught(**environment: str) -> str:
    call = [sys.executable, "-m", "torchish", "-c", PROGRAM]
    done = subprocess.run(
        call, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    assert done.returncode == 1
    return done.stderr


def test_uncaught_errors_show_the_program_only() -> None:
    lines = uncaught().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"
    assert [line.strip() for line in lines[1:-1]] == [
        'File "<string>", line 6, in <module>',
        'File "<string>", line 4, in area',
    ]


PRINTED = """
import logging, traceback
import torch
def area(x):
    return x @ torch.ones(4, 5)
def again(x):
    try:
        area(x)
    except RuntimeError as error:
        raise ValueError("no area") from error
for report in (traceback.print_exc, lambda: logging.exception("failed")):
    try:
        again(torch.ones(2, 3))
    except ValueError:
        report()
"""


def test_printed_errors_show_the_program_only() -> None:
    texts = []
    for module in (["-m", "torchish"], []):
        call = [sys.executable, *module, "-c", PRINTED]
        texts.append(subprocess.run(call, capture_output=True, text=True, timeout=300).stderr)
    assert texts[0] == texts[1] and texts[0].count("File ") == 8


def test_full_tracebacks_on_demand() -> None:
    text = uncaught(TORCHISH_TRACEBACK="full")
    assert "calling.py" in text and text.count("File ") > 6


TESTED = """
import torchish as torch
def test_it():
    torch.nn.Linear(3, 4)(torch.ones(2, 5))
"""


def test_pytest_shows_no_tracers(tmp_path: Any) -> None:
    (tmp_path / "test_one.py").write_text(TESTED)
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert "Tracer" not in done.stdout and "shapes cannot be multiplied" in done.stdout
    assert "_ops" not in done.stdout and len(done.stdout.splitlines()) < 40
