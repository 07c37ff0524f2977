"""Start processes that belong together and end together.

Invariant: when one process fails the others are ended, and `join` raises what the first one raised.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from .._basics.errors import shown_as


@shown_as("torch.multiprocessing.spawn")
class ProcessException(Exception):
    """A process of a job failed."""

    def __init__(self, msg: str, error_index: int, pid: int) -> None:
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.error_pid = pid

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.error_pid

    def __reduce__(self) -> Any:
        return type(self), (self.msg, self.error_index, self.pid)


@shown_as("torch.multiprocessing.spawn")
class ProcessRaisedException(ProcessException):
    """A process ended with a Python exception."""


@shown_as("torch.multiprocessing.spawn")
class ProcessExitedException(ProcessException):
    """A process was killed or left with an exit code other than 0."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int, exit_code: int,
        signal_name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(msg, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self) -> Any:
        fields = (self.msg, self.error_index, self.pid, self.exit_code, self.signal_name)
        return type(self), fields


def _child(
    fn: Callable[..., Any], index: int, args: Sequence[Any], report: str, parent: int
) -> None:
    _die_with(parent)
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        with open(report, "w") as file:
            file.write(traceback.format_exc())
        sys.stdout.flush()
        sys.exit(1)


def _die_with(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends (Linux)."""
    if sys.platform.startswith("linux"):
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


class ProcessContext:
    """The processes that `spawn(join=False)` started."""

    __module__ = "torch.multiprocessing.spawn"

    def __init__(self, processes: list[Any], reports: list[str]) -> None:
        self.processes = processes
        self.error_files = reports
        self.sentinels = {p.sentinel: k for k, p in enumerate(processes)}

    def pids(self) -> list[int]:
        """The processes' ids."""
        return [int(p.pid) for p in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait for some processes to end; True when all have.

        Raises: ProcessRaisedException, ProcessExitedException for the first that failed, after the
            others have been ended.
        """
        if not self.sentinels:
            return True
        ready = multiprocessing.connection.wait(list(self.sentinels), timeout)
        failed = None
        for sentinel in ready:
            index = self.sentinels.pop(sentinel)  # type: ignore[call-overload]
            self.processes[index].join()
            if self.processes[index].exitcode != 0:
                failed = index
                break
        if failed is None:
            return not self.sentinels
        self._end(grace_period)
        raise self._failure(failed)

    def _end(self, grace_period: float | None) -> None:
        """Others may notice by themselves for a while, then they are ended."""
        end = time.monotonic() + (grace_period or 0.0)
        for p in self.processes:
            p.join(max(0.0, end - time.monotonic()))
        for p in self.processes:
            if p.is_alive():
                p.terminate()
        end = time.monotonic() + 30
        for p in self.processes:
            p.join(max(0.1, end - time.monotonic()))
            if p.is_alive():
                p.kill()
                p.join()

    def _failure(self, index: int) -> ProcessException:
        process = self.processes[index]
        text = ""
        with contextlib.suppress(OSError), open(self.error_files[index]) as file:
            text = file.read()
        if text:
            return ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error:\n{text}",
                index,
                process.pid,
            )
        code = process.exitcode
        if code < 0:
            name = signal.Signals(-code).name
            return ProcessExitedException(
                f"process {index} terminated with signal {name}", index, process.pid, code, name
            )
        return ProcessExitedException(
            f"process {index} terminated with exit code {code}", index, process.pid, code
        )


class SpawnContext(ProcessContext):
    """`ProcessContext` for the start method "spawn"."""

    __module__ = "torch.multiprocessing.spawn"


def start_processes(
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Call `fn(i, *args)` in `nprocs` processes.

    Args:
        join: wait for all; otherwise returns a context with `join`.
        daemon: end the processes when this one ends.
        start_method: "spawn" (or "forkserver"; "fork" only before anything was computed).
    """
    context: Any = multiprocessing.get_context(start_method)
    folder = tempfile.mkdtemp(prefix="torchish-spawn-")
    processes, reports = [], []
    for index in range(nprocs):
        report = os.path.join(folder, str(index))
        process = context.Process(
            target=_child, args=(fn, index, tuple(args), report, os.getpid()), daemon=daemon
        )
        process.start()
        processes.append(process)
        reports.append(report)
    made = SpawnContext(processes, reports)
    if not join:
        return made
    while not made.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """`start_processes` with fresh interpreters.

    Example:
        >>> torch.multiprocessing.spawn(train, args=(world_size,), nprocs=world_size)
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)
