"""The same script prints the same bits at every run, whatever the clock and the threads do.

Runs are few here; TORCHISH_TEST_RUNS=20 asks for the full number.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RUNS = int(os.environ.get("TORCHISH_TEST_RUNS", "3"))

TRAINING = """
import sys
sys.setswitchinterval(float(sys.argv[1]))
import torchish as torch
from torchish import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(16, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh(), nn.Linear(96, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(80):
    x = torch.randn(1024, 16)
    loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item().hex())
from torchish._basics.stats import stats
print(stats.programs_interpreted, stats.programs_run)
"""

# Four threads with one structure: how many flushes each was ahead of the others must not matter.
THREADS = """
import sys, threading
sys.setswitchinterval(float(sys.argv[1]))
import torchish as torch
from torchish import nn
from torchish._basics.stats import stats
torch.manual_seed(0)
made = []
for k in range(4):
    model = nn.Sequential(nn.Linear(8, 96), nn.Tanh(), nn.Linear(96, 1))
    made.append((model, torch.optim.Adam(model.parameters(), lr=1e-2), torch.randn(1024, 8)))
torch.stack([x.sum() for _, _, x in made]).tolist()
logs = [[] for _ in range(4)]
def work(k):
    model, optimizer, x = made[k]
    for step in range(40 + 20 * k):
        loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        logs[k].append(loss.item().hex())
threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("\\n".join(x for log in logs for x in log))
print(stats.programs_interpreted, stats.programs_run)
"""


def logs_of(script: str, folder: Path) -> set[str]:
    """The different logs of all runs: the first with an empty cache, one of three without one."""
    found = set()
    for k in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, str((1e-5, 5e-3, 1e-3)[k % 3])],
            capture_output=True, text=True, timeout=300, check=True,
            env={**os.environ, "TORCHISH_CACHE": str(folder) if k % 3 < 2 else "0"},
        )  # fmt: skip
        found.add(done.stdout)
    return found


@pytest.mark.parametrize("script", [TRAINING, THREADS], ids=["one thread", "four threads"])
def test_the_same_script_prints_the_same_bits(script: str, tmp_path: Any) -> None:
    """Long enough for programs to take over, compiled by the thread in the background."""
    logs = logs_of(script, tmp_path)
    assert len(logs) == 1
    *losses, counts = logs.pop().splitlines()
    interpreted, run = map(int, counts.split())
    assert interpreted >= 3 and run > 10
    values = np.array([float.fromhex(x) for x in losses])
    assert np.isfinite(values).all() and values[-1] < values[0] / 2
