"""Freed memory stays in the process: the next large block costs no page faults."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
import torchish

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    global found
    before = faults()
    np.full(16 << 20, 1.0, np.float32)
    found = faults() - before

for _ in range(3):
    RUN(use)
print(found)
"""
HERE = "RUN = lambda f: f()\n"
IN_A_THREAD = """
import threading
def RUN(f):
    thread = threading.Thread(target=f)
    thread.start()
    thread.join()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's thresholds")
@pytest.mark.parametrize("setting", ["keep", "default"])
@pytest.mark.parametrize("where", [HERE, IN_A_THREAD], ids=["here", "in a thread"])
def test_blocks_of_64_mib(where: str, setting: str) -> None:
    env = {**os.environ, "TORCHISH_MALLOC": setting}
    program = where + PROGRAM
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=300
    )
    # 64 MiB are 32 pages of 2 MiB at least.
    few = int(done.stdout) < 16
    assert few is (setting == "keep"), done.stderr


TRIMMED = """
import numpy as np
from torchish._basics import allocator

def resident():
    return int(open("/proc/self/statm").read().split()[1]) >> 8  # MiB

allocator.keep_freed_memory()
blocks = [np.full(1 << 20, 1.0, np.float32) for _ in range(64)]
held = blocks[-1]  # the heap's end is in use, so that the rest stays
most = resident()
del blocks
kept = resident()
allocator.trim()
print(most - kept, most - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's thresholds")
def test_what_came_once_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRIMMED], capture_output=True, text=True, timeout=300
    )
    before, after = map(int, done.stdout.split())
    assert before < 64 < 192 < after, done.stderr
