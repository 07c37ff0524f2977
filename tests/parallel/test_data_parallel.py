"""DataParallel on simulated devices against one device."""

from __future__ import annotations

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
