"""The processes of one node: started together, watched, ended together.

Invariant: no process outlives its launcher. Each has a session of its own, which is signalled as a
whole; the kernel kills the processes of a launcher that was killed itself (Linux).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._basics.settings import visible_cuda
from .elastic.multiprocessing.errors import ProcessFailure

OUT, ERR = 1, 2


@dataclass
class Job:
    """What a launcher runs, and how."""

    name: str
    command: Sequence[str]
    local_size: int
    run_id: str
    role: str = "default"
    max_restarts: int = 0
    interval: float = 0.1
    grace: float = 30.0
    log_dir: str = ""
    redirects: dict[int, int] = field(default_factory=dict)
    tee: dict[int, int] = field(default_factory=dict)
    shown: frozenset[int] | None = None  # local ranks whose output is shown; None: all
    virtual_local_rank: bool = False
    signals: str = "SIGTERM,SIGINT,SIGHUP,SIGQUIT"


@dataclass(frozen=True)
class Place:
    """Where this node's processes are within the job."""

    node: int
    nodes: int
    first: int  # global rank of its first process
    world: int
    address: str
    port: int


def _environment(job: Job, place: Place, local: int, attempt: int, errors: str) -> dict[str, str]:
    rank = str(place.first + local)
    env = dict(
        os.environ,
        LOCAL_RANK=str(local),
        RANK=rank,
        ROLE_RANK=rank,
        ROLE_NAME=job.role,
        GROUP_RANK=str(place.node),
        NODE_RANK=str(place.node),
        LOCAL_WORLD_SIZE=str(job.local_size),
        WORLD_SIZE=str(place.world),
        ROLE_WORLD_SIZE=str(place.world),
        GROUP_WORLD_SIZE=str(place.nodes),
        MASTER_ADDR=place.address,
        MASTER_PORT=str(place.port),
        TORCHELASTIC_RESTART_COUNT=str(attempt),
        TORCHELASTIC_MAX_RESTARTS=str(job.max_restarts),
        TORCHELASTIC_RUN_ID=job.run_id,
        TORCHELASTIC_USE_AGENT_STORE="False",  # the first rank holds the store
        TORCHELASTIC_ERROR_FILE=errors,
        TORCHELASTIC_SIGNALS_TO_HANDLE=job.signals,
    )
    if job.local_size > 1:
        env.setdefault("OMP_NUM_THREADS", "1")
        # Processes share the GPUs: none may take most of a GPU's memory at its start.
        env.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if job.virtual_local_rank:
        visible = visible_cuda() or ""
        devices = visible.split(",") if visible else [str(k) for k in range(job.local_size)]
        env.update(LOCAL_RANK="0", CUDA_VISIBLE_DEVICES=devices[local])
    return env


def _bound_to_parent() -> Callable[[], None] | None:
    """What a child runs first: ask the kernel to kill it when its launcher ends (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    launcher = os.getpid()

    def run() -> None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != launcher:  # it ended before we asked
            os._exit(1)

    return run


class Workers:
    """One attempt at running a node's processes."""

    def __init__(self, job: Job, place: Place, attempt: int) -> None:
        self.job = job
        self.place = place
        self.processes: list[subprocess.Popen[bytes]] = []
        self.errors: list[str] = []
        self.failures: dict[int, ProcessFailure] = {}
        self._pumps: list[threading.Thread] = []
        self._bound = _bound_to_parent()
        try:
            for local in range(job.local_size):
                self._start(local, attempt)
        except BaseException:
            self.end(signal.SIGKILL)
            raise

    def _start(self, local: int, attempt: int) -> None:
        folder = os.path.join(self.job.log_dir, f"attempt_{attempt}", str(local))
        os.makedirs(folder, exist_ok=True)
        error_file = os.path.join(folder, "error.json")
        streams = [self._stream(local, which, folder) for which in (OUT, ERR)]
        process = subprocess.Popen(
            list(self.job.command),
            env=_environment(self.job, self.place, local, attempt, error_file),
            stdout=streams[0][0],
            stderr=streams[1][0],
            start_new_session=True,
            preexec_fn=self._bound,
        )
        self.processes.append(process)
        self.errors.append(error_file)
        for (target, log), pipe in zip(streams, (process.stdout, process.stderr), strict=True):
            if pipe is not None:
                self._pump(local, pipe, log, pipe is process.stderr)
            elif target is not None and target != subprocess.DEVNULL:
                os.close(target)

    def _stream(self, local: int, which: int, folder: str) -> tuple[int | None, str]:
        """Where a process writes: (file descriptor or None for the launcher's own, log to tee)."""
        path = os.path.join(folder, "stdout.log" if which == OUT else "stderr.log")
        shown = self.job.shown is None or local in self.job.shown
        if self.job.tee.get(local, 0) & which:
            if shown:
                return subprocess.PIPE, path
        elif not self.job.redirects.get(local, 0) & which:
            return (None, "") if shown else (subprocess.DEVNULL, "")
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), ""

    def _pump(self, local: int, pipe: Any, log: str, is_error: bool) -> None:
        """Copy a process's lines to its log and, with its name in front, to ours."""
        target = sys.stderr if is_error else sys.stdout
        prefix = f"[{self.job.role}{local}]:"

        def run() -> None:
            with pipe, open(log, "wb") as file:
                for line in pipe:
                    file.write(line)
                    file.flush()
                    target.write(prefix + line.decode(errors="replace"))
                    target.flush()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._pumps.append(thread)

    def poll(self) -> bool:
        """Note what failed; whether the attempt is over."""
        over = True
        for local, process in enumerate(self.processes):
            code = process.poll()
            if code is None:
                over = False
            elif code:
                self._note(local, code)
        return over or bool(self.failures)

    def _note(self, local: int, code: int) -> None:
        rank = self.place.first + local
        if rank not in self.failures:
            pid = self.processes[local].pid
            self.failures[rank] = ProcessFailure(local, pid, code, self.errors[local])

    def end(self, signum: int = signal.SIGTERM) -> None:
        """End what still runs: a signal first, SIGKILL after the grace time."""
        for p in self.processes:
            if p.poll() is None:
                self._signal(p, signum)
        deadline = time.monotonic() + self.job.grace
        for p in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(max(0.0, deadline - time.monotonic()))
        for p in self.processes:
            self._signal(p, signal.SIGKILL)  # its session: what it started itself ends as well
            p.wait()
        if self.failures:
            for local, p in enumerate(self.processes):
                if p.returncode:
                    self._note(local, p.returncode)
        for thread in self._pumps:
            thread.join(5)

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], signum: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signum)
