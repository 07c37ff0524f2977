"""`python -m torchish.distributed.run`: environment, options, and jobs that go wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.parallel.processes import ROOT, environment, free_port

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent / "scripts"
RANKS = str(SCRIPTS / "ranks.py")
BARE = ["--no-python", sys.executable, RANKS]  # starts faster: it does without torch
RUN = [sys.executable, "-m", "torchish.distributed.run"]
ALONE = ["--standalone", "--nproc-per-node", "2"]


def start(*argv: str, **extra: str) -> subprocess.Popen[str]:
    """Start a launcher."""
    return subprocess.Popen(
        [*RUN, *argv], env=environment(0, **extra), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(launcher: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """What became of a launcher."""
    try:
        out, err = launcher.communicate(timeout=120)
    finally:
        launcher.kill()
    return subprocess.CompletedProcess(launcher.args, launcher.returncode, out, err)


def told(text: str) -> list[dict[str, str]]:
    """What the ranks printed of their environment, by rank."""
    found = [
        dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines() if "RANK=" in line
    ]
    return sorted(found, key=lambda d: (d["TORCHELASTIC_RESTART_COUNT"], int(d["RANK"])))


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids(folder: Path, count: int = 2) -> list[int]:
    """The ids that the ranks wrote down, once all have."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        texts = [p.read_text() for p in sorted(folder.glob("pid*"))]
        if len(texts) == count and all(texts):
            return [int(t) for t in texts]
        time.sleep(0.05)
    raise AssertionError(f"only {texts} started")


def gone(ids: list[int]) -> bool:
    """Whether all of them end within a moment."""
    end = time.monotonic() + 10
    while any(map(alive, ids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, ids))


def test_environment_of_the_ranks() -> None:
    done = finish(start(*ALONE, RANKS, "fine"))
    assert done.returncode == 0, done
    ranks = told(done.stdout)
    assert [d["RANK"] for d in ranks] == [d["LOCAL_RANK"] for d in ranks] == ["0", "1"]
    assert {d["WORLD_SIZE"] for d in ranks} == {d["LOCAL_WORLD_SIZE"] for d in ranks} == {"2"}
    assert len({d["MASTER_PORT"] for d in ranks}) == 1


