"""DataParallel on simulated devices against one device."""

from __future__ import annotations

import pytest

from tests.parallel import data_parallel_checks
from tests.parallel.processes import checks_of, run_checks


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    return run_checks("tests.parallel.data_parallel_checks", 4)


@pytest.mark.parametrize("name", checks_of(vars(data_parallel_checks)))
def test_check(results: dict[str, str], name: str) -> None:
    assert not results[name], results[name]
