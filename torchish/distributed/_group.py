"""Process groups: who belongs together, and the default group of a process."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlparse

from .._basics.errors import not_supported
from ._errors import UNINITIALISED, DistError
from ._store import FileStore, PrefixStore, Store, TCPStore
from ._wire import Wire

default_pg_timeout = timedelta(minutes=30)


class _ReduceOp:
    """How values of several ranks become one."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number

    def __repr__(self) -> str:
        return f"<RedOpType.{self.name}: {self.number}>"

    def __int__(self) -> int:
        return self.number

    def __reduce__(self) -> Any:
        return (getattr, (ReduceOp, self.name))


class ReduceOp:
    """The reductions of `all_reduce`, `reduce` and `reduce_scatter`."""

    __module__ = "torch.distributed"
    SUM = _ReduceOp("SUM", 0)
    AVG = _ReduceOp("AVG", 1)
    PRODUCT = _ReduceOp("PRODUCT", 2)
    MIN = _ReduceOp("MIN", 3)
    MAX = _ReduceOp("MAX", 4)
    BAND = _ReduceOp("BAND", 5)
    BOR = _ReduceOp("BOR", 6)
    BXOR = _ReduceOp("BXOR", 7)
    RedOpType = _ReduceOp


class Backend(str):
    """A backend's name in lower case."""

    __module__ = "torch.distributed"
    GLOO = "gloo"
    NCCL = "nccl"
    MPI = "mpi"
    UCC = "ucc"
    UNDEFINED = "undefined"

    def __new__(cls, name: str) -> Backend:
        if not isinstance(name, str):
            raise ValueError("Backend constructor parameter must be string-ish")
        return str.__new__(cls, name.lower())


class ProcessGroup:
    """Some of the job's processes, able to exchange tensors."""

    __module__ = "torch.distributed.distributed_c10d"

    def __init__(
        self, name: str, backend: str, ranks: Sequence[int], wire: Wire, timeout: timedelta
    ) -> None:
        self.group_name = name
        self.backend = backend
        self.ranks = list(ranks)
        self.wire = wire
        self.timeout = timeout
        self.sequence = 0
        self.tags: dict[Any, int] = {}

    def rank(self) -> int:
        """This process's rank within the group."""
        return self.wire.index

    def size(self) -> int:
        """How many processes the group has."""
        return len(self.ranks)

    def name(self) -> str:
        """The backend's name."""
        return self.backend


class GroupMember:
    """What `new_group` returns to processes that are not in the group."""

    __module__ = "torch.distributed"
    NON_GROUP_MEMBER = -100


class _World:
    """The state of `torch.distributed` in this process."""

    def __init__(self) -> None:
        self.default: ProcessGroup | None = None
        self.groups: list[ProcessGroup] = []
        self.store: Store | None = None
        self.server: TCPStore | None = None
        self.host = "127.0.0.1"
        self.made = 0
        self.epoch = 0


world = _World()


class _WorldName(type):
    @property
    def WORLD(cls) -> ProcessGroup | None:
        """The default group, None before `init_process_group`."""
        return world.default

    @WORLD.setter
    def WORLD(cls, pg: ProcessGroup | None) -> None:
        world.default = pg


class group(metaclass=_WorldName):
    """`group.WORLD` is the default group."""

    __module__ = "torch.distributed"

    def __new__(cls) -> Any:
        """There is nothing to make: the class holds a name."""
        raise TypeError("torch.distributed.group holds names only")


def is_available() -> bool:
    """Always true."""
    return True


def is_initialized() -> bool:
    """Whether `init_process_group` has run."""
    return world.default is not None


def is_gloo_available() -> bool:
    """XLA brings gloo."""
    return True


def is_nccl_available() -> bool:
    """Whether there is a GPU to use NCCL with."""
    from .. import cuda

    return cuda.is_available()


def is_mpi_available() -> bool:
    """False: MPI is not offered."""
    return False


def is_ucc_available() -> bool:
    """False: UCC is not offered."""
    return False


def is_xccl_available() -> bool:
    """False: XCCL is not offered."""
    return False


def is_backend_available(backend: str) -> bool:
    """Whether a backend of that name is offered."""
    name = backend.lower()
    return name == "gloo" or (name == "nccl" and is_nccl_available())


def get_default_backend_for_device(device: Any) -> str:
    """The backend of a device's kind.

    Raises: ValueError for a kind without one.
    """
    kind = str(device).partition(":")[0]
    found = {"cpu": "gloo", "cuda": "nccl"}.get(kind)
    if found is None:
        raise ValueError(f"Default backend not registered for device : {device}")
    return found