def test_a_rank_that_raises_ends_the_job(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = finish(start(*ALONE, RANKS, "raise", str(tmp_path)))
    assert done.returncode == 1 and time.monotonic() - begun < 40
    assert "ranks.py FAILED" in done.stderr
    cause = done.stderr.split("Root Cause (first observed failure):")[1]
    assert "rank      : 1 (local_rank: 1)" in cause and "exitcode  : 1 (pid: " in cause
    assert "ValueError: boom" in cause  # by @record
    other = done.stderr.split("Failures:")[1].split("Root Cause")[0]
    assert "rank      : 0 (local_rank: 0)" in other and "exitcode  : -15" in other
    assert gone(pids(tmp_path))


def test_a_rank_that_is_killed_ends_the_job(tmp_path: Path) -> None:
    launcher = start(*ALONE, "--shutdown-timeout", "1", *BARE, "stubborn", str(tmp_path))
    ids = pids(tmp_path)
    os.kill(ids[1], signal.SIGKILL)
    done = finish(launcher)
    assert done.returncode == 1
    cause = done.stderr.split("Root Cause")[1]
    assert "rank      : 1" in cause and "exitcode  : -9" in cause and "(SIGKILL)" in cause
    assert "rank      : 0" in done.stderr.split("Root Cause")[0]  # it ignored SIGTERM
    assert gone(ids)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_launcher_that_is_ended_leaves_no_orphans(tmp_path: Path, signum: int) -> None:
    launcher = start(*ALONE, "--shutdown-timeout", "1", *BARE, "stubborn", str(tmp_path))
    ids = pids(tmp_path)
    assert all(map(alive, ids))
    launcher.send_signal(signum)
    assert finish(launcher).returncode != 0
    assert gone(ids)


def test_restart() -> None:
    done = finish(start(*ALONE, "--max-restarts", "1", *BARE, "second_try"))
    assert done.returncode == 0, done
    assert [d["TORCHELASTIC_RESTART_COUNT"] for d in told(done.stdout)] == ["0", "0", "1", "1"]
    done = finish(start(*ALONE, *BARE, "second_try"))
    assert done.returncode == 1 and "exitcode  : 3" in done.stderr


@pytest.mark.parametrize("backend", ["static", "c10d"])
def test_two_nodes(backend: str) -> None:
    port = str(free_port())
    common = ["--nnodes", "2", "--rdzv-backend", backend]
    sizes = ["2", "2"] if backend == "static" else ["2", "1"]
    nodes = []
    for k, size in enumerate(sizes):
        where = ["--rdzv-endpoint", f"localhost:{port}", "--rdzv-id", "job7"]
        if backend == "static":
            where = ["--node-rank", str(k), "--master-addr", "127.0.0.1", "--master-port", port]
        nodes.append(start(*common, *where, "--nproc-per-node", size, *BARE, "fine"))
    done = [finish(n) for n in nodes]
    assert [d.returncode for d in done] == [0, 0], done
    ranks = told(done[0].stdout + done[1].stdout)
    world = sum(map(int, sizes))
    assert [d["RANK"] for d in ranks] == [str(r) for r in range(world)]
    assert {d["WORLD_SIZE"] for d in ranks} == {str(world)}
    assert len({d["MASTER_PORT"] for d in ranks}) == 1
    assert {d["GROUP_RANK"] for d in ranks} == {"0", "1"}
    if backend == "static":
        assert {d["MASTER_PORT"] for d in ranks} == {port}


def test_a_failure_on_another_node_ends_this_one(tmp_path: Path) -> None:
    where = ["--nnodes", "2", "--rdzv-backend", "c10d",
             "--rdzv-endpoint", f"localhost:{free_port()}"]  # fmt: skip
    nodes = [start(*where, *BARE, "sleep", str(tmp_path)) for _ in range(2)]
    ids = pids(tmp_path)
    os.kill(ids[1], signal.SIGKILL)
    done = [finish(n) for n in nodes]
    assert [d.returncode for d in done] == [1, 1]
    assert sorted("processes of another node failed" in d.stderr for d in done) == [False, True]
    assert gone(ids)


def test_a_node_that_never_comes() -> None:
    done = finish(
        start("--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-conf", "join_timeout=2",
              "--rdzv-endpoint", f"localhost:{free_port()}", RANKS, "fine")
    )  # fmt: skip
    assert done.returncode == 1 and "1 of 2 nodes came within 2 s" in done.stderr


def test_logs(tmp_path: Path) -> None:
    done = finish(
        start(*ALONE, "--log-dir", str(tmp_path), "--redirects", "0:3", "--tee", "1:1",
              "--role", "trainer", *BARE, "fine")
    )  # fmt: skip
    assert done.returncode == 0, done
    assert [d["RANK"] for d in told(done.stdout)] == ["1"]
    assert done.stdout.startswith("[trainer1]:RANK=1")
    (zero,) = tmp_path.glob("*/attempt_0/0/stdout.log")
    (one,) = tmp_path.glob("*/attempt_0/1/stdout.log")
    assert zero.read_text().startswith("RANK=0") and one.read_text().startswith("RANK=1")
    done = finish(start(*ALONE, "--local-ranks-filter", "1", *BARE, "fine"))
    assert [d["RANK"] for d in told(done.stdout)] == ["1"]


def test_module_and_no_python() -> None:
    code = "import os, torch; assert 'torchish' in torch.__version__; os.write(1, b'RANK=ok\\n')"
    done = finish(start(*ALONE, "--no-python", sys.executable, "-c", code))
    assert done.stdout.count("RANK=ok") == 2, done
    done = finish(start("--standalone", "-m", "tests.parallel.scripts.ranks", "fine"))
    assert len(told(done.stdout)) == 1, done


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--nproc-per-node", "many"], "ValueError: Unsupported nproc_per_node value: many"),
        (["--no-python", "-m"], "ValueError: Don't use both the '--no-python' flag and the "),
        (["--tee", "x"], "ValueError: x does not match: <"),
        (["--nnodes", "1:4"], "NotSupportedError: .*--nnodes=4"),
        (["--node-rank", "1"], "--node-rank=1 is not in a job of 1 nodes"),
    ],
)
def test_bad_options(argv: list[str], text: str) -> None:
    done = finish(start(*argv, RANKS, "fine"))
    assert done.returncode == 1 and re.search(text, done.stderr), done


def test_classic_script_equals_pytorch(tmp_path: Path) -> None:
    """The same file under our launcher and under PyTorch's torchrun: losses and parameters."""
    import json

    import numpy as np
    import torch

    script = str(SCRIPTS / "classic_ddp.py")
    results = []
    for name, launcher in (("ours", "torchish.distributed.run"), ("real", "torch.distributed.run")):
        out = str(tmp_path / f"{name}.pt")
        done = subprocess.run(
            [sys.executable, "-m", launcher, *ALONE, script, "--out", out],
            env=environment(0), cwd=ROOT, text=True, capture_output=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done
        (line,) = [x for x in done.stdout.splitlines() if "losses: " in x]
        results.append((json.loads(line.partition("losses: ")[2]), torch.load(out)))
    (ours, state), (real, expected) = results
    assert len(ours) == 20 and ours[-1] < ours[0]
    np.testing.assert_allclose(ours, real, rtol=1e-4)
    assert list(state["model"]) == list(expected["model"])
    for key, value in expected["model"].items():
        np.testing.assert_allclose(state["model"][key], value, rtol=1e-4, atol=1e-4)
    for key, entry in expected["optimizer"]["state"].items():
        got = state["optimizer"]["state"][key]["momentum_buffer"]
        np.testing.assert_allclose(got, entry["momentum_buffer"], rtol=1e-4, atol=1e-4)
