"""Placements by themselves, in a child with four simulated devices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parallel import placement_checks
from tests.parallel.processes import checks_of, run_checks


@pytest.fixture(scope="module")
def results(once: Any) -> dict[str, str]:
    return once("placement_checks", lambda: run_checks("tests.parallel.placement_checks", 4))


@pytest.mark.parametrize("name", checks_of(vars(placement_checks)))
def test_check(results: dict[str, str], name: str) -> None:
    assert not results[name], results[name]
