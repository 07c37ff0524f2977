"""Children that are forked after XLA has run: they compute, share memory, end, and never hang."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import torchish
from torchish.distributed import DistStoreError
from torchish.multiprocessing import ProcessExitedException

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("TORCHISH_TEST_FORKS", "3"))  # 200 for the long run


def run(*arguments: str, timeout: float = 120) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, env=env,
        cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_forks_under_stress_neither_hang_nor_leave_anything() -> None:
    names = ["loader_broken_off", "worker_killed", "pool_after_work", "fork_in_thread"]
    printed = run("-m", "tests.core.fork_scenarios", str(ROUNDS), *names, timeout=60 + 12 * ROUNDS)
    assert printed.split() == [word for name in names for word in (name, "ok")]


def test_children_of_every_kind_work() -> None:
    assert run("-m", "tests.core.fork_program").splitlines() == [
        "os.fork 0 12.0",
        "sys.exit 0",
        "Pool [3.0, 5.0, 7.0]",
        "preexec_fn 6.0",
        "pending 20.0",
        "gradient [2.0, 2.0]",
        "linalg 23 True",
        "shared [5.0, 5.0] True",
        "queue [0.0, 9.0, 2.0] parameter True non-leaf refused",
        "plain multiprocessing True",
        "hogwild True",
        "parent 9.0",
    ]


def test_joblib_works_after_tensor_work() -> None:
    assert run("-m", "tests.core.joblib_program").splitlines() == [
        f"{backend} True [360000, 360000] LinAlgError"
        for backend in ("loky", "multiprocessing", "threading")
    ]


@pytest.mark.parametrize(
    "error",
    [
        torchish.linalg.LinAlgError("singular"),
        torchish.OutOfMemoryError("none left"),
        DistStoreError("late"),
        ProcessExitedException("killed", 1, 2, -9, "SIGKILL"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_named_as_torchs_travel(error: BaseException) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(error).__module__.split(".")[0] == "torch"
    assert type(back) is type(error)
    assert (str(back), vars(back)) == (str(error), vars(error))
