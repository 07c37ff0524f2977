"""Collectives of one group as XLA programs over a device of each process.

A group has an XLA client of its own whose devices are one CPU device a process; XLA's gloo
transport connects them. JAX's coordination service is used while the group is set up and ended
then: it would abort every process as soon as one is lost. Afterwards gloo alone notices that a
peer is gone, as an error of the collective.

Invariants: all programs of a group run in one thread, in the order of the calls; every wait has a
deadline; after a failure the group is broken and says so.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, TimeoutError as Late
from datetime import timedelta
from time import perf_counter
from typing import Any

import numpy as np

from .._basics.forking import new_lock, note_client
from ._errors import DistBackendError, DistStoreError
from ._store import Store

Array = np.ndarray[Any, Any]


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("", 0))
        return int(s.getsockname()[1])


class Wire:
    """Moves and reduces numpy arrays between the processes of a group."""

    def __init__(
        self, store: Store, host: str, name: str, index: int, count: int, timeout: timedelta
    ) -> None:
        self.name = name
        self.index = index
        self.count = count
        self.timeout = timeout
        self.broken = ""
        self.exchanges = 0
        self.seconds = 0.0
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if count > 1:
            self._connect(store, host)

    # --- set-up ------------------------------------------------------------------------------

    def _connect(self, store: Store, host: str) -> None:
        came = store.add(f"{self.name}/came", 1)
        came = store.reach(f"{self.name}/came", self.count, self.timeout)
        if came < self.count:
            raise DistStoreError(
                f"Timed out after {int(self.timeout.total_seconds()) + 1} seconds waiting for "
                f"clients. {came}/{self.count} clients joined."
            )
        self._thread = threading.Thread(target=self._work, name="collectives", daemon=True)
        self._thread.start()
        self.wait(self.submit(functools.partial(self._set_up, store, host)), "set-up")

    def _set_up(self, store: Store, host: str) -> None:
        import jax
        from jax._src.lib import _jax
        from jaxlib import xla_client

        seconds = max(1, int(self.timeout.total_seconds()))
        service = None
        if self.index == 0:
            port = free_port()
            # Missed heartbeats are never the service's business: it ends before they could be.
            service = _jax.get_distributed_runtime_service(
                f"[::]:{port}", self.count, heartbeat_timeout=3600, shutdown_timeout=seconds
            )
            store.set(f"{self.name}/at", f"{host}:{port}")
        address = store.get(f"{self.name}/at", self.timeout).decode()
        client = _jax.get_distributed_runtime_client(
            address, self.index, init_timeout=seconds, shutdown_timeout=seconds,
            heartbeat_timeout=3600, shutdown_on_destruction=False, use_compression=True,
        )  # fmt: skip
        client.connect()
        with _quiet():
            backend: Any = xla_client.make_cpu_client(
                asynchronous=False,
                distributed_client=client,
                node_id=self.index,
                num_nodes=self.count,
                collectives=_jax.make_gloo_tcp_collectives(
                    distributed_client=client, hostname=host
                ),
            )
            self._local = backend.local_devices()[0]
            ordered = sorted(backend.devices(), key=lambda d: d.process_index)
            self._mesh = jax.sharding.Mesh(np.array(ordered), ("p",))
            with _silent():
                self._run("move", (np.zeros(1, np.uint8),))  # all pairs are connected here
        note_client(backend)
        _living.append((backend, self))  # never freed: XLA would wait for a lost collective
        store.add(f"{self.name}/up", 1)
        store.reach(f"{self.name}/up", self.count, self.timeout)
        client.shutdown()
        # A client that still listens when the service ends would abort its process.
        store.add(f"{self.name}/down", 1)
        if service is not None:
            store.reach(f"{self.name}/down", self.count, self.timeout)
            service.shutdown()

    # --- the thread --------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            future, job = self._jobs.get()
            if job is None:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
            del future, job

    def submit(self, job: Callable[[], Any]) -> Future[Any]:
        """Run something in the group's thread, after what was asked before."""
        future: Future[Any] = Future()
        if self._thread is None:
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
        else:
            self._jobs.put((future, job))
        return future

    def wait(self, future: Future[Any], what: str, timeout: timedelta | None = None) -> Any:
        """The result of a job.

        Raises: DistBackendError when it failed or took longer than the timeout.
        """
        seconds = (timeout or self.timeout).total_seconds()
        try:
            return future.result(seconds)
        except Late:
            text = (
                f"Timed out waiting {int(seconds * 1000)}ms for {what} operation to complete: "
                "another rank has not reached it"
            )
        except DistStoreError:
            raise
        except TypeError:
            raise
        except Exception as error:
            text = f"{what} failed: {str(error).splitlines()[0]}. This may indicate a dead rank"
        self.broken = text
        raise DistBackendError(f"[Rank {self.index} of {self.name}] {text}") from None

    def check(self) -> None:
        """Raise if an earlier collective failed: ranks no longer agree on where they are."""
        if self.broken:
            raise DistBackendError(
                f"[Rank {self.index} of {self.name}] the process group is broken, an earlier "
                f"collective failed: {self.broken}"
            )

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._jobs.put((None, None))

    # --- programs ----------------------------------------------------------------------------

    def agree(self, description: str) -> None:
        """Compare what ranks are about to do (in the group's thread).

        Raises: DistBackendError when they differ.
        """
        if self.count == 1:
            return
        import hashlib

        digest = np.frombuffer(hashlib.sha256(description.encode()).digest()[:16], np.uint8)
        (got,) = self._run("move", (digest,))
        wrong = [r for r in range(self.count) if (got[r] != digest).any()]
        if wrong:
            raise DistBackendError(
                f"ranks called collectives that differ: rank {self.index} runs {description}, "
                f"ranks {wrong} something else (another operation, shape or dtype)"
            )

    def move(self, array: Array) -> Array:
        """Every rank's array of these bytes, in rank order (in the group's thread)."""
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if self.count == 1:
            return np.asarray(array)[None]
        (got,) = self._run("move", (flat,))
        return got.view(array.dtype).reshape(self.count, *array.shape)

    def broadcast(self, array: Array, root: int) -> Array:
        """The root's array of these bytes (in the group's thread)."""
        if self.count == 1:
            return np.asarray(array)
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        (got,) = self._run(f"from{root}", (flat,))
        return got.view(array.dtype).reshape(array.shape)

    def exchange(self, array: Array) -> Array:
        """Row i of the result is this rank's row of rank i's array (in the group's thread)."""
        if self.count == 1:
            return np.asarray(array)
        rows = np.ascontiguousarray(array).reshape(self.count, -1).view(np.uint8)
        (got,) = self._run("exchange", (rows,))
        return got.view(array.dtype).reshape(array.shape)

    def reduce(self, kind: str, arrays: Sequence[Array]) -> list[Array]:
        """Elementwise reduction over ranks of some arrays, in one program (in the thread)."""
        if self.count == 1:
            return [_alone(kind, a) for a in arrays]
        return self._run(kind, tuple(arrays))

    def _run(self, kind: str, arrays: tuple[Array, ...]) -> list[Array]:
        import jax

        start = perf_counter()
        with _quiet():
            program = self._program(kind, tuple((a.shape, a.dtype) for a in arrays))
            sharding = jax.sharding.NamedSharding(self._mesh, jax.sharding.PartitionSpec("p"))
            given = [
                jax.make_array_from_single_device_arrays(
                    (self.count, *a.shape), sharding, [jax.device_put(a[None], self._local)]
                )
                for a in arrays
            ]
            outs = program(*given)
            results = [np.asarray(x.addressable_shards[0].data)[0] for x in outs]
        self.exchanges += 1
        self.seconds += perf_counter() - start
        return results

    @functools.lru_cache(maxsize=512)  # noqa: B019  (groups live as long as the process)
    def _program(self, kind: str, avals: tuple[Any, ...]) -> Any:
        import jax
        from jax.sharding import PartitionSpec

        def body(*arrays: Any) -> tuple[Any, ...]:
            return tuple(_across(kind, a[0], self.count)[None] for a in arrays)

        spec = PartitionSpec("p")
        return jax.jit(
            jax.shard_map(
                body,
                mesh=self._mesh,
                in_specs=(spec,) * len(avals),
                out_specs=(spec,) * len(avals),
                check_vma=False,
            )
        )


