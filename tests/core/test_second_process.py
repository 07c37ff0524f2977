"""A second process over the same cache folder compiles nothing, and prints the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path) -> dict[str, dict[str, Any]]:
    """Of each small model its losses, and the programs compiled for it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.core.small_models"], cwd=ROOT, timeout=200,
        capture_output=True, text=True, env={**os.environ, "TORCHISH_CACHE": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_models_of_each_kind_compile_nothing_in_a_second_process(tmp_path: Path) -> None:
    """Compilations are counted where XLA compiles, so that what is loaded does not count."""
    first, second = run(tmp_path), run(tmp_path)
    assert list(first) == ["perceptron", "convnet", "decoder", "lstm", "gan", "wide"]
    assert all(model["compiled"] >= 1 for model in first.values()), first
    assert {name: model["compiled"] for name, model in second.items()} == dict.fromkeys(first, 0)
    for name, model in first.items():
        assert len(set(model["losses"])) > 1, name
        assert second[name]["losses"] == model["losses"], name
