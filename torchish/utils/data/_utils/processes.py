"""Workers that are processes: the default.

Invariants: each worker has a channel of its own, so one that dies in the middle of a message harms
no other; the main process never waits to give it a task. A worker ends when its channel is closed,
and soon when its parent has gone. Only the process that started a pool ends it: children that
inherit one leave it alone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import queue
import select
import signal
import socket
import threading
import time
import warnings
import weakref
from collections import deque
from typing import Any

from ...._basics.forking import in_child, interpret_only
from ...._utils import ExceptionWrapper
from . import batch_memory, wire
from .batch_memory import Arrivals
from .channel import Channel
from .worker import Died, Result, Resume, Task, WorkerSpec, enter_worker, serve

_LOOK = 0.5  # seconds between two looks at whether the parent lives
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
        self._channels: list[Channel] = []
        self._arrivals: list[Arrivals] = []
        self.processes: list[Any] = []
        self._ready: deque[Any] = deque()
        self._gone: set[int] = set()
        self._poll = select.poll()
        self._workers: dict[int, int] = {}  # by the descriptor of a channel or a sentinel
        _pools.add(self)
        try:
            for worker_id in range(spec.num_workers):
                self._start(spec, worker_id, context)
        except BaseException:
            self.stop()
            raise

    def _start(self, spec: WorkerSpec, worker_id: int, context: Any) -> None:
        ours, theirs = socket.socketpair()
        self._channels.append(Channel(ours, is_patient=True))
        self._arrivals.append(Arrivals())
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
        for descriptor in (ours.fileno(), process.sentinel):
            self._workers[descriptor] = worker_id
            self._poll.register(descriptor, select.POLLIN)

    def send(self, worker_id: int, message: Any) -> None:
        """Send a message to a worker; one that has died is noticed when receiving."""
        channel = self._channels[worker_id]
        freed = [] if isinstance(message, Resume) else self._arrivals[worker_id].freed()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            resumes = isinstance(message, Resume)
            parts = [message.pipe_seed] if resumes else [
                freed, message.epoch, message.index, message.keys
            ]  # fmt: skip
            wire.send(channel, [parts])
            if channel.has_unsent:
                self._poll.modify(channel.fileno(), select.POLLIN | select.POLLOUT)

    def receive(self, timeout: float) -> Any:
        """The next result of any worker. Raises: queue.Empty after `timeout` seconds."""
        if self._ready:
            return self._ready.popleft()
        end = time.monotonic() + timeout
        while not self._ready:
            found = self._poll.poll(max(0.0, end - time.monotonic()) * 1000)
            if not found:
                raise queue.Empty
            for worker_id in dict.fromkeys([self._workers[fd] for fd, _ in found]):
                self._exchange(worker_id)
        return self._ready.popleft()

    def _exchange(self, worker_id: int) -> None:
        """Take what a worker has sent, and give it what waits for room."""
        channel, arrivals = self._channels[worker_id], self._arrivals[worker_id]
        try:
            if channel.has_unsent:
                channel.flush()
                if not channel.has_unsent:
                    self._poll.modify(channel.fileno(), select.POLLIN)
            channel.fill()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._ready.append(self._ended(worker_id))
            return
        while (message := channel.take()) is not None:
            self._ready.append(Result(worker_id, *wire.decoded(*message, arrivals)))

    def _ended(self, worker_id: int) -> Any:
        """A worker has ended by itself, which it never should."""
        process = self.processes[worker_id]
        process.join(_GRACE)
        if worker_id not in self._gone:
            self._gone.add(worker_id)
            self._poll.unregister(self._channels[worker_id].fileno())
            self._poll.unregister(process.sentinel)
        return Died(worker_id, _how_it_ended(process.pid, process.exitcode), str(process.pid))

    def stop(self) -> None:
        """End the workers and wait until they have ended: each may finish the batch it is at."""
        if self._is_stopped or os.getpid() != self._owner:
            return
        self._is_stopped = True
        for channel in self._channels:
            channel.close()
        self._arrivals.clear()
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
        for channel in self._channels:
            channel.close()


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


def _main(spec: WorkerSpec, worker_id: int, sock: socket.socket) -> None:
    interpret_only()
    batch_memory.share_batches()
    channel = Channel(sock)
    watch = threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True)
    watch.start()

    def receive() -> Any:
        try:
            task = wire.decoded(*channel.receive())
        except EOFError:
            return None
        if len(task) == 1:
            return Resume(*task)
        assert batch_memory.pool is not None
        batch_memory.pool.give_back(task[0])
        return Task(*task[1:])

    try:
        enter_worker(spec, worker_id, spec.dataset, "multiprocessing")
        serve(spec, worker_id, spec.dataset, receive, functools.partial(_answer, channel))
    except (BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        pass  # the main process has gone on or is being interrupted itself


def _die_with(parent: int) -> None:
    """End this process when its parent has ended, whatever it is doing."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


def _answer(channel: Channel, result: Result) -> None:
    box = [(result.epoch, result.index, result.data)]
    result.forget()
    try:
        wire.send(channel, box)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception:
        failed = box[0][2] if box else None
        if isinstance(failed, ExceptionWrapper):
            failed.exc_type = RuntimeError  # its own class means nothing over there
        else:
            failed = ExceptionWrapper(where=f"in DataLoader worker process {result.worker_id}")
        wire.send(channel, [(result.epoch, result.index, failed)])
