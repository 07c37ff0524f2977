"""The launcher: starts the processes of a job on this node.

    python -m torchish.distributed.run --nproc-per-node 2 script.py --its --arguments

Options, environment and report are torchrun's; the script runs as `python -m torchish script.py`
runs it, so that `import torch` is torchish. When one process fails the others are ended and the
exit code is 1.

Source: https://pytorch.org/docs/stable/elastic/run.html
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from typing import Any

from .._alias import install_in_children
from .._basics.errors import not_supported
from ._errors import DistError
from ._launch import Job, Workers
from ._nodes import Fixed, Meeting
from .elastic.multiprocessing.errors import ChildFailedError

__all__ = ["get_args_parser", "main", "parse_args", "run"]


def get_args_parser() -> argparse.ArgumentParser:
    """torchrun's options; each may come from PET_<NAME> in the environment instead."""
    parser = argparse.ArgumentParser(
        prog="torchish.distributed.run", description="Start the processes of a job on this node."
    )

    def add(name: str, default: Any = None, **kwargs: Any) -> None:
        dest = name.lstrip("-").replace("-", "_")
        names = [name, "--" + dest] if "_" in dest else [name]
        if dest == "module":
            names = ["-m", *names]
        told = os.environ.get("PET_" + dest.upper())
        if kwargs.get("action") == "store_true":
            default = bool(int(told)) if told else False
        elif told is not None:
            default = told
        parser.add_argument(*names, dest=dest, default=default, **kwargs)

    add("--nnodes", "1:1", help="number of nodes")
    add("--nproc-per-node", "1", help="processes on this node: a number, gpu, cpu or auto")
    add("--node-rank", 0, type=int, help="this node's number (static rendezvous)")
    add("--master-addr", "127.0.0.1", help="address of node 0 (static rendezvous)")
    add("--master-port", None, type=int, help="port of the first rank (static rendezvous)")
    add("--local-addr", None, help="this node's address, where it cannot be found out")
    add("--standalone", action="store_true", help="one node; picks a free port by itself")
    add("--rdzv-backend", "static", help="static or c10d")
    add("--rdzv-endpoint", "", help="host:port where nodes meet (c10d)")
    add("--rdzv-id", "none", help="name of the job")
    add("--rdzv-conf", "", help="key=value,...; join_timeout and timeout count, in seconds")
    add("--max-restarts", 0, type=int, help="how often failed processes are started again")
    add("--monitor-interval", 0.1, type=float, help="seconds between looks at the processes")
    add("--shutdown-timeout", 30, type=int, help="seconds from the first signal to SIGKILL")
    add("--signals-to-handle", Job.signals, help="signals that end the job")
    add("--role", "default", help="name of the processes")
    add("--module", action="store_true", help="run a module, as python -m does")
    add("--no-python", action="store_true", help="run a program that is no Python script")
    add("--run-path", action="store_true", help="the same as running the script")
    add("--log-dir", None, help="folder of logs")
    add("--redirects", "0", help="to logs: 0 nothing, 1 stdout, 2 stderr, 3 both, or 0:1,1:3")
    add("--tee", "0", help="to logs and to the console, written as for --redirects")
    add("--local-ranks-filter", "", help="local ranks whose output is shown: 0,1")
    add("--virtual-local-rank", action="store_true", help="each process sees one GPU, number 0")
    add("--start-method", "spawn", choices=["spawn", "fork", "forkserver"],
        help="accepted; scripts are always fresh processes")  # fmt: skip
    add("--event-log-handler", "null", help="accepted; there are no events")
    add("--logs-specs", None, help=argparse.SUPPRESS)
    add("--numa-binding", None, help=argparse.SUPPRESS)
    parser.add_argument("training_script", help="what every process runs")
    parser.add_argument("training_script_args", nargs=argparse.REMAINDER)
    return parser


def parse_args(args: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's options."""
    return get_args_parser().parse_args(args)


def _nodes(text: str) -> int:
    low, _, high = text.partition(":")
    if high and high != low:
        raise not_supported(f"--nnodes={text} (a job whose size changes)", f"--nnodes={high}")
    if int(low) < 1:
        raise ValueError(f"nnodes must be positive, got {text}")
    return int(low)


def _local_size(text: str) -> int:
    if text.isdigit():
        if int(text) == 0:
            raise ValueError("nproc_per_node must be positive")
        return int(text)
    if text == "cpu":
        return os.cpu_count() or 1
    if text in ("gpu", "auto"):
        # In a process of its own: who asks for GPUs takes hold of them.
        code = "import torchish; print(torchish.cuda.device_count())"
        found = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                   check=True).stdout.split()[-1])  # fmt: skip
        if found or text == "auto":
            return found or os.cpu_count() or 1
        raise ValueError("Cuda is not available.")
    raise ValueError(f"Unsupported nproc_per_node value: {text}")


