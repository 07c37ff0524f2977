"""How the launchers of several nodes meet.

Invariant: all launchers of a job go through the same attempts, numbered from 0; in each of them the
nodes' ranks are contiguous and in the order of the nodes.
"""

from __future__ import annotations

import contextlib
import socket
from datetime import timedelta
from typing import Any

from ._errors import DistError, DistNetworkError, DistStoreError
from ._launch import Place
from ._store import PrefixStore, TCPStore
from ._wire import free_port

DEFAULT_PORT = 29400
_PATIENCE = timedelta(minutes=5)  # with nodes whose processes take longer to end


def _is_local(host: str) -> bool:
    """Whether a host name is one of this machine's."""
    try:
        address = socket.gethostbyname(host)
        with socket.socket() as s:
            s.bind((address, 0))
    except OSError:
        return False
    return True


class Fixed:
    """Every node was told its rank and the first node's address; all have as many processes."""

    def __init__(self, node: int, nodes: int, address: str, port: int) -> None:
        self.node, self.nodes = node, nodes
        self.address, self.port = address, port

    def join(self, attempt: int, local_size: int) -> Place:
        """This node's place."""
        world = self.nodes * local_size
        port = self.port or free_port()
        return Place(self.node, self.nodes, self.node * local_size, world, self.address, port)

    def others_failed(self) -> bool:
        """Unknown here: the ranks notice by themselves when a peer is gone."""
        return False

    def leave(self, failed: bool, wait: bool) -> bool:
        """Whether an attempt failed anywhere, as far as this node knows."""
        return failed


class Meeting:
    """Nodes meet at a store that one of them serves; the order of arrival numbers them."""

    def __init__(
        self, run_id: str, endpoint: str, nodes: int, timeout: float, address: str = ""
    ) -> None:
        host, _, number = (endpoint or "localhost:0").partition(":")
        port = int(number or DEFAULT_PORT)
        self.nodes = nodes
        self.timeout = timedelta(seconds=timeout)
        self.store = self._store(host or "localhost", port)
        self.address = address or self.store.address
        self.shared = PrefixStore(run_id, self.store)
        self.room: Any = None

    def _store(self, host: str, port: int) -> TCPStore:
        if _is_local(host):
            with contextlib.suppress(DistNetworkError):  # another launcher of this machine has it
                return TCPStore(host, port, is_master=True, timeout=self.timeout)
        return TCPStore(host, port, timeout=self.timeout)

    def join(self, attempt: int, local_size: int) -> Place:
        """This node's place, when all nodes have come.

        Raises: DistStoreError when nodes are missing at the deadline, DistError when there are
            more than were announced.
        """
        self.room = room = PrefixStore(f"attempt{attempt}", self.shared)
        node = room.add("came", 1) - 1
        if node >= self.nodes:
            raise DistError(f"the job has its {self.nodes} nodes already: one launcher too many")
        if node == 0:
            # The first rank runs here, on a port that is free here.
            room.set("master", f"{self.address}:{free_port()}")
        room.set(f"size{node}", str(local_size))
        came = room.reach("came", self.nodes, self.timeout)
        if came < self.nodes:
            seconds = self.timeout.total_seconds()
            raise DistStoreError(f"{came} of {self.nodes} nodes came within {seconds:.0f} s")
        sizes = [int(room.get(f"size{k}", self.timeout)) for k in range(self.nodes)]
        master, _, port = room.get("master", self.timeout).decode().rpartition(":")
        return Place(node, self.nodes, sum(sizes[:node]), sum(sizes), master, int(port))

    def others_failed(self) -> bool:
        """Whether another node's processes failed."""
        with contextlib.suppress(DistNetworkError):
            return bool(self.room.check(["failed"]))
        return False  # nobody tells any more; the ranks notice by themselves

    def leave(self, failed: bool, wait: bool) -> bool:
        """Tell the others how it went, wait for them; whether the attempt failed anywhere."""
        if self.room is None:
            return failed
        with contextlib.suppress(DistNetworkError):
            if failed:
                self.room.set("failed", "1")
            self.room.add("left", 1)
            if wait:
                self.room.reach("left", self.nodes, _PATIENCE)
                failed = self.others_failed()
                self.room.add("gone", 1)
                if self.store._server is not None:  # it answers until everybody has asked
                    self.room.reach("gone", self.nodes, timedelta(seconds=5))
        return failed
