"""`torchish.func.pmap` against `jax.pmap` and against stacked tensors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parallel import pmap_checks
from tests.parallel.processes import checks_of, run_checks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(once: Any) -> dict[str, str]:
    return once("pmap_checks", lambda: run_checks("tests.parallel.pmap_checks", 4))


@pytest.mark.parametrize("name", checks_of(vars(pmap_checks)))
def test_check(results: dict[str, str], name: str) -> None:
    assert not results[name], results[name]