def is_torchelastic_launched() -> bool:
    """Whether a launcher started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def resolve(pg: Any = None) -> ProcessGroup:
    """The group that an argument names.

    Raises: ValueError before `init_process_group`.
    """
    if pg is None:
        if world.default is None:
            raise ValueError(UNINITIALISED)
        return world.default
    if not isinstance(pg, ProcessGroup):
        raise ValueError(
            f"Process group {pg} is not initialized in the world group map. Please initialize the "
            "group first."
        )
    return pg


def _env(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ValueError(
            "Error initializing torch.distributed using env:// rendezvous: environment variable "
            f"{name} expected, but not set"
        )
    return value


def _rendezvous(
    url: str, rank: int, world_size: int, timeout: timedelta
) -> tuple[Store, int, int, str]:
    """Store, rank, world size and this machine's address, from an init method."""
    parts = urlparse(url)
    query = {k: v[0] for k, v in parse_qs(parts.query).items()}
    kind = parts.scheme
    if kind == "env":
        rank = int(_env("RANK")) if rank < 0 else rank
        world_size = int(_env("WORLD_SIZE")) if world_size < 0 else world_size
        address, port = _env("MASTER_ADDR"), int(_env("MASTER_PORT"))
    else:
        rank = int(query.get("rank", rank))
        world_size = int(query.get("world_size", world_size))
        if kind not in ("tcp", "file"):
            raise RuntimeError(f"No rendezvous handler for {kind}://")
        for name, value in (("rank", rank), ("world size", world_size)):
            if value < 0:
                raise ValueError(
                    f"Error initializing torch.distributed using {kind}:// rendezvous: {name} "
                    "parameter missing"
                )
        if kind == "file":
            store = FileStore(parts.path, world_size, timeout)
            return store, rank, world_size, store.address
        if not parts.port:
            raise ValueError(
                "Error initializing torch.distributed using tcp:// rendezvous: port number missing"
            )
        address, port = parts.hostname or "localhost", parts.port
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is not in a job of world size {world_size}")
    tcp = TCPStore(address, port, world_size, rank == 0, timeout)
    world.server = tcp
    return tcp, rank, world_size, tcp.address


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Store | None = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
    _ranks: Any = None,
) -> None:
    """Join the job's processes; every process calls it, and it returns when all have.

    Args:
        backend: "gloo" (any tensors), "nccl" (GPU tensors) or None for both.
        init_method: "env://" (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), "tcp://host:port",
            "file:///path".
        timeout: how long this and every collective may take; 30 minutes if None.
        store: a store to use instead of an init method.

    Raises: ValueError for missing parts or a second call, DistNetworkError when the port is in
        use or nobody answers, DistStoreError when ranks are missing at the deadline.
    """
    if world.default is not None:
        raise ValueError("trying to initialize the default process group twice!")
    name = Backend(backend) if backend is not None else Backend("gloo")
    for part in name.split(","):
        kind = part.split(":")[-1]
        if kind not in ("gloo", "nccl", "undefined"):
            raise AssertionError(f"Unknown backend type {kind}")
    limit = timeout or default_pg_timeout
    if not isinstance(limit, timedelta):
        raise TypeError(f"Expected timeout argument to be of type datetime.timedelta, got {limit}")
    if store is not None:
        if rank < 0 or world_size < 1:
            raise ValueError(
                "rank must be non-negative"
                if rank < 0
                else "world_size must be positive if using store"
            )
        host = getattr(store, "address", "127.0.0.1")
    else:
        store, rank, world_size, host = _rendezvous(
            init_method or "env://", rank, world_size, limit
        )
    store.set_timeout(limit)
    world.host = host
    prefix = f"pg{world.epoch}"
    world.epoch += 1
    _same_size(store, prefix, world_size)
    world.store = PrefixStore(prefix, store)
    world.store.set_timeout(limit)
    wire = Wire(world.store, host, "default_pg", rank, world_size, limit)
    world.default = ProcessGroup("default_pg", str(name), range(world_size), wire, limit)
    world.groups = [world.default]
    world.made = 0


