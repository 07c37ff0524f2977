"""Workers that are processes, started by `spawn` or `forkserver`, for datasets that hold the GIL.

Invariant: no lock is shared between processes (each worker has a pipe of its own), so a worker that
is killed cannot block the others; a worker reads its pipe in a thread, so the consumer never blocks
while it sends; a closed pipe ends the worker.
"""

from __future__ import annotations

import pickle
import queue
import threading
from collections import deque
from multiprocessing import connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from .... import _host
from ...._core.errors import not_supported
from ...._utils import ExceptionWrapper
from .worker import Died, Result, WorkerSpec, enter_worker, serve


class ProcessPool:
    """One process per worker. `stop` ends them; it is safe to call from a finalizer.

    Raises: NotSupportedError for the start method `fork`.
    """

    def __init__(self, spec: WorkerSpec, context: Any) -> None:
        if context.get_start_method() == "fork":
            raise not_supported(
                "data-loading workers started by fork (a process forked after JAX has run "
                "deadlocks)",
                "multiprocessing_context='spawn' or 'forkserver', or None for threads",
            )
        _register_tensors()
        self._pipes: list[Any] = []
        self._processes: list[Any] = []
        self._ready: deque[Any] = deque()
        self._gone: set[int] = set()
        for worker_id in range(spec.num_workers):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_main, args=(spec, worker_id, theirs), daemon=True,
                name=f"pt_data_worker_{worker_id}",
            )  # fmt: skip
            try:
                process.start()
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                error.add_note(
                    "The dataset, collate_fn and worker_init_fn go to a worker process by pickle: "
                    "define them at the top level of a module, or use threads "
                    "(multiprocessing_context=None)."
                )
                self.stop()
                raise
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def send(self, worker_id: int, message: Any) -> None:
        """Send a message to a worker; one that has died is noticed when receiving."""
        try:
            self._pipes[worker_id].send(message)
        except (BrokenPipeError, ConnectionResetError):
            self._gone.add(worker_id)

    def receive(self, timeout: float) -> Any:
        """The next result of any worker. Raises: queue.Empty after `timeout` seconds."""
        if not self._ready:
            open_pipes = [p for i, p in enumerate(self._pipes) if i not in self._gone]
            self._ready.extend(connection.wait(open_pipes, timeout))
        if not self._ready:
            raise queue.Empty
        pipe = self._ready.popleft()
        worker_id = self._pipes.index(pipe)
        try:
            return pickle.loads(pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            self._gone.add(worker_id)
            return Died(worker_id, f"pid {self._processes[worker_id].pid}")

    def dead(self) -> list[str]:
        """Process ids of the workers that have ended."""
        return [str(self._processes[worker_id].pid) for worker_id in self._gone]

    def stop(self) -> None:
        """Close the pipes; each worker ends when it has finished the batch it is at."""
        for pipe in self._pipes:
            pipe.close()


def _main(spec: WorkerSpec, worker_id: int, pipe: Any) -> None:
    import jax

    # A worker computes on the CPU if it must; the accelerators belong to the main process.
    jax.config.update("jax_platforms", "cpu")
    _register_tensors()
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(pipe, inbox), daemon=True).start()
    enter_worker(spec, worker_id, spec.dataset, "multiprocessing")

    def send(result: Result) -> None:
        pipe.send_bytes(_pickled(result))

    try:
        serve(spec, worker_id, spec.dataset, inbox.get, send, lambda: False)
    except (BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        pass  # the main process has gone on or is being interrupted itself


def _read(pipe: Any, inbox: queue.SimpleQueue[Any]) -> None:
    """Move messages from the pipe to the inbox until the main process closes it."""
    try:
        while True:
            inbox.put(pipe.recv())
    except (EOFError, OSError):
        inbox.put(None)


def _pickled(result: Result) -> Any:
    try:
        return ForkingPickler.dumps(result)
    except Exception:
        where = f"in DataLoader worker process {result.worker_id}"
        failed = ExceptionWrapper(where=where)
        return ForkingPickler.dumps(Result(result.worker_id, result.epoch, result.index, failed))


def _register_tensors() -> None:
    """Between processes tensors travel as numpy arrays."""
    ForkingPickler.register(_host.tensor_class(), _reduce)


def _reduce(tensor: Any) -> Any:
    array = np.ascontiguousarray(_host.contents(tensor)).reshape(tuple(tensor.shape))
    return _restore, (array, tensor.requires_grad)


def _restore(array: np.ndarray[Any, Any], requires_grad: bool) -> Any:
    tensor = _host.wrap(array)
    return tensor.requires_grad_() if requires_grad else tensor
