"""Locks that a thread holds while another forks: the child finds them free, or the fork waits."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchish
from torchish._basics import forking, room
from torchish._core import compiling, running, store, structures
from torchish._random import generator


def in_child(work: Callable[[], object], seconds: int = 10) -> int:
    """The exit status of a forked child that does `work`; it is killed if that hangs."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Holder:
    """A thread that holds a lock while the block runs."""

    def __init__(self, lock: Any) -> None:
        self.lock, self.taken, self.done = lock, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        with self.lock:
            self.taken.set()
            self.done.wait(30)

    def __enter__(self) -> None:
        self.thread.start()
        assert self.taken.wait(30)

    def __exit__(self, *exc: object) -> None:
        self.done.set()
        self.thread.join()


def engine_locks() -> dict[str, Any]:
    """The locks that a child's operators, draws and backward passes take."""
    default = generator.default_generator
    return {
        "programs": running._cache_lock, "compilations": compiling._lock, "kernels": room._lock,
        "plans": store._lock, "structures": structures.structures.lock, "a generator": default.lock,
        "numpy's bits": default._bits.lock,
        "generators": generator._table_lock,
    }  # fmt: skip


@pytest.mark.parametrize("name", list(engine_locks()))
def test_a_child_finds_the_engines_locks_free(name: str) -> None:
    def work() -> None:
        leaf = torchish.rand(7, requires_grad=True)
        (leaf.sin() * torchish.randn(7)).sum().backward()
        assert leaf.grad.shape == (7,)
        assert lock.acquire(timeout=5)

    lock = engine_locks()[name]
    with Holder(lock):
        assert in_child(work) == 0
        assert not lock.acquire(blocking=False)  # the parent's is as it was


def test_what_the_forking_thread_holds_stays_its_own() -> None:
    lock = forking.new_rlock()

    def work() -> None:
        lock.release()
        with pytest.raises(RuntimeError):
            lock.release()

    with lock:
        assert in_child(work) == 0
    with forking.tracing:
        assert in_child(lambda: torchish.ones(2).mul(3).sum().item()) == 0


def test_a_fork_waits_for_what_other_threads_run() -> None:
    """A value that another thread was computing has its array in the child."""
    ready, done = threading.Event(), threading.Event()
    made: list[Any] = []

    def other() -> None:
        made.append(torchish.ones(3) * 2)
        trace_of = torchish._core.trace.current_trace(torchish._basics.devices.CPU)  # type: ignore[attr-defined]
        with trace_of.lock:
            taken = running.Taken(trace_of)
            trace_of._clear()
            ready.set()
            time.sleep(0.3)
            taken.run()
        done.wait(30)

    def work() -> None:
        assert (made[0] + torchish.ones(3)).tolist() == [3, 3, 3]

    thread = threading.Thread(target=other)
    thread.start()
    assert ready.wait(30)
    assert in_child(work) == 0
    done.set()
    thread.join()


def test_threads_fork_at_once() -> None:
    codes: list[int] = []

    def fork() -> None:
        codes.extend(in_child(lambda: torchish.ones(2).sum().item()) for _ in range(4))

    threads = [threading.Thread(target=fork) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 12


def test_locks_are_kept_by_nobody() -> None:
    before = len(forking._locks)
    made = [forking.new_lock() for _ in range(5)]
    assert len(forking._locks) == before + 5
    del made
    assert len(forking._locks) <= before


@pytest.fixture
def slow_module(tmp_path: Path) -> Iterator[str]:
    name = f"slow_module_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text("import time\ntime.sleep(0.4)\nvalue = 3\n")
    sys.path.insert(0, str(tmp_path))
    yield name
    sys.path.remove(str(tmp_path))
    sys.modules.pop(name, None)


def test_a_fork_waits_for_imports_under_way(slow_module: str) -> None:
    thread = threading.Thread(target=importlib.import_module, args=(slow_module,))
    thread.start()
    while slow_module not in sys.modules:
        time.sleep(0.001)

    def work() -> None:
        assert importlib.import_module(slow_module).value == 3

    assert in_child(work) == 0
    thread.join()


def test_a_fork_within_an_import_does_not_wait(slow_module: str, tmp_path: Path) -> None:
    (tmp_path / f"{slow_module}.py").write_text(
        "import os, time\nbegan = time.monotonic()\npid = os.fork()\n"
        "if pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)\ntook = time.monotonic() - began\n"
    )
    with Holder(threading.Lock()):
        assert importlib.import_module(slow_module).took < forking._QUIET / 2


def test_a_fork_waits_until_the_compiling_thread_is_inside_xla() -> None:
    """Its Python holds locks of JAX's that a child would wait for."""
    from jax._src import xla_bridge

    taken, structure = threading.Event(), structures.Structure.__new__(structures.Structure)

    def compile() -> None:
        with xla_bridge._backend_lock:
            taken.set()
            time.sleep(0.3)
        raise ArithmeticError

    torchish._basics.devices.jax_device(torchish._basics.devices.CPU)  # type: ignore[attr-defined]
    compiling.start("a test's", compile, structure)
    assert taken.wait(30)
    began = time.monotonic()
    assert in_child(lambda: xla_bridge.backends()) == 0
    assert time.monotonic() - began > 0.1
    with pytest.raises(ArithmeticError):
        compiling.finish("a test's", compile, structure, lambda made: None)


def test_forks_while_programs_are_compiled() -> None:
    """Children trace new kernels while the parent compiles in the background."""
    for size in range(5, 11):
        x = torchish.ones(size, size, requires_grad=True)
        for _ in range(5):
            (torchish.linalg.inv(x + torchish.eye(size)).sin() @ x).sum().backward()
            x.grad = None

        def work(size: int = size) -> None:
            y = torchish.eye(size + 7) * 2
            assert np.allclose(torchish.linalg.inv(y).numpy(), np.eye(size + 7) / 2)

        assert in_child(work, 30) == 0