def _same_size(store: Store, prefix: str, world_size: int) -> None:
    said = int(store.compare_set(f"{prefix}/world_size", "", str(world_size)))
    if said != world_size:
        raise DistError(
            f"this process was told a world size of {world_size}, another one of the job {said}"
        )


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: Any = None,
    sort_ranks: bool = True,
) -> Any:
    """A group of some ranks; every process of the job calls it, in the same order.

    Raises: ValueError for ranks that do not exist or occur twice.
    """
    if use_local_synchronization:
        raise not_supported("new_group(use_local_synchronization=True)", "a call in every rank")
    parent = resolve()
    size = parent.size()
    chosen = list(range(size)) if ranks is None else list(ranks)
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"ranks list must not contain duplicate entries, got {chosen}")
    if len(chosen) > size:
        raise ValueError(
            "the new group's world size should be less or equal to the world size set by "
            "init_process_group"
        )
    for r in chosen:
        if not 0 <= r < size:
            raise ValueError(
                f"Rank {r} is out of range. Valid ranks are 0 to {size - 1} (world_size={size})"
            )
    if sort_ranks:
        chosen.sort()
    number = world.made
    world.made += 1
    mine = parent.rank()
    if mine not in chosen:
        return GroupMember.NON_GROUP_MEMBER
    limit = timeout or parent.timeout
    assert world.store is not None
    name = f"group{number}"
    wire = Wire(world.store, world.host, name, chosen.index(mine), len(chosen), limit)
    made = ProcessGroup(name, str(backend or parent.backend).lower(), chosen, wire, limit)
    world.groups.append(made)
    return made


def new_subgroups(
    group_size: int | None = None, group: Any = None, timeout: timedelta | None = None,
    backend: str | None = None, pg_options: Any = None, group_desc: str | None = None,
) -> tuple[Any, list[Any]]:  # fmt: skip
    """Groups of `group_size` neighbouring ranks: (this process's, all)."""
    if group is not None:
        raise not_supported("new_subgroups(group=...)", "subgroups of the whole job")
    size = resolve().size()
    each = group_size or 1
    if size % each:
        raise ValueError(f"The world size must be divisible by 'group_size={each}', but got {size}")
    made = [
        new_group(list(range(start, start + each)), timeout, backend)
        for start in range(0, size, each)
    ]
    return made[get_rank() // each], made


def destroy_process_group(group: Any = None) -> None:
    """Leave a group; without an argument (or with the default group) all of them.

    Raises: AssertionError when there is none.
    """
    if group == GroupMember.NON_GROUP_MEMBER:
        return
    default = world.default
    if group is not None and group is not default:
        world.groups.remove(group)
        group.wire.close()
        return
    if default is None:
        raise AssertionError("Process group cannot be None")
    _farewell(default)
    for each in world.groups:
        each.wire.close()
    if world.server is not None:
        world.server.close()
    world.default, world.groups, world.store, world.server = None, [], None, None


def _farewell(pg: ProcessGroup) -> None:
    """The first process keeps the store until the others are through (or a while)."""
    if pg.size() == 1 or pg.wire.broken or world.store is None:
        return
    try:
        world.store.add("gone", 1)
        if pg.rank() == 0:
            world.store.reach("gone", pg.size(), min(pg.timeout, timedelta(seconds=10)))
    except DistError:
        pass  # the store went first: there is nobody left to wait for


def get_rank(group: Any = None) -> int:
    """This process's rank in a group, -1 if it is not in it."""
    if group == GroupMember.NON_GROUP_MEMBER:
        resolve()
        return -1
    return resolve(group).rank()


def get_world_size(group: Any = None) -> int:
    """The size of a group, -1 if this process is not in it."""
    if group == GroupMember.NON_GROUP_MEMBER:
        resolve()
        return -1
    return resolve(group).size()


def get_backend(group: Any = None) -> Backend:
    """The backend's name."""
    return Backend(resolve(group).backend)


def get_process_group_ranks(group: Any = None) -> list[int]:
    """The job's ranks of a group's members, in order."""
    return list(resolve(group).ranks)


def get_global_rank(group: Any, group_rank: int) -> int:
    """The job's rank of a group's member."""
    ranks = resolve(group).ranks
    if not 0 <= group_rank < len(ranks):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return ranks[group_rank]


def get_group_rank(group: Any, global_rank: int) -> int:
    """The group's rank of one of the job's processes."""
    ranks = resolve(group).ranks
    if global_rank not in ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return ranks.index(global_rank)


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """This process's rank on its machine (LOCAL_RANK)."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError(
            "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow "
            "`get_node_local_rank` to work, assuming you are not running in a multi-device context "
            "and want the code to run locally instead."
        )
    return int(fallback_rank)


def hostname() -> str:
    """This machine's name."""
    return socket.gethostname()
