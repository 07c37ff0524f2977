"""Sharded modules: a GPT over a 2x4 mesh of simulated GPUs against one device."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parallel import shard_checks
from tests.parallel.processes import checks_of, run_checks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(once: Any) -> dict[str, str]:
    return once("shard_checks", lambda: run_checks("tests.parallel.shard_checks", 8))


@pytest.mark.parametrize("name", checks_of(vars(shard_checks)))
def test_check(results: dict[str, str], name: str) -> None:
    assert not results[name], results[name]
