"""`torch.multiprocessing.spawn`: what processes do, and how their failures come back."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

import torchish as torch
import torchish.distributed as dist
import torchish.multiprocessing as mp
from tests.parallel.processes import free_port

pytestmark = pytest.mark.slow


def write_rank(rank: int, folder: str, text: str) -> None:
    Path(folder, str(rank)).write_text(f"{text}{rank}")


def reduce(rank: int, port: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    x = torch.full((3,), float(rank + 1))
    dist.all_reduce(x)
    Path(folder, str(rank)).write_text(str(x.tolist()))
    dist.destroy_process_group()


def fail(rank: int, way: str, folder: str) -> None:
    Path(folder, f"pid{rank}").write_text(str(os.getpid()))
    if rank == 1:
        while not Path(folder, "pid0").exists():
            time.sleep(0.02)
        if way == "raise":
            raise ValueError("boom")
        if way == "exit":
            sys.exit(7)
        if way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(120)


def test_every_process_gets_its_index(tmp_path: Path) -> None:
    assert mp.spawn(write_rank, (str(tmp_path), "rank "), nprocs=2) is None
    assert [(tmp_path / str(r)).read_text() for r in range(2)] == ["rank 0", "rank 1"]


def test_collective(tmp_path: Path) -> None:
    mp.spawn(reduce, (free_port(), str(tmp_path)), nprocs=2)
    assert [(tmp_path / str(r)).read_text() for r in range(2)] == ["[3.0, 3.0, 3.0]"] * 2


@pytest.mark.parametrize("way", ["raise", "exit", "kill"])
def test_failures_are_pytorch_s(tmp_path: Path, way: str) -> None:
    """Class, text and fields of the exception, and the other process is ended."""
    import torch.multiprocessing as real

    seen = []
    for library in (mp, real):
        folder = tmp_path / library.__name__
        folder.mkdir()
        kinds = (library.ProcessRaisedException, library.ProcessExitedException)
        with pytest.raises(kinds) as caught:
            library.spawn(fail, (way, str(folder)), nprocs=2)
        error = caught.value
        text = str(error).replace(str(error.error_pid), "PID").strip()
        lines = [x for x in text.splitlines() if "site-packages" not in x]
        code = getattr(error, "exit_code", None), getattr(error, "signal_name", None)
        seen.append((type(error).__name__, lines[0], lines[-1], error.error_index, code))
        for rank in range(2):
            pid = int((folder / f"pid{rank}").read_text())
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
    assert seen[0] == seen[1]


def test_join_in_steps(tmp_path: Path) -> None:
    context = mp.spawn(write_rank, (str(tmp_path), ""), nprocs=2, join=False)
    assert len(set(context.pids())) == 2
    while not context.join(timeout=30):
        pass
    assert (tmp_path / "1").read_text() == "1" and context.join()
