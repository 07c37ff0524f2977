"""A small program for launchers: `ranks.py WAY`; says who it is, then behaves or misbehaves."""

import os
import signal
import sys
import time

NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_PORT",
         "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID")  # fmt: skip


def main(way):
    told = {name: os.environ[name] for name in NAMES}
    folder = sys.argv[2] if len(sys.argv) > 2 else ""
    if folder:
        with open(os.path.join(folder, f"pid{told['RANK']}"), "w") as file:
            file.write(str(os.getpid()))
    line = " ".join(f"{k}={v}" for k, v in told.items())
    os.write(1, f"{line}\n".encode())  # at once: the ranks share their output
    first = told["RANK"] == "0"
    if way == "raise" and not first:
        from torch.distributed.elastic.multiprocessing.errors import record

        @record
        def fail():
            raise ValueError("boom")

        fail()
    if way == "second_try" and told["TORCHELASTIC_RESTART_COUNT"] == "0" and not first:
        sys.exit(3)
    if way == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if way in ("raise", "sleep", "stubborn"):
        time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
