"""``torch.distributed.checkpoint``: state that lies over devices or processes, saved as one.

The folder's format is PyTorch's. A tensor that is cut over a mesh is written in full and cut again
where it is loaded; of several processes, which hold the same, the first one writes.

Source: https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from ..._autograd.grad_mode import grad_mode
from ..._autograd.tensor_base import TensorBase
from ..._basics.errors import not_supported
from ..._ops.registry import ops
from .. import _collectives, _group
from ._nested_dict import build, flatten_state_dict, set_element
from .default_planner import (
    DefaultLoadPlanner as DefaultLoadPlanner,
    DefaultSavePlanner as DefaultSavePlanner,
    _EmptyStateDictLoadPlanner,
    followed,
)
from .filesystem import FileSystemReader as FileSystemReader, FileSystemWriter as FileSystemWriter
from .metadata import (
    BytesStorageMetadata as BytesStorageMetadata,
    ChunkStorageMetadata as ChunkStorageMetadata,
    Metadata as Metadata,
    MetadataIndex as MetadataIndex,
    TensorStorageMetadata as TensorStorageMetadata,
)

__all__ = [
    "BytesStorageMetadata", "CheckpointException", "ChunkStorageMetadata", "DefaultLoadPlanner",
    "DefaultSavePlanner", "FileSystemReader", "FileSystemWriter", "Metadata", "MetadataIndex",
    "TensorStorageMetadata", "async_save", "load", "load_state_dict", "save", "save_state_dict",
]  # fmt: skip


class CheckpointException(BaseException):
    """What went wrong, by the rank it went wrong in."""

    def __init__(self, msg: str, failures: dict[int, Any]) -> None:
        super().__init__(msg, failures)
        self._failures = failures

    @property
    def failures(self) -> dict[int, Any]:
        """The errors."""
        return self._failures

    def __str__(self) -> str:
        lines = [f"CheckpointException ranks:{self._failures.keys()}"]
        lines += [f"(RANK {rank}) {error!r}" for rank, error in self._failures.items()]
        return "\n".join(lines)


def _is_stateful(value: Any) -> bool:
    return callable(getattr(value, "state_dict", None)) and callable(
        getattr(value, "load_state_dict", None)
    )


def _place(given: Any, checkpoint_id: Any, kind: Any) -> Any:
    if given is None:
        if checkpoint_id is None:
            raise RuntimeError(
                "`checkpoint_id` must be specified if storage_reader/storage_writer is None."
            )
        return kind(checkpoint_id)
    if not isinstance(given, kind):
        raise not_supported(f"{type(given).__name__} of checkpoints", kind.__name__)
    given.reset(checkpoint_id)
    return given


def _entries(states: Any, plan: Any) -> tuple[dict[str, Any], Any]:
    """The entries by name, and the path of each; None for paths of entries as they are given."""
    return flatten_state_dict(states) if plan.flatten_state_dict else (dict(states), None)


def _with_states(state_dict: Any) -> dict[str, Any]:
    return {k: v.state_dict() if _is_stateful(v) else v for k, v in state_dict.items()}


def save(
    state_dict: Any, *, checkpoint_id: Any = None, storage_writer: Any = None, planner: Any = None,
    process_group: Any = None, no_dist: bool = False, use_collectives: bool = True,
) -> Metadata:  # fmt: skip
    """Write nested dicts of tensors (and of anything `torch.save` takes) into a folder.

    Args:
        checkpoint_id: the folder.
        storage_writer: a :class:`FileSystemWriter`, instead of it.
        planner: a :class:`DefaultSavePlanner`.
        no_dist: whether this process is on its own although it is in a group.
        use_collectives: changes nothing: the ranks only wait for the one that writes.
    Raises: RuntimeError without a place; NotSupportedError for another writer or planner.

    Example:
        >>> save({"model": net, "optimizer": optimizer}, checkpoint_id="folder")
    """
    plan = followed(planner, DefaultSavePlanner)
    writer = _place(storage_writer, checkpoint_id, FileSystemWriter)
    flat, paths = _entries(_with_states(state_dict), plan)
    alone = no_dist or not _group.is_initialized()
    if alone or _group.get_rank(process_group) == 0:
        found = writer.write(flat, paths)
    if not alone:
        _collectives.barrier(process_group)
        found = FileSystemReader(writer.path).read_metadata()
    return found  # type: ignore[no-any-return]


def async_save(state_dict: Any, **kwargs: Any) -> Any:
    """`save` now; returns a future that is done.

    Differs from torch: nothing is left to a thread, so the result is there when it returns, and
        who would stage or write (`async_checkpointer_type`, `async_stager`) makes no difference.
    """
    for name in ("async_checkpointer_type", "async_stager", "block_on_staging"):
        kwargs.pop(name, None)
    made: Future[Metadata] = Future()
    made.set_result(save(state_dict, **kwargs))
    return made


def load(
    state_dict: Any, *, checkpoint_id: Any = None, storage_reader: Any = None, planner: Any = None,
    process_group: Any = None, no_dist: bool = False,
) -> None:  # fmt: skip
    """Fill `state_dict` from a folder: tensors in place, everything else is replaced.

    Objects with a `state_dict` are given theirs through `load_state_dict`. Every process reads by
    itself, so `no_dist` changes nothing.

    Args:
        planner: a :class:`DefaultLoadPlanner`.
    Raises: CheckpointException for a name that the checkpoint lacks or a tensor of another size.
    """
    plan = followed(planner, DefaultLoadPlanner)
    reader = _place(storage_reader, checkpoint_id, FileSystemReader)
    states = _with_states(state_dict)
    try:
        if isinstance(plan, _EmptyStateDictLoadPlanner):
            state_dict.update(_rebuilt(reader, plan))
            return
        _fill(states, reader, plan)
    except (RuntimeError, ValueError, OSError) as error:
        rank = _group.get_rank(process_group) if _group.is_initialized() else 0
        raise CheckpointException("load", {rank: error}) from error
    for key, value in state_dict.items():
        if _is_stateful(value):
            value.load_state_dict(states[key])
        else:
            state_dict[key] = states[key]


def _parts(metadata: Metadata) -> dict[str, list[tuple[MetadataIndex, Any]]]:
    """Where the parts of each entry are."""
    parts: dict[str, list[tuple[MetadataIndex, Any]]] = {}
    for index, info in metadata.storage_data.items():
        parts.setdefault(index.fqn, []).append((index, info))
    return parts


def _rebuilt(reader: FileSystemReader, plan: _EmptyStateDictLoadPlanner) -> dict[str, Any]:
    """All that a checkpoint holds, or what the plan wants of it."""
    metadata = reader.read_metadata()
    paths, parts = metadata.planner_data or {}, _parts(metadata)
    found: dict[tuple[Any, ...], Any] = {}
    for name, described in metadata.state_dict_metadata.items():
        path = paths.get(name, (name,))
        if not plan.wants(name, path):
            continue
        if isinstance(described, TensorStorageMetadata):
            value = ops.empty(tuple(described.size), dtype=described.properties.dtype)
            _fill_tensor(value, parts[name], reader)
            found[path] = value
        else:
            found[path] = reader.read(parts[name][0][1], False)
    return build(found)


def _fill(states: Any, reader: FileSystemReader, plan: DefaultLoadPlanner) -> None:
    metadata = reader.read_metadata()
    parts = _parts(metadata)
    flat, paths = _entries(states, plan)
    for name, value in flat.items():
        described = metadata.state_dict_metadata.get(name)
        if described is None:
            if plan.allow_partial_load:
                continue
            raise RuntimeError(f"Missing key in checkpoint state_dict: {name}.")
        if not isinstance(value, TensorBase):
            path = (name,) if paths is None else paths[name]
            set_element(states, path, reader.read(parts[name][0][1], False))
        elif described.size != value.shape:  # type: ignore[attr-defined]
            raise ValueError(
                f"Size mismatch between saved {described.size} and current: "
                f"{value.shape} for {name}"  # type: ignore[attr-defined]
            )
        else:
            _fill_tensor(value, parts[name], reader)


def _fill_tensor(value: Any, parts: list[tuple[MetadataIndex, Any]], reader: Any) -> None:
    with grad_mode(False):
        for index, info in parts:
            found = reader.read(info, True)
            where = value.detach()
            for dim, (start, size) in enumerate(zip(index.offset or (), found.shape, strict=True)):
                if size != where.shape[dim]:
                    where = where.narrow(dim, start, size)
            where.copy_(found)


def save_state_dict(state_dict: Any, storage_writer: Any, *args: Any, **kwargs: Any) -> Metadata:
    """The old name of `save`."""
    return save(state_dict, storage_writer=storage_writer, **_old(args, kwargs))


def load_state_dict(state_dict: Any, storage_reader: Any, *args: Any, **kwargs: Any) -> None:
    """The old name of `load`."""
    load(state_dict, storage_reader=storage_reader, **_old(args, kwargs))


def _old(args: Any, kwargs: Any) -> dict[str, Any]:
    """Arguments by name; the coordinator is the rank that writes, always the first."""
    names = ("process_group", "coordinator_rank", "no_dist", "planner")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    given.pop("coordinator_rank", None)
    return given
