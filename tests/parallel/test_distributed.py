"""torch.distributed: collectives of two and four processes, and jobs that go wrong."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.parallel import collective_checks, ddp_checks
from tests.parallel.processes import checks_of, rank_checks, run_ranks

WAITING = ("sleeps", "absent", "sizes")


def _assert_holds(once: Any, module: str, count: int, name: str) -> None:
    """One check of a module; all of the module's run together, once."""
    found = once(f"{module}-{count}", lambda: rank_checks(f"tests.parallel.{module}", count))
    assert not found[name], found[name]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", checks_of(vars(collective_checks)))
def test_collectives(once: Any, count: int, name: str) -> None:
    _assert_holds(once, "collective_checks", count, name)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", checks_of(vars(ddp_checks)))
def test_data_parallel_processes(once: Any, count: int, name: str) -> None:
    _assert_holds(once, "ddp_checks", count, name)


def _job(way: str) -> list[CompletedProcess[str]]:
    return run_ranks(["-m", "tests.parallel.failures", way], 2, timeout=120)


def _failed(once: Any, way: str) -> list[CompletedProcess[str]]:
    """What became of a job that went wrong; those that wait for a time limit do so together."""
    return once("failures", _wait_together)[way] if way in WAITING else _job(way)


def _wait_together() -> dict[str, list[CompletedProcess[str]]]:
    with ThreadPoolExecutor() as pool:
        return dict(zip(WAITING, pool.map(_job, WAITING), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "culprit", "text"),
    [
        ("dies", 1, "all_reduce failed: .*This may indicate a dead rank"),
        ("first_dies", 0, "all_reduce failed: .*This may indicate a dead rank"),
        ("sleeps", 1, "Timed out waiting 8000ms for all_reduce operation to complete"),
        ("absent", 1, "Timed out after 9 seconds waiting for clients. 1/2 clients joined."),
    ],
)
def test_lost_rank_raises_in_the_others(once: Any, way: str, culprit: int, text: str) -> None:
    start = time.monotonic()
    done = _failed(once, way)
    survivor = done[1 - culprit]
    assert survivor.returncode == 1, survivor
    import re

    assert re.search(text, survivor.stdout), survivor
    assert time.monotonic() - start < 100


@pytest.mark.slow
def test_world_sizes_that_differ(once: Any) -> None:
    done = _failed(once, "sizes")
    assert any("was told a world size of" in d.stdout for d in done), done
    assert all(d.returncode for d in done)