def _streams(text: str, local_size: int) -> dict[int, int]:
    """`3` or `0:1,1:3` as local rank -> 0 nothing, 1 stdout, 2 stderr, 3 both."""
    if re.fullmatch(r"[0123]", text):
        return dict.fromkeys(range(local_size), int(text))
    if not re.fullmatch(r"(\d+:[0123],)*(\d+:[0123])", text):
        raise ValueError(f"{text} does not match: <0|1|2|3> or <local rank>:<0|1|2|3>,...")
    return {int(k): int(v) for k, v in (part.split(":") for part in text.split(","))}


def _command(args: argparse.Namespace) -> list[str]:
    script = [args.training_script, *args.training_script_args]
    if args.no_python:
        if args.module:
            raise ValueError(
                "Don't use both the '--no-python' flag and the '--module' flag at the same time."
            )
        install_in_children()
        return script
    return [sys.executable, "-u", "-m", "torchish", *(["-m"] if args.module else []), *script]


def _job(args: argparse.Namespace) -> Job:
    if args.numa_binding is not None:
        raise not_supported("--numa-binding", "numactl with --no-python")
    if args.logs_specs is not None:
        raise not_supported("--logs-specs", "--log-dir")
    size = _local_size(args.nproc_per_node)
    run_id = str(uuid.uuid4()) if args.standalone else args.rdzv_id
    root = args.log_dir or tempfile.mkdtemp(prefix="torchelastic_")
    shown = [int(x) for x in args.local_ranks_filter.split(",") if x]
    return Job(
        name=args.training_script,
        command=_command(args),
        local_size=size,
        run_id=run_id,
        role=args.role,
        max_restarts=args.max_restarts,
        interval=args.monitor_interval,
        grace=args.shutdown_timeout,
        log_dir=os.path.join(root, run_id),
        redirects=_streams(args.redirects, size),
        tee=_streams(args.tee, size),
        shown=frozenset(shown) if shown else None,
        virtual_local_rank=args.virtual_local_rank,
        signals=args.signals_to_handle,
    )


def _rendezvous(args: argparse.Namespace, run_id: str) -> Fixed | Meeting:
    nodes = _nodes(args.nnodes)
    if args.standalone:
        if nodes != 1:
            raise ValueError("--standalone is for one node")
        return Fixed(0, 1, "localhost", 0)
    options = dict(part.split("=", 1) for part in args.rdzv_conf.split(",") if part)
    if args.rdzv_backend == "c10d":
        seconds = float(options.get("join_timeout") or options.get("timeout") or 600)
        return Meeting(run_id, args.rdzv_endpoint, nodes, seconds, args.local_addr or "")
    if args.rdzv_backend != "static":
        raise not_supported(f"--rdzv-backend={args.rdzv_backend}", "--rdzv-backend=c10d")
    address, port = args.master_addr, args.master_port
    if args.rdzv_endpoint:
        host, _, number = args.rdzv_endpoint.partition(":")
        address, port = host, port or int(number or 29500)
    if not 0 <= args.node_rank < nodes:
        raise ValueError(f"--node-rank={args.node_rank} is not in a job of {nodes} nodes")
    if nodes > 1 and args.max_restarts:
        raise not_supported("--max-restarts over several static nodes", "--rdzv-backend=c10d")
    if nodes == 1 and port is None:
        port = 0  # any free one
    return Fixed(args.node_rank, nodes, address, 29500 if port is None else port)


class _Stopped(BaseException):
    """A signal asks the launcher to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def _stop(signum: int, frame: Any) -> None:
    raise _Stopped(signum)


def _attempt(job: Job, nodes: Fixed | Meeting, number: int) -> Workers:
    """Run the processes once; returns when all have ended."""
    workers = Workers(job, nodes.join(number, job.local_size), number)
    try:
        looked = time.monotonic()
        while not workers.poll():
            time.sleep(job.interval)
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                if nodes.others_failed():
                    break
    except _Stopped as stop:
        workers.end(stop.signum)
        raise
    finally:
        workers.end()
    return workers


def run(args: argparse.Namespace) -> None:
    """Run a job's part on this node until it has ended.

    Raises: ChildFailedError when processes failed and no restart is left, DistError when
        another node's did.
    """
    job = _job(args)
    handled = [getattr(signal, name) for name in job.signals.split(",") if name]
    before = {s: signal.signal(s, _stop) for s in handled}
    nodes = _rendezvous(args, job.run_id)
    try:
        for number in range(job.max_restarts + 1):
            try:
                workers = _attempt(job, nodes, number)
            except BaseException:
                nodes.leave(failed=True, wait=False)
                raise
            if not nodes.leave(bool(workers.failures), wait=True):
                return
        if workers.failures:
            raise ChildFailedError(job.name, workers.failures)
        raise DistError("processes of another node failed; this node's were ended")
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def main(args: Sequence[str] | None = None) -> None:
    """The command; the exit code is 0 only if every process's was."""
    try:
        run(parse_args(args))
    except ChildFailedError as error:
        sys.exit(f"{ChildFailedError.__module__}.{ChildFailedError.__name__}: {error}")
    except _Stopped as stop:
        name = signal.Signals(stop.signum).name
        sys.exit(f"{name} received: the job's processes were ended")


if __name__ == "__main__":
    main()
