"""Workers that are threads: multiprocessing_context="thread".

Invariant: a thread refers to the pool's queues and flag but never to the pool or the iterator, so
dropping the iterator ends the threads.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from typing import Any

from .worker import Died, WorkerSpec, enter_worker, serve, worker_copy

_JOIN_AT_EXIT = 2.0  # seconds that the interpreter waits at its end for a batch under way
_running: set[threading.Thread] = set()
_switches: set[_Switch] = set()
_is_registered = False


class _Switch:
    """Turns the threads of one pool off. A plain flag: finalizers may call it anywhere."""

    def __init__(self, inboxes: list[queue.SimpleQueue[Any]]) -> None:
        self.is_off = False
        self._inboxes = inboxes

    def turn_off(self) -> None:
        """End the threads as soon as they have finished the sample batch they are at."""
        if not self.is_off:
            self.is_off = True
            _switches.discard(self)
            for inbox in self._inboxes:
                inbox.put(None)


class ThreadPool:
    """One thread per worker. `stop` ends them; it is safe to call from a finalizer."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._inboxes: list[queue.SimpleQueue[Any]] = [
            queue.SimpleQueue() for _ in range(spec.num_workers)
        ]
        switch = _Switch(self._inboxes)
        self.stop = switch.turn_off
        _switches.add(switch)
        _register_exit()
        self.processes = []
        for worker_id, inbox in enumerate(self._inboxes):
            thread = threading.Thread(
                target=_run,
                args=(spec, worker_id, worker_copy(spec.dataset), inbox, self._results, switch),
                name=f"pt_data_worker_{worker_id}",
                daemon=True,
            )
            thread.start()
            self.processes.append(thread)

    def send(self, worker_id: int, message: Any) -> None:
        """Put a message into a worker's inbox; never blocks."""
        self._inboxes[worker_id].put(message)

    def receive(self, timeout: float) -> Any:
        """The next result of any worker. Raises: queue.Empty after `timeout` seconds."""
        return self._results.get(timeout=timeout)


def _run(
    spec: WorkerSpec,
    worker_id: int,
    dataset: Any,
    inbox: queue.SimpleQueue[Any],
    results: queue.SimpleQueue[Any],
    switch: _Switch,
) -> None:
    thread = threading.current_thread()
    _running.add(thread)
    try:
        enter_worker(spec, worker_id, dataset, "thread")
        serve(spec, worker_id, dataset, inbox.get, results.put, lambda: switch.is_off)
    except BaseException as error:
        results.put(Died(worker_id, repr(error), thread.name))
    finally:
        _running.discard(thread)


def _register_exit() -> None:
    global _is_registered
    if not _is_registered:
        _is_registered = True
        atexit.register(_at_exit)


def _at_exit() -> None:
    """End all threads before the interpreter does: none may be inside native code then."""
    for switch in list(_switches):
        switch.turn_off()
    deadline = time.monotonic() + _JOIN_AT_EXIT
    for thread in list(_running):
        thread.join(max(0.0, deadline - time.monotonic()))
