"""DataParallel on simulated devices against one device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.parallel import data_parallel_checks
from tests.parallel.processes import checks_of, run_checks


@pytest.fixture(scope="module")
def results(once: Any) -> dict[str, str]:
    module = "data_parallel_checks"
    return once(module, lambda: run_checks(f"tests.parallel.{module}", 4))


@pytest.mark.parametrize("name", checks_of(vars(data_parallel_checks)))
def test_check(results: dict[str, str], name: str) -> None:
    assert not results[name], results[name]


def test_a_second_run_over_one_cache(tmp_path: Path) -> None:
    """Kernels whose jaxprs are traced within one mesh serve another: recipes come from the disk."""
    names = ("check_contract", "check_the_four_steps", "check_two_networks_take_turns")
    for _ in range(2):
        found = run_checks(
            "tests.parallel.data_parallel_checks", 4, names=names, TORCHISH_CACHE=str(tmp_path)
        )
        assert found == dict.fromkeys(names, "")
