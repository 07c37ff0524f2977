"""Classic scripts, unmodified in style, print on torchish what they print on PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from .programs import run

PROGRAMS = ("hogwild", "gcn", "sp_gat", "gat", "words", "dqn", "ppo", "fx", "jit")


def printed(torchish: bool) -> dict[str, list[str]]:
    """The lines of each program."""
    root = str(Path(__file__).resolve().parents[2])
    lines: dict[str, list[str]] = {}
    found = run("-m", "tests.e2e.classics", torchish=torchish, cwd=Path(root))
    for line in found.stdout.splitlines():
        name, _, rest = line.partition(" ")
        lines.setdefault(name, []).append(rest)
    return lines


def test_the_lines_are_the_same() -> None:
    ours, torchs = printed(True), printed(False)
    assert tuple(ours) == tuple(torchs) == PROGRAMS
    for name in PROGRAMS:
        for a, b in zip(ours[name], torchs[name], strict=True):
            for x, y in zip(a.split(), b.split(), strict=True):
                try:
                    assert float(x) == pytest.approx(float(y), rel=2e-3, abs=2e-4), (name, a, b)
                except ValueError:
                    assert x == y, (name, a, b)
