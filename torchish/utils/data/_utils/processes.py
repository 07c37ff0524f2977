"""Workers that are processes: the default.

Invariants: each worker has a pipe of its own, so one that dies in the middle of a message harms no
other; it drains its pipe at all times, so the main process never waits to give it a task. A worker
ends when its pipe is closed, and at once when its parent has gone. Only the process that started a
pool ends it: children that inherit one leave it alone.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import selectors
import signal
import threading
import time
import warnings
import weakref
from collections import deque
from typing import Any

from ...._basics.forking import in_child, interpret_only
from ...._utils import ExceptionWrapper
from . import wire
from .worker import Died, Result, WorkerSpec, enter_worker, serve

_WATCH = 5.0  # seconds between two looks at whether the parent lives
_LOOK = 0.5  # and once it has closed the pipe
_GRACE = 5.0  # seconds that a worker has to end by itself, as in PyTorch
_UNPICKLED = (
    "Got pickle error when attempting to start a worker Process. This might be because the worker "
    "Process arguments are not picklable. Python 3.14+ changed the multiprocessing start method in "
    "non-Mac POSIX platforms to 'forkserver', which requires the worker Process arguments to be "
    "picklable. You can also try multiprocessing.set_start_method('fork')."
)
_pools: weakref.WeakSet[ProcessPool] = weakref.WeakSet()


class ProcessPool:
    """One process per worker. `stop` ends them; it is safe to call from a finalizer."""

    def __init__(self, spec: WorkerSpec, context: Any) -> None:
        self._owner = os.getpid()
        self._is_stopped = False
        self._pipes: list[Any] = []
        self.processes: list[Any] = []
        self._ready: deque[int] = deque()
        self._gone: set[int] = set()
        self._selector = selectors.PollSelector()
        _pools.add(self)
        try:
            for worker_id in range(spec.num_workers):
                self._start(spec, worker_id, context)
        except BaseException:
            self.stop()
            raise

    def _start(self, spec: WorkerSpec, worker_id: int, context: Any) -> None:
        ours, theirs = context.Pipe()
        self._pipes.append(ours)
        process = context.Process(target=_main, args=(spec, worker_id, theirs), daemon=True)
        try:
            with warnings.catch_warnings():
                # Of threads that a forked child lacks (Python, JAX): workers do without them.
                warnings.filterwarnings("ignore", r".*\bfork\(\)")
                process.start()
        except (TypeError, AttributeError, pickle.PicklingError):
            warnings.warn(_UNPICKLED, stacklevel=7)
            raise
        finally:
            theirs.close()
        self.processes.append(process)
        self._selector.register(ours, selectors.EVENT_READ, worker_id)
        self._selector.register(process.sentinel, selectors.EVENT_READ, worker_id)

    def send(self, worker_id: int, message: Any) -> None:
        """Send a message to a worker; one that has died is noticed when receiving."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._pipes[worker_id].send(message)

    def receive(self, timeout: float) -> Any:
        """The next result of any worker. Raises: queue.Empty after `timeout` seconds."""
        if not self._ready:
            found = self._selector.select(timeout)
            self._ready.extend(dict.fromkeys(key.data for key, _ in found))
        if not self._ready:
            raise queue.Empty
        worker_id = self._ready.popleft()
        pipe = self._pipes[worker_id]
        try:
            if pipe.poll():
                return wire.receive(pipe)
        except (EOFError, ConnectionResetError):
            pass
        return self._ended(worker_id)

    def _ended(self, worker_id: int) -> Any:
        """A worker has ended by itself, which it never should."""
        process = self.processes[worker_id]
        process.join(_GRACE)
        if worker_id not in self._gone:
            self._gone.add(worker_id)
            self._selector.unregister(self._pipes[worker_id])
            self._selector.unregister(process.sentinel)
        return Died(worker_id, _how_it_ended(process.pid, process.exitcode), str(process.pid))

    def stop(self) -> None:
        """End the workers and wait until they have ended: each may finish the batch it is at."""
        if self._is_stopped or os.getpid() != self._owner:
            return
        self._is_stopped = True
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()
        end = time.monotonic() + _GRACE
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        for process in self.processes:
            process.join(_GRACE)
            if process.is_alive():
                process.kill()
                process.join()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's ends, or workers would not see them close."""
        self._is_stopped = True
        for pipe in self._pipes:
            pipe.close()


@in_child
def _abandon_pools() -> None:
    for pool in list(_pools):
        pool.abandon()
    _pools.clear()


def _how_it_ended(pid: int, code: int | None) -> str:
    """PyTorch's words for the end of a worker."""
    if code is not None and code < 0:
        name = signal.strsignal(-code) or str(-code)
        if -code == signal.SIGBUS:
            return (
                f"DataLoader worker (pid {pid}) is killed by signal: {name}. It is possible that "
                "dataloader's workers are out of shared memory. Please try to raise your shared "
                "memory limit."
            )
        return f"DataLoader worker (pid {pid}) is killed by signal: {name}. "
    return (
        f"DataLoader worker (pid {pid}) exited unexpectedly with exit code {code}. Details are "
        "lost due to multiprocessing. Rerunning with num_workers=0 may give better error trace."
    )


# --- in the worker ---


def _main(spec: WorkerSpec, worker_id: int, pipe: Any) -> None:
    interpret_only()
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    is_closed = threading.Event()
    reader = threading.Thread(
        target=_read, args=(pipe, inbox, is_closed, os.getppid()), daemon=True
    )
    reader.start()
    try:
        enter_worker(spec, worker_id, spec.dataset, "multiprocessing")
        serve(
            spec, worker_id, spec.dataset, inbox.get,
            lambda result: _answer(pipe, result), is_closed.is_set,
        )  # fmt: skip
    except (BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        pass  # the main process has gone on or is being interrupted itself


def _read(
    pipe: Any, inbox: queue.SimpleQueue[Any], is_closed: threading.Event, parent: int
) -> None:
    """Move messages from the pipe to the inbox until the main process closes it."""
    try:
        while True:
            while not pipe.poll(_WATCH):
                if os.getppid() != parent:
                    os._exit(1)
            inbox.put(pipe.recv())
    except (EOFError, OSError):
        is_closed.set()
        inbox.put(None)
        _die_with(parent)


def _die_with(parent: int) -> None:
    """End this process when its parent has ended, whatever it is doing."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


def _answer(pipe: Any, result: Result) -> None:
    try:
        wire.send(pipe, result)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception:
        failed = result.data
        if isinstance(failed, ExceptionWrapper):
            failed.exc_type = RuntimeError  # its own class means nothing over there
        else:
            failed = ExceptionWrapper(where=f"in DataLoader worker process {result.worker_id}")
        wire.send(pipe, Result(result.worker_id, result.epoch, result.index, failed))
