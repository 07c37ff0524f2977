"""The stored results: complete, explained, and what the compatibility matrix was made from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from . import results
from .excluded import label
from .known_differences import reason_for, unused
from .runner import entries

ROOT = Path(__file__).resolve().parents[3]


def test_every_entry_in_scope_has_a_result() -> None:
    missing = {label(op) for op in entries()} - results.load().keys()
    assert not missing, "run `make compat`"


def test_every_failure_has_a_row() -> None:
    assert not sorted(f for f in results.failures() if reason_for(*f) is None)


def test_every_row_explains_a_failure() -> None:
    assert not unused(results.failures())


@pytest.mark.parametrize("dtype,share", [("float32", 0.98), ("int64", 0.98), ("float64", 0.95),
                                         ("bool", 0.95), ("float16", 0.95), ("bfloat16", 0.95),
                                         ("complex64", 0.95)])  # fmt: skip
def test_share_of_entries_that_hold(dtype: str, share: float) -> None:
    found = [checks[dtype][1] for checks in results.load().values() if dtype in checks]
    held = sum(not {"forward", "gradient"} & failed.keys() for failed in found)
    assert held >= share * len(found), f"{held} of {len(found)}"


@pytest.mark.parametrize("tool", ["compat_matrix.py", "stubs.py", "update_rules.py"])
def test_generated_files_are_fresh(tool: str) -> None:
    """The compatibility matrix, stubs and compiled-in rules are what the registry gives now."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(ROOT / "tools" / tool), "--check"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
