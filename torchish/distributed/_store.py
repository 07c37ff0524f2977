"""Key-value stores: how processes find each other before there are collectives.

`TCPStore` is a small server in the first process and a client in each. A message is a list of byte
strings, each with its length in front; a reply is one too. Invariant: every wait has a deadline.

Source: https://pytorch.org/docs/stable/distributed.html#distributed-key-value-store
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from .._basics.errors import not_supported
from ._errors import DistNetworkError, DistStoreError

_DEFAULT = timedelta(seconds=300)


def _bytes(x: Any) -> bytes:
    return x if isinstance(x, bytes) else str(x).encode()


def _send(sock: socket.socket, *fields: bytes) -> None:
    parts = [struct.pack("!I", len(fields))]
    for f in fields:
        parts += [struct.pack("!Q", len(f)), f]
    sock.sendall(b"".join(parts))


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 1 << 20))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return bytes(data)


def _receive(sock: socket.socket) -> list[bytes]:
    (count,) = struct.unpack("!I", _exactly(sock, 4))
    return [_exactly(sock, struct.unpack("!Q", _exactly(sock, 8))[0]) for _ in range(count)]


class _Server:
    """Holds the keys; one thread a connection."""

    def __init__(self, host: str, port: int) -> None:
        self.data: dict[bytes, bytes] = {}
        self.changed = threading.Condition()
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.listener.bind(("", port))
            self.listener.listen(1024)
        except OSError as error:
            self.listener.close()
            raise DistNetworkError(
                "The server socket has failed to listen on any local network address. port: "
                f"{port}, useIpv6: false, code: {-(error.errno or 0)}, name: "
                f"{_errno_name(error)}, message: {(error.strerror or '').lower()}"
            ) from None
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._accept, name="store", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ConnectionError), sock:
            while True:
                op, *args = _receive(sock)
                _send(sock, *getattr(self, "do_" + op.decode())(*args))

    def close(self) -> None:
        """Stop listening."""
        self.listener.close()

    def do_set(self, key: bytes, value: bytes) -> Sequence[bytes]:
        with self.changed:
            self.data[key] = value
            self.changed.notify_all()
        return ()

    def do_get(self, key: bytes, seconds: bytes) -> Sequence[bytes]:
        return (b"1", self.data[key]) if self.do_wait(seconds, key)[0] == b"1" else (b"0",)

    def do_take(self, key: bytes, seconds: bytes) -> Sequence[bytes]:
        if self.do_wait(seconds, key)[0] != b"1":
            return (b"0",)
        with self.changed:
            return b"1", self.data.pop(key)

    def do_wait(self, seconds: bytes, *keys: bytes) -> Sequence[bytes]:
        with self.changed:
            there = self.changed.wait_for(lambda: all(k in self.data for k in keys), float(seconds))
        return (b"1" if there else b"0",)

    def do_add(self, key: bytes, amount: bytes) -> Sequence[bytes]:
        with self.changed:
            total = str(int(self.data.get(key, b"0")) + int(amount)).encode()
            self.data[key] = total
            self.changed.notify_all()
        return (total,)

    def do_reach(self, key: bytes, count: bytes, seconds: bytes) -> Sequence[bytes]:
        def reached() -> bool:
            return int(self.data.get(key, b"0")) >= int(count)

        with self.changed:
            there = self.changed.wait_for(reached, float(seconds))
            return b"1" if there else b"0", self.data.get(key, b"0")

    def do_check(self, *keys: bytes) -> Sequence[bytes]:
        return (b"1" if all(k in self.data for k in keys) else b"0",)

    def do_delete(self, key: bytes) -> Sequence[bytes]:
        with self.changed:
            return (b"1" if self.data.pop(key, None) is not None else b"0",)

    def do_compare(self, key: bytes, expected: bytes, desired: bytes) -> Sequence[bytes]:
        with self.changed:
            have = self.data.get(key)
            if have is None and expected:
                return (expected,)
            if have is None or have == expected:
                self.data[key] = have = desired
                self.changed.notify_all()
            return (have,)

    def do_count(self) -> Sequence[bytes]:
        return (str(len(self.data)).encode(),)


def _errno_name(error: OSError) -> str:
    import errno

    return errno.errorcode.get(error.errno or 0, "?")


class Store:
    """What all stores offer; see torch's documentation of each method."""

    __module__ = "torch.distributed"
    timeout: timedelta = _DEFAULT

    def _ask(self, op: str, *args: bytes, seconds: float = 0.0) -> list[bytes]:
        raise NotImplementedError(type(self).__name__)

    def _key(self, key: str) -> bytes:
        return b"/" + _bytes(key)

    def set(self, key: str, value: Any) -> None:
        """Store a value."""
        self._ask("set", self._key(key), _bytes(value))

    def get(self, key: str, timeout: timedelta | None = None) -> bytes:
        """The value of a key, waiting until it is there.

        Raises: DistStoreError after the timeout.
        """
        return self._value("get", key, timeout)

    def _value(self, op: str, key: str, timeout: timedelta | None = None) -> bytes:
        seconds = (timeout or self.timeout).total_seconds()
        got = self._ask(op, self._key(key), str(seconds).encode(), seconds=seconds)
        if got[0] != b"1":
            raise _late(seconds, [self._key(key)])
        return got[1]

    def take(self, key: str, timeout: timedelta | None = None) -> bytes:
        """`get` and delete in one."""
        return self._value("take", key, timeout)

    def add(self, key: str, amount: int) -> int:
        """Add to a counter; returns the new total."""
        return int(self._ask("add", self._key(key), str(amount).encode())[0])

    def reach(self, key: str, count: int, timeout: timedelta) -> int:
        """Wait until a counter is at least `count` or the time is over; returns the counter."""
        seconds = timeout.total_seconds()
        args = (self._key(key), str(count).encode(), str(seconds).encode())
        return int(self._ask("reach", *args, seconds=seconds)[1])

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Wait until all keys are there.

        Raises: DistStoreError after the timeout.
        """
        seconds = (timeout or self.timeout).total_seconds()
        named = [self._key(k) for k in keys]
        if self._ask("wait", str(seconds).encode(), *named, seconds=seconds)[0] != b"1":
            raise _late(seconds, named)

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all keys are there."""
        return self._ask("check", *map(self._key, keys))[0] == b"1"

    def delete_key(self, key: str) -> bool:
        """Remove a key; whether it was there."""
        return self._ask("delete", self._key(key))[0] == b"1"

    def compare_set(self, key: str, expected: Any, desired: Any) -> bytes:
        """Replace a value that is as expected; returns what is there afterwards."""
        return self._ask("compare", self._key(key), _bytes(expected), _bytes(desired))[0]

    def num_keys(self) -> int:
        """How many keys there are."""
        return int(self._ask("count")[0])

    def set_timeout(self, timeout: timedelta) -> None:
        """How long `get` and `wait` wait when they are not told."""
        self.timeout = timeout


