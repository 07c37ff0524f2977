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
from .. import _collectives, _group
from ._nested_dict import flatten_state_dict, set_element
from .filesystem import FileSystemReader as FileSystemReader, FileSystemWriter as FileSystemWriter
from .metadata import (
    BytesStorageMetadata as BytesStorageMetadata,
    ChunkStorageMetadata as ChunkStorageMetadata,
    Metadata as Metadata,
    MetadataIndex as MetadataIndex,
    TensorStorageMetadata as TensorStorageMetadata,
)

__all__ = [
    "BytesStorageMetadata", "CheckpointException", "ChunkStorageMetadata", "FileSystemReader",
    "FileSystemWriter", "Metadata", "MetadataIndex", "TensorStorageMetadata", "async_save", "load",
    "load_state_dict", "save", "save_state_dict",
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


def _no_planner(planner: Any) -> None:
    if planner is not None:
        raise not_supported("planners of checkpoints", "the default: all entries by name")


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
        no_dist: whether this process is on its own although it is in a group.
    Raises: RuntimeError without a place; NotSupportedError for another writer, or a planner.

    Example:
        >>> save({"model": net, "optimizer": optimizer}, checkpoint_id="folder")
    """
    _no_planner(planner)
    writer = _place(storage_writer, checkpoint_id, FileSystemWriter)
    flat, paths = flatten_state_dict(_with_states(state_dict))
    alone = no_dist or not _group.is_initialized()
    if alone or _group.get_rank(process_group) == 0:
        found = writer.write(flat, paths)
    if not alone:
        _collectives.barrier(process_group)
        found = FileSystemReader(writer.path).read_metadata()
    return found  # type: ignore[no-any-return]


def async_save(state_dict: Any, **kwargs: Any) -> Any:
    """`save` now; returns a future that is done.

    Differs from torch: nothing is left to a thread, so the result is there when it returns.
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

    Objects with a `state_dict` are given theirs through `load_state_dict`.
    Raises: CheckpointException for a name that the checkpoint lacks or a tensor of another size.
    """
    _no_planner(planner)
    reader = _place(storage_reader, checkpoint_id, FileSystemReader)
    states = _with_states(state_dict)
    try:
        _fill(states, reader)
    except (RuntimeError, ValueError, OSError) as error:
        rank = _group.get_rank() if _group.is_initialized() else 0
        raise CheckpointException("load", {rank: error}) from error
    for key, value in state_dict.items():
        if _is_stateful(value):
            value.load_state_dict(states[key])
        else:
            state_dict[key] = states[key]


def _fill(states: Any, reader: FileSystemReader) -> None:
    metadata = reader.read_metadata()
    parts: dict[str, list[tuple[MetadataIndex, Any]]] = {}
    for index, info in metadata.storage_data.items():
        parts.setdefault(index.fqn, []).append((index, info))
    flat, paths = flatten_state_dict(states)
    for name, value in flat.items():
        described = metadata.state_dict_metadata.get(name)
        if described is None:
            raise RuntimeError(f"Missing key in checkpoint state_dict: {name}.")
        if not isinstance(value, TensorBase):
            set_element(states, paths[name], reader.read(parts[name][0][1], False))
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
    names = ("process_group", "coordinator_rank", "no_dist", "planner")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    given.pop("coordinator_rank", None)
    return given