def _across(kind: str, x: Any, count: int) -> Any:
    """One collective on the local array `x`, inside a program."""
    import jax
    import jax.numpy as jnp

    if kind == "move":
        return jax.lax.all_gather(x, "p")
    if kind.startswith("from"):
        mine = jax.lax.axis_index("p") == int(kind[4:])
        return jax.lax.psum(jnp.where(mine, x, jnp.zeros_like(x)), "p")
    if kind == "exchange":
        return jax.lax.all_to_all(x, "p", 0, 0)
    dt = x.dtype
    if kind in ("PRODUCT", "BAND", "BOR", "BXOR"):
        rows = jax.lax.all_gather(x, "p")
        total = rows[0]
        for k in range(1, count):
            total = _PAIR[kind](total, rows[k])
        return total.astype(dt)
    wide = _wide(x)
    if kind == "MAX":
        return jax.lax.pmax(wide, "p").astype(dt)
    if kind == "MIN":
        return jax.lax.pmin(wide, "p").astype(dt)
    total = jax.lax.psum(wide, "p")
    if kind == "AVG":
        if jnp.issubdtype(dt, jnp.inexact):
            total = total / count
        else:
            total = total // count
    return (total != 0) if dt == jnp.bool_ else total.astype(dt)


_PAIR: dict[str, Callable[[Any, Any], Any]] = {
    "PRODUCT": lambda a, b: a & b if a.dtype == bool else a * b,
    "BAND": lambda a, b: a & b,
    "BOR": lambda a, b: a | b,
    "BXOR": lambda a, b: a ^ b,
}


def _wide(x: Any) -> Any:
    """A type that gloo sums: half types as floats, booleans as integers."""
    import jax.numpy as jnp

    if x.dtype == jnp.bool_:
        return x.astype(jnp.int32)
    if x.dtype in (jnp.bfloat16, jnp.float16):
        return x.astype(jnp.float32)
    return x


def _alone(kind: str, array: Array) -> Array:
    return np.asarray(array)


@contextlib.contextmanager
def _quiet() -> Any:
    """These small programs stay out of the compilation cache: their devices are not JAX's own."""
    from jax._src import config

    with config.enable_compilation_cache(False):
        yield


@contextlib.contextmanager
def _silent() -> Any:
    """Keep what gloo prints when it connects off the standard output; all else appears after."""
    with tempfile.TemporaryFile() as caught:
        with _printing:
            sys.stdout.flush()
            kept = os.dup(1)
            os.dup2(caught.fileno(), 1)
            try:
                yield
            finally:
                _flush_c()
                os.dup2(kept, 1)
                os.close(kept)
        caught.seek(0)
        others = [line for line in caught if not line.startswith(b"[Gloo] Rank ")]
        if others:
            os.write(1, b"".join(others))


def _flush_c() -> None:
    import ctypes

    ctypes.CDLL(None).fflush(None)


_printing = new_lock()
_living: list[Any] = []