def _late(seconds: float, keys: Sequence[bytes]) -> DistStoreError:
    names = ", ".join(k.decode(errors="replace") for k in keys)
    return DistStoreError(f"wait timeout after {int(seconds * 1000)}ms, keys: {names}")


class TCPStore(Store):
    """A store whose server is in one of the processes (`is_master`).

    Raises: DistNetworkError when the port is in use or nobody answers there, DistStoreError when
    not all workers come in time.
    """

    __module__ = "torch.distributed"

    def __init__(
        self,
        host_name: str,
        port: int = 29500,
        world_size: int | None = None,
        is_master: bool = False,
        timeout: timedelta = _DEFAULT,
        wait_for_workers: bool = True,
        multi_tenant: bool = False,
        master_listen_fd: int | None = None,
        use_libuv: bool = True,
    ) -> None:
        if master_listen_fd is not None:
            raise not_supported("TCPStore(master_listen_fd=...)", "a port")
        self.host = host_name
        self.timeout = timeout
        self._server = _Server(host_name, port) if is_master else None
        self.port = port if self._server is None else self._server.port
        self._local = threading.local()
        self._socket()
        if wait_for_workers and world_size is not None:
            self.add("init/", 1)
            if is_master:
                self._await(world_size)

    def _await(self, world_size: int) -> None:
        seconds = self.timeout.total_seconds()
        came = self.reach("init/", world_size, self.timeout)
        if came < world_size:
            self.close()
            raise DistStoreError(
                f"Timed out after {int(seconds) + 1} seconds waiting for clients. "
                f"{came}/{world_size} clients joined."
            )

    def _socket(self) -> socket.socket:
        sock: socket.socket | None = getattr(self._local, "sock", None)
        if sock is None:
            sock = self._local.sock = self._connected()
        return sock

    def _connected(self) -> socket.socket:
        seconds = self.timeout.total_seconds()
        end = time.monotonic() + seconds
        pause = 0.02
        while True:
            try:
                sock = socket.create_connection((self.host, self.port), max(seconds, 0.1))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
            except OSError:
                if time.monotonic() > end:
                    raise DistNetworkError(
                        f"The client socket has timed out after {int(seconds * 1000)}ms while "
                        f"trying to connect to ({self.host}, {self.port})."
                    ) from None
                time.sleep(pause)
                pause = min(pause * 1.5, 0.5)

    def _ask(self, op: str, *args: bytes, seconds: float = 0.0) -> list[bytes]:
        sock = self._socket()
        sock.settimeout(seconds + 30)
        try:
            _send(sock, op.encode(), *args)
            return _receive(sock)
        except (OSError, ConnectionError) as error:
            raise DistNetworkError(
                f"the store at {self.host}:{self.port} is gone: its process has ended ({error})"
            ) from None

    @property
    def address(self) -> str:
        """The address of this machine as the store's side sees it."""
        return str(self._socket().getsockname()[0])

    def close(self) -> None:
        """Close this process's connection, and the server if it is here."""
        with contextlib.suppress(OSError):
            self._socket().close()
        if self._server is not None:
            self._server.close()


