"""Forks under stress: `python -m tests.core.fork_scenarios ROUNDS NAME...` prints "NAME ok".

Each round must end by itself; afterwards no child, no descriptor and no shared memory is left.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import torchish as torch
from torchish.utils.data import DataLoader, Dataset

_SECONDS = 30  # that one round may take


class Rows(Dataset):
    """Rows large enough to travel in shared memory, augmented with torch's functions."""

    def __init__(self, killed_at: int = -1) -> None:
        self.killed_at = killed_at

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> Any:
        if index == self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.full((4000,), float(index)) + torch.rand(4000), index


def total(rows: Any) -> float:
    """What a child of a pool does: reads, computes and draws."""
    return float((rows * 2 + torch.ones(3)).sum())


def parent_works(step: int) -> Any:
    """Tensor work that leaves values both finished and pending."""
    x = torch.arange(3.0 + step % 3)
    y = (x * step).sum()
    y.item()
    return x[:3] * 2


def loader_broken_off(step: int) -> None:
    """A loader with four workers is left halfway."""
    parent_works(step)
    for batch, index in DataLoader(Rows(), batch_size=4, num_workers=4):
        assert batch.shape == (4, 4000) and index[0].item() % 4 == 0
        if index[0].item() == 8:
            break


def worker_killed(step: int) -> None:
    """One of two workers is killed while it fetches."""
    parent_works(step)
    try:
        for _ in DataLoader(Rows(killed_at=9), batch_size=4, num_workers=2):
            pass
    except RuntimeError as error:
        assert "exited unexpectedly" in str(error)
        assert "is killed by signal: Killed" in str(error.__cause__)
    else:
        raise AssertionError("the death went unnoticed")


def pool_after_work(step: int) -> None:
    """A Pool after tensor work."""
    rows = parent_works(step)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(total, [rows, rows + 1])
    assert found == [15.0, 21.0]


def fork_in_thread(step: int) -> None:
    """A thread forks while the main thread traces, compiles and computes."""
    rows = parent_works(step)
    status: list[int] = []

    def fork() -> None:
        time.sleep(0.002 * (step % 5))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = int(total(rows) != 15.0 or torch.rand(2).shape != (2,))
            finally:
                os._exit(code)
        status.append(os.waitpid(pid, 0)[1])

    thread = threading.Thread(target=fork)
    thread.start()
    width = 5 + step  # shapes that are new at every round: the main thread traces
    x = torch.ones(width, 7, requires_grad=True)
    while thread.is_alive():
        (x * 3 + x.sum()).mean().backward()
        assert x.grad is not None and x.grad.shape == (width, 7)
        float(x.grad[0, 0])
    thread.join()
    assert status == [0]


SCENARIOS: dict[str, Callable[[int], None]] = {
    f.__name__: f for f in (loader_broken_off, worker_killed, pool_after_work, fork_in_thread)
}


def left() -> tuple[int, int, list[str]]:
    """What the system holds for this process: descriptors, shared memory, names of it."""
    gc.collect()
    maps = Path("/proc/self/maps").read_text().count("memfd:torchish")
    # Tests beside this one use joblib and PyTorch, which have names of their own there.
    others = ("joblib_", "torch_")
    names = sorted(n for n in os.listdir("/dev/shm") if not n.startswith(others))
    return len(os.listdir("/proc/self/fd")), maps, names


def children() -> list[str]:
    """Processes whose parent this is, zombies included."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return listed.read_text().split()


def main(name: str, rounds: int) -> None:
    """Run a scenario and look at what is left."""
    resource_tracker.ensure_running()  # a child that Python keeps
    SCENARIOS[name](0)
    before, watchers = left(), children()
    for step in range(rounds):
        signal.alarm(_SECONDS)  # a hang ends the program
        SCENARIOS[name](step)
    signal.alarm(0)
    after = left()
    assert after == before, (before, after)
    assert children() == watchers, children()
    print(name, "ok", flush=True)


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        main(wanted, int(sys.argv[1]))
