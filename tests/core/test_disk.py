"""Cache folders: what is in them is whole, bounded and shared; a bad folder does no harm."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from torchish._basics import disk, notices
from torchish._basics.disk import Folder

PROGRAM = """
import resource, sys, warnings
warnings.simplefilter("always")
limit = int(sys.argv[1])
if limit:  # a write beyond it fails as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
import torchish as torch
from torchish._basics.stats import stats
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(4):
    loss = model(torch.ones(5, 6)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item().hex(), stats.kernels_traced)
"""


def start(folder: Any, limit: int = 0, **settings: str) -> subprocess.Popen[str]:
    env = {**os.environ, "TORCHISH_CACHE": str(folder), "TORCHISH_COMPILE": "1", **settings}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(limit)], env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[str, int, str]:
    """The loss, the number of kernels traced, and what went to stderr."""
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    loss, traced = out.split()
    return loss, int(traced), err


def whole(folder: Path) -> int:
    """How many files there are, all of them with the contents that were written."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    for path in files:
        data = path.read_bytes()
        assert path.suffix != ".part" and data[:16] == disk._checksum(data[16:]), path
    return len(files)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "new"))
    assert folder.get("a") is None
    folder.put("a", b"contents")
    folder.put("empty", b"")
    assert folder.get("a") == b"contents" and folder.get("empty") == b""
    folder.put("a", b"other")
    assert folder.get("a") == b"other" and whole(tmp_path) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "nothing"])
def test_a_damaged_file_is_none_and_goes(tmp_path: Path, damage: str) -> None:
    folder = Folder(str(tmp_path))
    folder.put("a", b"x" * 1000)
    data = (tmp_path / "a").read_bytes()
    left = {"cut": data[:500], "changed": data[:-1] + b"y", "nothing": b""}[damage]
    (tmp_path / "a").write_bytes(left)
    assert folder.get("a") is None and not (tmp_path / "a").exists()
    folder.put("a", b"again")
    assert folder.get("a") == b"again"


def test_a_full_disk_leaves_nothing_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(str(tmp_path))
    folder.put("a", b"fits")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    folder.put("b", b"does not")
    folder.put("c", b"is not tried")
    monkeypatch.undo()
    with pytest.warns(RuntimeWarning, match="No space left on device.*TORCHISH_CACHE") as caught:
        notices.give()
    assert len(caught) == 1 and os.listdir(tmp_path) == ["a"]
    assert folder.get("a") == b"fits" and folder.get("b") is None


def test_the_oldest_files_make_room(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path), limit=5000)
    for k in range(10):
        folder.put(str(k), b"x" * 1000)
        os.utime(tmp_path / str(k), (1e9 + k, 1e9 + k))
    assert folder.get("3") is not None  # reading an old file makes it new
    (tmp_path / "left.part").write_bytes(b"of a process that was killed")
    os.utime(tmp_path / "left.part", (1e9, 1e9))
    (tmp_path / "now.part").write_bytes(b"x" * 9000)  # somebody writes it at this moment
    folder.sweep()
    assert sorted(os.listdir(tmp_path)) == ["3", "7", "8", "9", "now.part"]


@pytest.mark.parametrize("call", ["mkstemp", "replace"])
def test_a_folder_that_goes_while_it_is_written_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "cache"
    folder = Folder(str(path))
    owner = {"mkstemp": disk.tempfile, "replace": os}[call]
    real, gone = getattr(owner, call), []

    def removed_first(*args: Any) -> Any:
        if not gone:
            gone.append(shutil.rmtree(path))
        return real(*args)

    monkeypatch.setattr(owner, call, removed_first)
    folder.put("a", b"contents")
    assert gone and not folder.is_off and folder.get("a") == b"contents" and whole(path) == 1


def test_threads_and_sweeps_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SWEEP", 3)
    folders = [Folder(str(tmp_path), limit=4000) for _ in range(4)]
    wrong = []

    def work(folder: Folder) -> None:
        for k in range(60):
            folder.put(str(k % 7), str(k % 7).encode() * 500)
            found = folder.get(str(k % 5))
            if found not in (None, str(k % 5).encode() * 500):
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(f,)) for f in folders]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not wrong and not any(f.is_off for f in folders) and whole(tmp_path) <= 7


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_two_processes_that_start_together_share_a_folder(tmp_path: Path, compiled: str) -> None:
    started = [start(tmp_path, TORCHISH_COMPILE=compiled) for _ in range(2)]
    both = [ended(process) for process in started]
    assert both[0][0] == both[1][0] and not both[0][2] and not both[1][2]
    assert whole(tmp_path) >= (1 if compiled == "1" else 10)


def test_a_full_disk_changes_no_result(tmp_path: Path) -> None:
    loss, _, err = ended(start(tmp_path, limit=2048))
    assert err.count("cannot be written") <= 2 and "File too large" in err
    whole(tmp_path)
    again, _, err = ended(start(tmp_path))
    assert again == loss and not err and whole(tmp_path) >= 1


@pytest.mark.parametrize("folder", ["/proc/none", "file"])
def test_a_folder_that_cannot_be_written_changes_no_result(folder: str, tmp_path: Path) -> None:
    if folder == "file":
        (tmp_path / "file").write_text("")
        folder = str(tmp_path / "file")
    code = "import torchish as torch; print((torch.ones(3) * 2).sum().item())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env={**os.environ, "TORCHISH_CACHE": folder, "TORCHISH_COMPILE": "1"},
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout == "6.0\n", done.stderr
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr


def test_a_second_run_traces_no_kernel(tmp_path: Path) -> None:
    """Interpreted, it needs no jaxpr: shapes, gradients' needs and plans are on disk."""
    first = ended(start(tmp_path, TORCHISH_COMPILE="0"))
    second = ended(start(tmp_path, TORCHISH_COMPILE="0"))
    assert first[0] == second[0] and first[1] > 10 and second[1] == 0