class HashStore(Store):
    """A store within one process."""

    __module__ = "torch.distributed"

    def __init__(self) -> None:
        self._server: Any = object.__new__(_Server)
        self._server.data = {}
        self._server.changed = threading.Condition()

    def _ask(self, op: str, *args: bytes, seconds: float = 0.0) -> list[bytes]:
        return list(getattr(self._server, "do_" + op)(*args))


class FileStore(TCPStore):
    """A store found through a shared file: the first process writes there where it listens."""

    __module__ = "torch.distributed"

    def __init__(self, file_name: str, world_size: int = -1, timeout: timedelta = _DEFAULT) -> None:
        import os

        self.path = file_name
        with self._locked(file_name) as file:
            text = file.read()
            first = not text
            if first:
                server = _Server("", 0)
                file.write(f"{socket.gethostname()} {server.port} {os.getpid()}")
        host, port = ("127.0.0.1", server.port) if first else self._found(text)
        super().__init__(host, port, timeout=timeout)
        if first:
            self._server = server

    @staticmethod
    @contextlib.contextmanager
    def _locked(path: str) -> Iterator[Any]:
        import fcntl

        with open(path, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            yield file

    @staticmethod
    def _found(text: str) -> tuple[str, int]:
        host, port, _ = text.split()
        return ("127.0.0.1" if host == socket.gethostname() else host), int(port)


class PrefixStore(Store):
    """Another store's keys under a prefix."""

    __module__ = "torch.distributed"

    def __init__(self, prefix: str, store: Store) -> None:
        self.prefix = prefix
        self.underlying_store = store
        self.timeout = store.timeout

    def _key(self, key: str) -> bytes:
        return self.underlying_store._key(f"{self.prefix}/{key}")

    def _ask(self, op: str, *args: bytes, seconds: float = 0.0) -> list[bytes]:
        return self.underlying_store._ask(op, *args, seconds=seconds)
