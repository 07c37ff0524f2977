"""One rank of a job that goes wrong: `python -m tests.parallel.failures WAY`."""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta

import torchish as torch
import torchish.distributed as dist

TIMEOUT = timedelta(seconds=8)


def main(way: str) -> None:
    rank = int(os.environ["RANK"])
    if way == "absent" and rank == 1:
        return
    if way == "sizes":
        os.environ["WORLD_SIZE"] = str(2 + rank)
    start = time.monotonic()
    try:
        dist.init_process_group("gloo", timeout=TIMEOUT)
        dist.barrier()
        victim = 0 if way == "first_dies" else 1
        if rank == victim and way in ("dies", "first_dies"):
            os._exit(9)
        if rank == victim and way == "sleeps":
            time.sleep(10.5)  # past the time limit of the others
            return
        dist.all_reduce(torch.ones(4))
    except dist.DistError as error:
        print(f"{type(error).__name__} {time.monotonic() - start:.1f} {error}", flush=True)
        raise


if __name__ == "__main__":
    main(sys.argv[1])
